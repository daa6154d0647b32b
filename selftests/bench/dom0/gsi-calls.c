// SPDX-License-Identifier: GPL-2.0
/*
 * gsi-calls CALLS TASKS PIECE SBDF...: asks for the GSIs of these functions, one
 * after the other, CALLS times in each of TASKS tasks at the same time. Prints the
 * nanoseconds that a call took in the median and in the fastest piece of PIECE
 * calls: no interrupt fell into that one. Without a driver that answers, that is
 * what the call costs anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "../../dom0/privcmd.h"

static unsigned long piece, pieces;
static __u32 *functions;
static unsigned int count;
static pthread_barrier_t together;
static double *took;

static void die(const char *what)
{
	fprintf(stderr, "gsi-calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void *task(void *took_by_it)
{
	double *next = took_by_it;
	unsigned int which = 0;
	int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/xen/privcmd");
	pthread_barrier_wait(&together);
	for (unsigned long i = 0; i < pieces; i++) {
		double began = now();

		for (unsigned long j = 0; j < piece; j++) {
			struct privcmd_pcidev_get_gsi ask = { .sbdf = functions[which] };

			if (ioctl(fd, IOCTL_PRIVCMD_PCIDEV_GET_GSI, &ask) < 0 &&
			    errno != EOPNOTSUPP)
				die("a function has no GSI");
			which = which + 1 < count ? which + 1 : 0;
		}
		*next++ = (now() - began) / piece;
	}
	close(fd);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return (first > second) - (first < second);
}

static __u32 address(const char *text)
{
	unsigned int segment, bus, device, number;

	if (sscanf(text, "%x:%x:%x.%x", &segment, &bus, &device, &number) != 4) {
		errno = EINVAL;
		die(text);
	}
	return segment << 16 | bus << 8 | device << 3 | number;
}

int main(int argc, char **argv)
{
	unsigned int tasks = 0;
	pthread_t *threads;

	if (argc >= 5) {
		tasks = strtoul(argv[2], NULL, 0);
		piece = strtoul(argv[3], NULL, 0);
		pieces = piece ? strtoul(argv[1], NULL, 0) / piece : 0;
	}
	if (!tasks || !pieces) {
		fprintf(stderr, "usage: gsi-calls CALLS TASKS PIECE SBDF...\n");
		return 2;
	}
	count = argc - 4;
	functions = calloc(count, sizeof(*functions));
	threads = calloc(tasks, sizeof(*threads));
	took = calloc(tasks * pieces, sizeof(*took));
	if (!functions || !threads || !took)
		die("memory");
	for (unsigned int i = 0; i < count; i++)
		functions[i] = address(argv[i + 4]);
	pthread_barrier_init(&together, NULL, tasks);
	for (unsigned int i = 0; i < tasks; i++)
		if (pthread_create(threads + i, NULL, task, took + i * pieces))
			die("a task");
	for (unsigned int i = 0; i < tasks; i++)
		pthread_join(threads[i], NULL);
	qsort(took, tasks * pieces, sizeof(*took), compare);
	printf("%.1f %.1f\n", took[tasks * pieces / 2], took[0]);
	return 0;
}
