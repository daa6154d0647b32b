/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hostile programs share: numbers that are random but the same for the
 * same seed, a clock, and a count of what was tried, said as it grows. Whoever
 * writes what it must not may not live to say it at the end.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static __u64 random_state;
static unsigned long tried, refused;

/* Marsaglia's xorshift. */
static inline __u64 any(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static inline __u32 below(__u32 limit)
{
	return (any() >> 16) % limit;
}

static inline void begin(const char *text)
{
	/* Zero would stay zero. */
	random_state = strtoull(text, NULL, 0) * 2 + 1;
	for (int i = 0; i < 16; i++)
		any();
	printf("seed %s\n", text);
	fflush(stdout);
}

/* Values at the edges more often than others. */
static inline __u32 nasty(void)
{
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return ~0u;
	case 2:
		return 1u << below(32);
	case 3:
		return (1u << below(32)) - 1;
	case 4:
		return below(16);
	default:
		return any() >> 32;
	}
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void say(void)
{
	printf("tried %lu refused %lu\n", tried, refused);
	fflush(stdout);
}

static inline void count(int accepted)
{
	static double last;

	tried++;
	refused += !accepted;
	if (!(tried % 16) && now() > last + 0.5) {
		last = now();
		say();
	}
}

static inline void die(const char *what)
{
	perror(what);
	exit(2);
}

#endif
