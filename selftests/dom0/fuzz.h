/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzz-calls and fuzz-files share: the functions of this machine, tasks that
 * do random things until their time is over, and the report of what went wrong.
 */
#ifndef SELFTESTS_FUZZ_H
#define SELFTESTS_FUZZ_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/types.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <xen/pcidev.h>

#include "kcov.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 4096
#define MOST 256

/* A function of this machine, and what can be learnt of it. */
struct function {
	char name[16];
	__u32 sbdf;
	int gsi_error;
	struct xen_pcidev_info info;
};

static struct function functions[MOST];
static unsigned int count;
/* Those that may be seized. */
static const struct function *spares[MOST];
static unsigned int spare_count;

static struct timespec end;
static atomic_int failures;

/* What a task does next depends on nothing but its number and the seed. */
struct task {
	pthread_t thread;
	unsigned long long random;
	struct coverage coverage;
	unsigned long uses;
};

static inline void fail(const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&failures, 1) >= 20)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
}

static inline const char *name_of(int error)
{
	return error ? strerrorname_np(error) : "accepted";
}

static inline unsigned long long any(struct task *task)
{
	task->random ^= task->random >> 12;
	task->random ^= task->random << 25;
	task->random ^= task->random >> 27;
	return task->random * 0x2545f4914f6cdd1dULL >> 16;
}

static inline unsigned int below(struct task *task, unsigned int limit)
{
	return any(task) % limit;
}

static inline bool once_in(struct task *task, unsigned int times)
{
	return !below(task, times);
}

static inline const struct function *any_function(struct task *task)
{
	return &functions[below(task, count)];
}

static inline const struct function *any_spare(struct task *task)
{
	return spares[below(task, spare_count)];
}

static inline bool is_over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static inline void learn_function(int fd, const char *name)
{
	struct function *function = &functions[count++];
	unsigned int segment, bus, device, number;
	struct xen_pcidev_info info;

	if (sscanf(name, "%x:%x:%x.%x", &segment, &bus, &device, &number) != 4)
		exit(2);
	snprintf(function->name, sizeof(function->name), "%s", name);
	function->sbdf = segment << 16 | bus << 8 | device << 3 | number;
	info = (struct xen_pcidev_info){ .argsz = sizeof(info), .sbdf = function->sbdf };
	function->info = info;
	function->gsi_error = ioctl(fd, XEN_PCIDEV_GET_GSI, &info) ? errno : 0;
	if (ioctl(fd, XEN_PCIDEV_GET_INFO, &function->info)) {
		printf("%s: %s\n", name, name_of(errno));
		exit(2);
	}
}

/* Takes SECONDS SEED SBDF...; returns the seed. */
static inline unsigned long long prepare(int argc, char **argv)
{
	int fd = open("/dev/xen/pcidev", O_RDWR | O_CLOEXEC);
	glob_t found;

	if (argc < 4) {
		fprintf(stderr, "usage: %s SECONDS SEED SBDF...\n", argv[0]);
		exit(2);
	}
	glob("/sys/bus/pci/devices/*", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && count < MOST; i++)
		learn_function(fd, strrchr(found.gl_pathv[i], '/') + 1);
	globfree(&found);
	close(fd);
	for (unsigned int i = 0; i < count; i++) {
		for (int j = 3; j < argc; j++) {
			if (!strcmp(argv[j], functions[i].name))
				spares[spare_count++] = &functions[i];
		}
	}
	if (!spare_count) {
		printf("none of the functions is there\n");
		exit(2);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += atoi(argv[1]);
	return strtoull(argv[2], NULL, 0);
}

static inline void begin(struct task *task, unsigned int number, unsigned long long seed,
			 void *(*run)(void *))
{
	*task = (struct task){ .random = (seed << 8 | number) * 0x9e3779b97f4a7c15ULL | 1 };
	if (pthread_create(&task->thread, NULL, run, task))
		exit(2);
}

/* Waits for two tasks, and says what they did. */
static inline void report(struct task *tasks, const char *what)
{
	unsigned long uses = 0;

	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(tasks[i].thread, NULL);
		uses += tasks[i].uses;
	}
	printf("tried: %lu uses of %s\n", uses, what);
	coverage_show(&tasks[0].coverage, &tasks[1].coverage, what);
}

#endif
