// SPDX-License-Identifier: GPL-2.0
/*
 * map-pirq DOMAIN SBDF ENTRY TABLE
 *
 * Run in the stub domain of a guest, as its device model would: maps an entry of the
 * MSI-X table at the address TABLE of a function to DOMAIN (PHYSDEVOP_map_pirq), or to
 * the guest if that is "target", and unmaps it. Prints "mapped" or Xen's error.
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "privcmd.h"
#include "xenstore.h"

#define HYPERCALL_PHYSDEV_OP 33
#define PHYSDEVOP_MAP_PIRQ 13
#define PHYSDEVOP_UNMAP_PIRQ 14
#define TYPE_MSI_SEG 3

struct map_pirq {
	__u16 domain;
	__s32 type, index, pirq;
	__s32 bus, devfn, entry;
	__u64 table;
};

struct unmap_pirq {
	__u16 domain;
	__s32 pirq;
};

static int call(int file, unsigned long operation, void *argument)
{
	struct privcmd_hypercall hypercall = {
		HYPERCALL_PHYSDEV_OP, { operation, (unsigned long)argument }
	};

	return ioctl(file, IOCTL_PRIVCMD_HYPERCALL, &hypercall);
}

static int target(void)
{
	static char text[XS_PAYLOAD + 1];

	if (xs_open() < 0 || xs_ask(XS_READ, "target", NULL, 0, text) != XS_READ)
		return -1;
	return atoi(text);
}

int main(int argc, char **argv)
{
	unsigned int segment, bus, device, function;
	int file = open("/dev/xen/privcmd", O_RDWR);
	union {
		struct map_pirq map;
		struct unmap_pirq unmap;
	} *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	int domain, pirq;

	if (argc != 5 || file < 0 || page == MAP_FAILED ||
	    sscanf(argv[2], "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4) {
		perror("map-pirq DOMAIN SBDF ENTRY TABLE");
		return 2;
	}
	domain = strcmp(argv[1], "target") ? atoi(argv[1]) : target();
	if (domain < 0) {
		fprintf(stderr, "no target\n");
		return 2;
	}
	page->map = (struct map_pirq){
		.domain = domain,
		.type = TYPE_MSI_SEG,
		.index = -1,
		.pirq = -1,
		.bus = segment << 16 | bus,
		.devfn = device << 3 | function,
		.entry = atoi(argv[3]),
		.table = strtoull(argv[4], NULL, 0),
	};
	if (call(file, PHYSDEVOP_MAP_PIRQ, page) < 0) {
		puts(strerror(errno));
		return 0;
	}
	pirq = page->map.pirq;
	page->unmap = (struct unmap_pirq){ .domain = domain, .pirq = pirq };
	if (call(file, PHYSDEVOP_UNMAP_PIRQ, page) < 0) {
		printf("mapped, not unmapped: %s\n", strerror(errno));
		return 0;
	}
	puts("mapped");
	return 0;
}
