// SPDX-License-Identifier: GPL-2.0
/*
 * hostile-store SEED SECONDS DIR...
 * hostile-store SEED SECONDS -r NODE
 *
 * Writes what a guest may write, and more, to the nodes of a device in these
 * directories of XenStore, as fast as it can: values of every kind, one by one
 * and in transactions, and takes nodes away. Run in a guest, or in dom0, which
 * may write everywhere. With -r: only takes a node away, again and again, for
 * nobody to find it.
 */
#include "hostile.h"
#include "xenstore.h"

static const char *const nodes[] = {
	"state", "state", "state", "pci-op-ref", "event-channel", "magic",
	"backend", "backend-id", "num_devs", "dev-0", "state-0", "vdev-0",
	"online", "root_num", "root-0", "error", "a/b/c",
};

static const char *const texts[] = {
	"", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "x", " 3", "3 ", "+4",
	"03", "0x3", "4.0", "2147483648", "4294967295", "4294967296", "4294967299",
	"18446744073709551619", "99999999999999999999999999", "%s%n", "3\n4", "\xff\xfe",
	"backend/pci/0/0", "/local/domain/0", "..", "0000:00:07.0",
};

static char answer[XS_PAYLOAD + 1];

/* Requests that were not answered yet: many at a time are faster. */
static unsigned int unanswered;

static void collect(void)
{
	for (; unanswered; unanswered--) {
		int result = xs_answer(answer);

		if (result == -1)
			die("no answer");
		count(result != XS_ERROR);
	}
}

static void request(int type, const char *path, const void *data, size_t length)
{
	if (xs_send(type, path, data, length)) {
		count(0);
		return;
	}
	if (++unanswered == 16)
		collect();
}

static void write_node(const char *path)
{
	static char filler[XS_PAYLOAD];
	const char *text = texts[below(ARRAY_SIZE(texts))];
	size_t length = strlen(text);

	switch (below(10)) {
	case 0:
		/* Up to the most that the protocol takes. */
		length = XS_PAYLOAD - strlen(path) - 1 - below(2) * below(3000);
		memset(filler, "3\0x\xff"[below(4)], length);
		text = filler;
		break;
	case 1:
		length = snprintf(filler, sizeof(filler), "%u", nasty());
		text = filler;
		break;
	}
	request(XS_WRITE, path, text, length);
}

static void step(const char *path, const char *dir)
{
	/* For nobody; for all; for dom0 only. */
	static const char *const permissions[] = { "n0", "b0", "r0", "w1", "n32751", "x" };
	const char *text = permissions[below(ARRAY_SIZE(permissions))];

	switch (below(32)) {
	case 0:
		request(XS_RM, path, NULL, 0);
		break;
	case 1:
		request(XS_MKDIR, path, NULL, 0);
		break;
	case 2:
		request(XS_SET_PERMS, path, text, strlen(text) + 1);
		break;
	case 3:
		request(XS_READ, dir, NULL, 0);
		break;
	default:
		write_node(path);
	}
}

/* Many changes at once, or none of them. */
static void transaction(const char *dir)
{
	char path[256];

	collect();
	if (xs_ask(XS_TRANSACTION_START, "", NULL, 0, answer) != XS_TRANSACTION_START)
		return;
	xs_transaction = strtoul(answer, NULL, 10);
	for (int n = below(20); n; n--) {
		snprintf(path, sizeof(path), "%s/%s", dir, nodes[below(ARRAY_SIZE(nodes))]);
		step(path, dir);
	}
	request(XS_TRANSACTION_END, below(4) ? "T" : "F", NULL, 0);
	xs_transaction = 0;
}

int main(int argc, char **argv)
{
	double end;
	char path[256];

	if (argc < 4) {
		fprintf(stderr, "usage: hostile-store SEED SECONDS DIR...\n");
		return 2;
	}
	if (xs_open_fast() < 0)
		die("/dev/xen/xenbus");
	begin(argv[1]);
	for (end = now() + atof(argv[2]); now() < end;) {
		const char *dir = argv[3 + below(argc - 3)];

		if (!strcmp(argv[3], "-r")) {
			request(XS_RM, argv[argc - 1], NULL, 0);
			continue;
		}
		if (!below(64)) {
			transaction(dir);
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", dir, nodes[below(ARRAY_SIZE(nodes))]);
		step(path, dir);
	}
	collect();
	say();
	return 0;
}
