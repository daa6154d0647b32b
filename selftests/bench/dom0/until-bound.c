// SPDX-License-Identifier: GPL-2.0
/*
 * until-bound SBDF... -- COMMAND [ARG...]: runs the command, and prints how many
 * seconds it takes until it has ended and a driver has each of the functions.
 *
 * The kernel tells when a function is bound: nobody looks again and again, which
 * would take the processor's time.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_SECONDS 120

static void die(const char *what)
{
	fprintf(stderr, "until-bound: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int listen_to_the_kernel(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int size = 1 << 20;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("uevents");
	return fd;
}

static void wait_for_event(int fd)
{
	struct pollfd file = { .fd = fd, .events = POLLIN };
	char event[4096];

	if (poll(&file, 1, MOST_SECONDS * 1000) < 1) {
		errno = ETIMEDOUT;
		die("not all are bound");
	}
	if (recv(fd, event, sizeof(event), 0) < 0)
		die("uevents");
}

static int is_bound(const char *function)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", function);
	return !access(path, F_OK);
}

int main(int argc, char **argv)
{
	int fd, status, last = 1;
	double began;
	pid_t child;

	while (last < argc && strcmp(argv[last], "--"))
		last++;
	if (last >= argc - 1) {
		fprintf(stderr, "usage: until-bound SBDF... -- COMMAND [ARG...]\n");
		return 2;
	}
	fd = listen_to_the_kernel();
	began = now();
	child = fork();
	if (!child) {
		execvp(argv[last + 1], argv + last + 1);
		die(argv[last + 1]);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		die("fork");
	if (status)
		return 1;
	for (int i = 1; i < last; i++)
		while (!is_bound(argv[i]))
			wait_for_event(fd);
	printf("%.4f\n", now() - began);
	return 0;
}
