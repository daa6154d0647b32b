/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which places in the modules a task has come to, by KCOV: on a kernel that has
 * it, with modules that are built for it. Elsewhere these do nothing.
 */
#ifndef SELFTESTS_KCOV_H
#define SELFTESTS_KCOV_H

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define COVERAGE_ENTRIES (64 << 10)
#define COVERAGE_PLACES 65536

struct coverage {
	/* The number of entries, and these; NULL if there is no KCOV. */
	unsigned long *trace;
	/* A hash table of places. */
	unsigned long *places;
};

/* To be called by the task itself. */
static inline void coverage_begin(struct coverage *coverage)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	size_t size = COVERAGE_ENTRIES * sizeof(unsigned long);

	if (fd < 0)
		return;
	if (ioctl(fd, KCOV_INIT_TRACE, COVERAGE_ENTRIES))
		return;
	coverage->trace = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	coverage->places = calloc(COVERAGE_PLACES, sizeof(unsigned long));
	if (coverage->trace == MAP_FAILED || !coverage->places ||
	    ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		exit(2);
}

static inline void coverage_add(unsigned long *places, unsigned long place)
{
	unsigned long at = place * 0x9e3779b97f4a7c15UL >> 48;

	while (places[at] && places[at] != place)
		at = (at + 1) % COVERAGE_PLACES;
	places[at] = place;
}

/* Notes where the task was since it was called last. */
static inline void coverage_take(struct coverage *coverage)
{
	if (!coverage->trace)
		return;
	for (unsigned long i = 0; i < coverage->trace[0] && i < COVERAGE_ENTRIES - 1; i++)
		coverage_add(coverage->places, coverage->trace[i + 1]);
	coverage->trace[0] = 0;
}

/* Prints where either of two tasks was. */
static inline void coverage_show(struct coverage *one, struct coverage *other, const char *what)
{
	unsigned long reached = 0;

	if (!one->trace || !other->trace)
		return;
	for (unsigned long i = 0; i < COVERAGE_PLACES; i++) {
		if (other->places[i])
			coverage_add(one->places, other->places[i]);
	}
	for (unsigned long i = 0; i < COVERAGE_PLACES; i++)
		reached += one->places[i] != 0;
	printf("tried: %lu places in the modules reached by uses of %s\n", reached, what);
}

#endif
