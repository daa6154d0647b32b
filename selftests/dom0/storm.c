// SPDX-License-Identifier: GPL-2.0
/*
 * storm THREADS SBDF...: ask about these functions at all interfaces, from so many
 * threads at once, until standard input ends. A function may come and go; while
 * it is there its GSI may not change. Prints how many look-ups were answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xen/pcidev.h>

#include "privcmd.h"

#define MAX_FUNCTIONS 64
#define UNKNOWN (-4096)
/*
 * Microseconds that a thread rests after a look-up. They start, and so go on, all
 * at once, but an emulated machine could not answer them all without a rest.
 */
#define REST 5000000

static struct function {
	char path[64];
	unsigned int sbdf;
	/* The GSI or -errno; what is said first has to be said ever after. */
	atomic_int answer;
} functions[MAX_FUNCTIONS];

static int count;
static int privcmd, pcidev;
static pthread_barrier_t gate;
static atomic_bool stop;
static atomic_ulong lookups, failures;

static int ask_privcmd(struct function *f)
{
	struct privcmd_pcidev_get_gsi arg = { .sbdf = f->sbdf };

	return ioctl(privcmd, IOCTL_PRIVCMD_PCIDEV_GET_GSI, &arg) ? -errno : (int)arg.gsi;
}

static int ask_pcidev(struct function *f)
{
	struct xen_pcidev_info info = { .argsz = sizeof(info), .sbdf = f->sbdf };

	return ioctl(pcidev, XEN_PCIDEV_GET_GSI, &info) ? -errno : (int)info.gsi;
}

static int ask_sysfs(struct function *f)
{
	char text[16] = "";
	int fd = open(f->path, O_RDONLY | O_CLOEXEC), ret = 0;

	/* The file goes with the function. */
	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		ret = -errno;
	close(fd);
	return ret ? ret : atoi(text);
}

/* The list has to be in order, whoever comes and goes. */
static int ask_list(void)
{
	struct {
		struct xen_pcidev_list head;
		__u32 sbdf[1024];
	} list = { .head.argsz = sizeof(list) };

	if (ioctl(pcidev, XEN_PCIDEV_GET_LIST, &list))
		return -errno;
	for (unsigned int i = 1; i < list.head.count; i++)
		if (list.sbdf[i - 1] >= list.sbdf[i])
			return -EBADMSG;
	return 0;
}

static void judge(const char *interface, struct function *f, int answer)
{
	int first = UNKNOWN;

	atomic_fetch_add(&lookups, 1);
	if (answer == -ENODEV)
		return;
	if (atomic_compare_exchange_strong(&f->answer, &first, answer) || first == answer)
		return;
	if (atomic_fetch_add(&failures, 1) < 10)
		printf("%s: %s said %d, before it was %d\n", f->path, interface, answer, first);
}

static void *ask_all(void *arg)
{
	int turn = (long)arg;

	pthread_barrier_wait(&gate);
	while (!atomic_load(&stop)) {
		struct function *f = &functions[turn % count];

		switch (turn++ / count % 4) {
		case 0:
			judge("privcmd", f, ask_privcmd(f));
			break;
		case 1:
			judge("GET_GSI", f, ask_pcidev(f));
			break;
		case 2:
			judge("sysfs", f, ask_sysfs(f));
			break;
		default:
			atomic_fetch_add(&lookups, 1);
			if (ask_list()) {
				puts("GET_LIST: not in order, or refused");
				atomic_fetch_add(&failures, 1);
			}
		}
		/* Whoever changes the functions has to get on, too. */
		usleep(REST);
	}
	return NULL;
}

static void add_function(const char *name)
{
	struct function *f = &functions[count];
	unsigned int segment, bus, device, function;

	if (count == MAX_FUNCTIONS ||
	    sscanf(name, "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4)
		return;
	snprintf(f->path, sizeof(f->path), "/sys/bus/pci/devices/%.16s/xen/gsi", name);
	f->sbdf = segment << 16 | bus << 8 | device << 3 | function;
	f->answer = UNKNOWN;
	count++;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[1]) : 0;
	pthread_attr_t small;
	pthread_t *ids = calloc(threads + 1, sizeof(*ids));
	char c;

	for (int i = 2; i < argc; i++)
		add_function(argv[i]);
	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	pcidev = open("/dev/xen/pcidev", O_RDWR | O_CLOEXEC);
	if (!count || !ids || privcmd < 0 || pcidev < 0) {
		fprintf(stderr, "usage: storm THREADS SBDF..., with both devices there\n");
		return 2;
	}
	pthread_barrier_init(&gate, NULL, threads + 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (long i = 0; i < threads; i++) {
		if (pthread_create(&ids[i], &small, ask_all, (void *)i)) {
			perror("storm");
			return 2;
		}
	}
	pthread_barrier_wait(&gate);
	puts("started");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	atomic_store(&stop, true);
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	free(ids);
	printf("%lu look-ups, %lu wrong\n", lookups, failures);
	return failures != 0;
}
