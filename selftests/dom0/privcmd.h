/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one ioctl of /dev/xen/privcmd that is about PCI: the installed kernel
 * headers need not be as new as the kernel.
 */
#ifndef SELFTESTS_PRIVCMD_H
#define SELFTESTS_PRIVCMD_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct privcmd_pcidev_get_gsi {
	__u32 sbdf;
	__u32 gsi;
};

#define IOCTL_PRIVCMD_PCIDEV_GET_GSI \
	_IOC(_IOC_NONE, 'P', 10, sizeof(struct privcmd_pcidev_get_gsi))

#endif
