/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctls of /dev/xen/pcidev: a toolstack on a PVH dom0 gets the properties
 * of PCI functions that it assigns to guests. See Documentation/pcidev-ioctl.rst.
 *
 * The caller fills the fields before "valid", and sets argsz to the size of the
 * structure in bytes. The kernel never writes these fields, and writes at most
 * argsz bytes. struct xen_pcidev_info grows only at its end, with a new bit of
 * "valid" for each new field.
 */
#ifndef _UAPI_XEN_PCIDEV_H
#define _UAPI_XEN_PCIDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define XEN_PCIDEV_IOC_TYPE	0xBE

/* valid (out) */
#define XEN_PCIDEV_VALID_GSI	0x1	/* gsi, trigger, polarity */
#define XEN_PCIDEV_VALID_IRQ	0x2	/* irq */
#define XEN_PCIDEV_VALID_DOMID	0x4	/* domid */

#define XEN_PCIDEV_TRIGGER_EDGE		0
#define XEN_PCIDEV_TRIGGER_LEVEL	1

#define XEN_PCIDEV_POLARITY_HIGH	0
#define XEN_PCIDEV_POLARITY_LOW		1

#define XEN_PCIDEV_HOLDER_NONE		0	/* no driver */
#define XEN_PCIDEV_HOLDER_DRIVER	1	/* a driver of dom0 */
#define XEN_PCIDEV_HOLDER_PCIBACK	2	/* xen-pciback, for guests */

#define XEN_PCIDEV_MSIX_FREE		0	/* no MSI-X, or not held */
#define XEN_PCIDEV_MSIX_HELD		1	/* held for guests */
#define XEN_PCIDEV_MSIX_REFUSED		2	/* see the kernel log */

struct xen_pcidev_info {
	/* in */
	__u32 argsz;		/* 52 or more */
	__u32 flags;		/* 0 */
	__u32 sbdf;		/* segment << 16 | bus << 8 | dev << 3 | fn */
	/* out */
	__u32 valid;		/* XEN_PCIDEV_VALID_* */
	__u32 gsi;
	__u32 irq;		/* Linux irq, as in /proc/interrupts */
	__u32 pin;		/* 1 for INTA to 4 for INTD, 0 for none */
	__u32 trigger;		/* XEN_PCIDEV_TRIGGER_* */
	__u32 polarity;		/* XEN_PCIDEV_POLARITY_* */
	__u32 holder;		/* XEN_PCIDEV_HOLDER_* */
	__u32 domid;		/* domain that has the function */
	__u32 msix_entries;	/* 0 for no MSI-X */
	__u32 msix;		/* XEN_PCIDEV_MSIX_* */
};

/* Fails with ENODEV, ENOENT (no INTx pin) or ENXIO (pin not routed). */
#define XEN_PCIDEV_GET_GSI	_IO(XEN_PCIDEV_IOC_TYPE, 0)
/* Fails with ENODEV if there is no such function. */
#define XEN_PCIDEV_GET_INFO	_IO(XEN_PCIDEV_IOC_TYPE, 1)

/* The functions to list (flags); 0 lists all. */
#define XEN_PCIDEV_BY_GSI	0x1
#define XEN_PCIDEV_BY_IRQ	0x2

struct xen_pcidev_list {
	/* in */
	__u32 argsz;		/* 28 plus the size of sbdf[] */
	__u32 flags;		/* XEN_PCIDEV_BY_* or 0 */
	__u32 line;		/* with BY_GSI the GSI, with BY_IRQ the Linux irq */
	/* out */
	__u32 valid;		/* XEN_PCIDEV_VALID_GSI, XEN_PCIDEV_VALID_IRQ */
	__u32 gsi;
	__u32 irq;
	__u32 count;		/* of functions, even if they do not fit */
	__u32 sbdf[];		/* ascending */
};

/* Fails with ENOENT (no function on the line) or ENOSPC (count is set). */
#define XEN_PCIDEV_GET_LIST	_IO(XEN_PCIDEV_IOC_TYPE, 2)

/* Memory that firmware reserved for a function: an RMRR, or a unity mapping. */
struct xen_pcidev_region {
	__u64 start;		/* physical address */
	__u64 size;		/* bytes */
};

struct xen_pcidev_reserved {
	/* in */
	__u32 argsz;		/* 24 plus the size of regions[] */
	__u32 flags;		/* 0 */
	__u32 sbdf;
	/* out */
	__u32 valid;		/* 0 */
	__u32 count;		/* of regions, even if they do not fit */
	__u32 pad;		/* 0 */
	struct xen_pcidev_region regions[];	/* ascending */
};

/* Fails with ENODEV, ENOSPC (count is set), or ENOSYS (Xen cannot tell). */
#define XEN_PCIDEV_GET_RESERVED	_IO(XEN_PCIDEV_IOC_TYPE, 3)

#endif /* _UAPI_XEN_PCIDEV_H */
