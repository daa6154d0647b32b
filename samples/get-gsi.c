// SPDX-License-Identifier: GPL-2.0
/*
 * get-gsi SBDF: print the GSI and the Linux irq of a PCI function, as a
 * toolstack on a Xen PVH dom0 queries them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xen/pcidev.h>

static const char *explain(int error)
{
	switch (error) {
	case ENODEV:	return "no such function";
	case ENOENT:	return "it has no INTx pin";
	case ENXIO:	return "firmware does not route its INTx pin";
	default:	return strerror(error);
	}
}

int main(int argc, char **argv)
{
	struct xen_pcidev_info info = { .argsz = sizeof(info) };
	unsigned int segment, bus, device, function;
	int fd, end = 0;

	if (argc != 2 || sscanf(argv[1], "%4x:%2x:%2x.%1x%n", &segment, &bus,
				&device, &function, &end) != 4 ||
	    argv[1][end] || device > 31 || function > 7) {
		fprintf(stderr, "usage: get-gsi SSSS:BB:DD.F\n");
		return 2;
	}
	info.sbdf = segment << 16 | bus << 8 | device << 3 | function;

	fd = open("/dev/xen/pcidev", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "get-gsi: /dev/xen/pcidev: %s%s\n", strerror(errno),
			errno == ENOENT ? ": modprobe xen-pcidev" : "");
		return 1;
	}
	if (ioctl(fd, XEN_PCIDEV_GET_GSI, &info)) {
		fprintf(stderr, "get-gsi: %s: %s\n", argv[1], explain(errno));
		return 1;
	}
	printf("gsi %u\n", info.gsi);
	if (info.valid & XEN_PCIDEV_VALID_IRQ)
		printf("irq %u\n", info.irq);
	close(fd);
	return 0;
}
