// SPDX-License-Identifier: GPL-2.0
/*
 * serve-frontend DOMAIN GRANT PORT
 *
 * Does in dom0 what a backend does that serves a frontend, until it is killed:
 * maps its page, binds its channel, and answers what there is. To see that a
 * test notices such a thing.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* What these take for granted. */
typedef __u32 grant_ref_t;
typedef __u16 domid_t;
#include <xen/evtchn.h>
#include <xen/gntdev.h>

static void die(const char *what)
{
	perror(what);
	exit(2);
}

int main(int argc, char **argv)
{
	struct ioctl_gntdev_map_grant_ref map = { .count = 1 };
	struct ioctl_evtchn_bind_interdomain bind = {};
	int grants = open("/dev/xen/gntdev", O_RDWR), events = open("/dev/xen/evtchn", O_RDWR);
	__u32 *page;

	if (argc != 4) {
		fprintf(stderr, "usage: serve-frontend DOMAIN GRANT PORT\n");
		return 2;
	}
	map.refs[0].domid = atoi(argv[1]);
	map.refs[0].ref = atoi(argv[2]);
	if (ioctl(grants, IOCTL_GNTDEV_MAP_GRANT_REF, &map))
		die("gntdev");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, grants, map.index);
	if (page == MAP_FAILED)
		die("mmap");
	bind.remote_domain = atoi(argv[1]);
	bind.remote_port = atoi(argv[3]);
	if (ioctl(events, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind) < 0)
		die("evtchn");
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		__atomic_store_n(page, 0, __ATOMIC_RELEASE);
		usleep(1000);
	}
}
