/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hypercalls by /dev/xen/privcmd, and its one ioctl that is about PCI: the
 * installed kernel headers need not be as new as the kernel.
 */
#ifndef SELFTESTS_PRIVCMD_H
#define SELFTESTS_PRIVCMD_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct privcmd_hypercall {
	__u64 op;
	__u64 arg[5];
};

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

struct privcmd_pcidev_get_gsi {
	__u32 sbdf;
	__u32 gsi;
};

#define IOCTL_PRIVCMD_PCIDEV_GET_GSI \
	_IOC(_IOC_NONE, 'P', 10, sizeof(struct privcmd_pcidev_get_gsi))

#endif
