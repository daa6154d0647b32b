// SPDX-License-Identifier: GPL-2.0
/*
 * bind-pirq PIRQ
 *
 * Run in a PV guest: binds a pirq of its own to an event channel, and does not share it
 * (EVTCHNOP_bind_pirq without BIND_PIRQ__WILL_SHARE). Fails with Xen's error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "privcmd.h"

#define HYPERCALL_EVENT_CHANNEL_OP 32
#define EVTCHNOP_BIND_PIRQ 2

struct bind_pirq {
	__u32 pirq, flags, port;
};

int main(int argc, char **argv)
{
	int file = open("/dev/xen/privcmd", O_RDWR);
	struct bind_pirq *bind = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	struct privcmd_hypercall hypercall = {
		HYPERCALL_EVENT_CHANNEL_OP, { EVTCHNOP_BIND_PIRQ, (unsigned long)bind }
	};

	if (argc != 2 || file < 0 || bind == MAP_FAILED) {
		perror("bind-pirq PIRQ");
		return 2;
	}
	bind->pirq = atoi(argv[1]);
	if (ioctl(file, IOCTL_PRIVCMD_HYPERCALL, &hypercall) < 0) {
		perror("EVTCHNOP_bind_pirq");
		return 1;
	}
	return 0;
}
