// SPDX-License-Identifier: GPL-2.0
/*
 * assigned SBDF: creates a domain and assigns the function to it in Xen, as libxl does
 * before it writes XenStore. Prints "assigned". Undoes it at the end of standard input.
 */
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenctrl.h>

#define POOL 0x200000UL
/* Of Xen 4.22, where 0 is dom0's number; older versions take it, too, for "any number". */
#ifndef DOMID_ANY
#define DOMID_ANY 0x7ff5
#endif

static void must(const char *what, int result)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct xen_domctl_createdomain settings = {
		.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_iommu,
		.max_vcpus = 1,
		.max_evtchn_port = 1023,
		.max_grant_frames = -1,
		.max_maptrack_frames = -1,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
		.arch.emulation_flags = XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI,
	};
	unsigned int segment, bus, device, function;
	__u32 domain = DOMID_ANY, sbdf;
	xc_interface *xch;
	char end;

	if (argc != 2 || sscanf(argv[1], "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4) {
		fprintf(stderr, "usage: assigned SBDF\n");
		return 2;
	}
	sbdf = segment << 16 | bus << 8 | device << 3 | function;
	xch = xc_interface_open(NULL, NULL, 0);
	if (!xch) {
		perror("no Xen");
		return 1;
	}
	must("creating a domain", xc_domain_create(xch, &domain, &settings));
	must("its page tables", xc_set_paging_mempool_size(xch, domain, POOL));
	must("assigning it", xc_assign_device(xch, domain, sbdf, 0));
	puts("assigned");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	must("taking it back", xc_deassign_device(xch, domain, sbdf));
	must("end of quarantine", xc_deassign_device(xch, DOMID_IO, sbdf));
	must("destroying the domain", xc_domain_destroy(xch, domain));
	xc_interface_close(xch);
	return 0;
}
