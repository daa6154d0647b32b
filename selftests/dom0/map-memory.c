// SPDX-License-Identifier: GPL-2.0
/*
 * map-memory DOMAIN GFN PAGE PAGES
 *
 * Run in a PV guest that is the stub domain of DOMAIN, as its device model would:
 * maps PAGES pages of the host to DOMAIN (XEN_DOMCTL_memory_mapping). Prints "mapped",
 * or Xen's error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "privcmd.h"

#define HYPERCALL_DOMCTL 36
#define DOMCTL_MEMORY_MAPPING 39

struct domctl {
	__u32 cmd;
	__u32 version;
	__u16 domain;
	__u16 pad[3];
	__u64 first_gfn;
	__u64 first_mfn;
	__u64 pages;
	__u32 add;
	__u32 padding;
	__u8 rest[96];
};

int main(int argc, char **argv)
{
	/* Of Xen 4.19 to 4.21, and 4.22. */
	static const __u32 versions[] = { 0x17, 0x18 };
	int file = open("/dev/xen/privcmd", O_RDWR);
	struct domctl *domctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

	if (argc != 5 || file < 0 || domctl == MAP_FAILED) {
		perror("map-memory DOMAIN GFN PAGE PAGES");
		return 2;
	}
	for (unsigned int i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		struct privcmd_hypercall call = { HYPERCALL_DOMCTL, { (unsigned long)domctl } };

		*domctl = (struct domctl){
			.cmd = DOMCTL_MEMORY_MAPPING,
			.version = versions[i],
			.domain = strtoul(argv[1], NULL, 0),
			.first_gfn = strtoull(argv[2], NULL, 0),
			.first_mfn = strtoull(argv[3], NULL, 0),
			.pages = strtoull(argv[4], NULL, 0),
			.add = 1,
		};
		if (ioctl(file, IOCTL_PRIVCMD_HYPERCALL, &call) >= 0) {
			puts("mapped");
			return 0;
		}
		if (errno != EACCES)
			break;
	}
	puts(strerror(errno));
	return 0;
}
