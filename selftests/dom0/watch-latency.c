// SPDX-License-Identifier: GPL-2.0
/*
 * watch-latency NODE SECONDS
 *
 * How long the kernel takes to tell of a change in XenStore, as the milliseconds
 * of the longest and their mean: all watches of the kernel share one thread.
 */
#include "hostile.h"
#include "xenstore.h"

static void change(const char *node, char *text)
{
	struct xs_header header;

	if (xs_send(XS_WRITE, node, "1", 1))
		die("write");
	/* The answer and the event, in whatever order. */
	for (int left = 2; left; left--)
		if (xs_receive(&header, text) || header.type == XS_ERROR)
			die("no answer");
}

int main(int argc, char **argv)
{
	static char text[XS_PAYLOAD + 1];
	double end, longest = 0, sum = 0;
	struct xs_header header;
	unsigned long times = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: watch-latency NODE SECONDS\n");
		return 2;
	}
	if (xs_open() < 0)
		die("/dev/xen/xenbus");
	if (xs_ask(XS_WRITE, argv[1], "0", 1, text) == XS_ERROR ||
	    xs_ask(XS_WATCH, argv[1], "token", 6, text) == XS_ERROR)
		die(text);
	/* Each watch comes once by itself, before or after the answer. */
	if (!xs_events && xs_receive(&header, text))
		die("no event");
	for (end = now() + atof(argv[2]); now() < end;) {
		double began = now(), took;

		change(argv[1], text);
		took = (now() - began) * 1000;
		sum += took;
		times++;
		if (took > longest)
			longest = took;
		usleep(5000);
	}
	printf("%.0f %.1f %lu\n", longest, times ? sum / times : 0, times);
	return 0;
}
