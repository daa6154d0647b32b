// SPDX-License-Identifier: GPL-2.0
/*
 * handover SBDF OFFSET [leak]: reads numbers from standard input, and for each does
 * so many whole hand-overs of the function, and prints how many there were and how
 * long they took. Stops at the first thing that is not as it should be.
 *
 * A hand-over is what libxl and a device model do, by the same library, without
 * the time that a guest takes to boot: seized and quarantined, reset, given to a
 * new domain, its INTx line, its MSI-X and its BARs mapped and bound, used, all of
 * it undone, the domain destroyed, the function returned to dom0.
 *
 * OFFSET in BAR 0 is a register that keeps what is written to it until a reset: it
 * must be 0 each time. With "leak" each round leaves something of every kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenstore.h>

#define BARS 6
#define MOST_LEFT 64
#define MORE (8UL << 20)
#define PAGE 4096UL
#define DIRT 0x00ff00f0u
/* Where nothing is: RAM of the guest, and its BARs. */
#define RAM 0x100
#define HOLE 0xf0000
#define RAM_PAGES 16
#define POOL 0x200000UL
/* Of Xen 4.22, where 0 is dom0's number; older versions take it, too, for "any number". */
#ifndef DOMID_ANY
#define DOMID_ANY 0x7ff5
#endif
/* Of the guest. */
#define VECTOR 0x30

static struct {
	const char *name;
	__u32 sbdf, offset;
	int config;
	struct {
		unsigned long start, size;
		bool memory;
	} bar[BARS];
	unsigned int msix, entries, table_bar;
} function;

static xc_interface *xch;
static struct xs_handle *xs;
static bool leak;
static __u32 left[MOST_LEFT];
static unsigned int left_count;

static void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	printf("%s: ", function.name);
	vprintf(format, arguments);
	printf(": %s\n", strerror(error));
	va_end(arguments);
	exit(1);
}

static void must(const char *what, int result)
{
	if (result < 0)
		fail("%s", what);
}

static void tell(const char *file, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/pciback/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s", file);
	close(fd);
}

static void wait_for_state(const char *wanted)
{
	char path[128], state[32] = "";
	struct timespec pause = { .tv_nsec = 5000000 };

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/pciback/state", function.name);
	for (int i = 0; i < 4000; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t size = fd < 0 ? -1 : read(fd, state, sizeof(state) - 1);

		if (fd >= 0)
			close(fd);
		state[size < 0 ? 0 : size] = '\0';
		if (!strcmp(state, wanted))
			return;
		nanosleep(&pause, NULL);
	}
	fail("is not %.*s but %s", (int)strlen(wanted) - 1, wanted, state);
}

static __u32 config(unsigned int offset, unsigned int size)
{
	__u32 value = 0;

	must("configuration space", pread(function.config, &value, size, offset));
	return value;
}

static void set_config(unsigned int offset, __u16 value)
{
	must("writing configuration space", pwrite(function.config, &value, sizeof(value), offset));
}

/* As a device model: while xen-pciback has the function, whose file is another one then. */
static void open_config(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", function.name);
	function.config = open(path, O_RDWR | O_CLOEXEC);
	if (function.config < 0)
		fail("config");
	function.msix = 0;
	for (unsigned int cap = config(0x34, 1); cap; cap = config(cap + 1, 1)) {
		if (config(cap, 1) != 0x11)
			continue;
		function.msix = cap;
		function.entries = (config(cap + 2, 2) & 0x7ff) + 1;
		function.table_bar = config(cap + 4, 4) & 7;
	}
}

static void find_bars(void)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", function.name);
	file = fopen(path, "re");
	if (!file)
		fail("resource");
	for (int i = 0; i < BARS; i++) {
		unsigned long start, end, flags;

		if (fscanf(file, "%lx %lx %lx", &start, &end, &flags) != 3)
			fail("resource");
		if (!start)
			continue;
		function.bar[i].start = start;
		function.bar[i].size = end - start + 1;
		function.bar[i].memory = flags & 0x200;
	}
	fclose(file);
}

/* All BARs: whether the guest may use them, and those in memory: where it sees them. */
static void map_bars(__u32 domain, bool add)
{
	unsigned long gfn = HOLE;

	for (int i = 0; i < BARS; i++) {
		unsigned long start = function.bar[i].start, size = function.bar[i].size;
		unsigned long pages = (size + PAGE - 1) / PAGE;

		if (!size)
			continue;
		if (!function.bar[i].memory) {
			must("ports",
			     xc_domain_ioport_permission(xch, domain, start, size, add));
			continue;
		}
		if (add)
			must("memory",
			     xc_domain_iomem_permission(xch, domain, start / PAGE, pages, 1));
		must("mapping a BAR",
		     xc_domain_memory_mapping(xch, domain, gfn, start / PAGE, pages, add));
		if (!add)
			must("memory",
			     xc_domain_iomem_permission(xch, domain, start / PAGE, pages, 0));
		gfn += pages;
	}
}

static __u32 new_domain(void)
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
	xen_pfn_t frames[RAM_PAGES];
	__u32 domain = DOMID_ANY;

	must("creating a domain", xc_domain_create(xch, &domain, &settings));
	must("its processor", xc_domain_max_vcpus(xch, domain, 1));
	must("its page tables", xc_set_paging_mempool_size(xch, domain, POOL));
	must("its limit", xc_domain_setmaxmem(xch, domain, 1024));
	for (int i = 0; i < RAM_PAGES; i++)
		frames[i] = RAM + i;
	must("its memory", xc_domain_populate_physmap_exact(xch, domain, RAM_PAGES, 0, 0, frames));
	return domain;
}

static void destroy(__u32 domain)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	xc_domaininfo_t info;

	must("destroying a domain", xc_domain_destroy(xch, domain));
	for (int i = 0; i < 2000; i++) {
		if (xc_domain_getinfo_single(xch, domain, &info) < 0)
			return;
		nanosleep(&pause, NULL);
	}
	fail("domain %u stays", domain);
}

static void put(xs_transaction_t changes, const char *dir, const char *node, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	if (!xs_write(xs, changes, path, value, strlen(value)))
		fail("writing %s", path);
}

/* All at once: xenbus looks at a backend as soon as there is anything of it. */
static void add_backend(__u32 domain)
{
	char front[64], back[64], number[16];
	xs_transaction_t changes;
	bool done;

	snprintf(front, sizeof(front), "/local/domain/%u/device/pci/0", domain);
	snprintf(back, sizeof(back), "/local/domain/0/backend/pci/%u/0", domain);
	snprintf(number, sizeof(number), "%u", domain);
	do {
		changes = xs_transaction_start(xs);
		if (changes == XBT_NULL)
			fail("a transaction");
		put(changes, front, "backend", back);
		put(changes, front, "backend-id", "0");
		put(changes, front, "state", "1");
		put(changes, back, "frontend", front);
		put(changes, back, "frontend-id", number);
		put(changes, back, "online", "1");
		put(changes, back, "domain", "soak");
		put(changes, back, "dev-0", function.name);
		put(changes, back, "opts-0", "msitranslate=0,power_mgmt=0,permissive=0");
		put(changes, back, "state-0", "1");
		put(changes, back, "num_devs", "1");
		put(changes, back, "state", "1");
		done = xs_transaction_end(xs, changes, false);
	} while (!done && errno == EAGAIN);
	if (!done)
		fail("ending a transaction");
}

static void remove_backend(__u32 domain)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/0/backend/pci/%u", domain);
	xs_rm(xs, XBT_NULL, path);
	snprintf(path, sizeof(path), "/local/domain/%u", domain);
	xs_rm(xs, XBT_NULL, path);
}

static void use(void)
{
	char path[128];
	__u32 *page, *reg, left;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", function.name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || page == MAP_FAILED)
		fail("mapping BAR 0");
	reg = page + function.offset / sizeof(*page);
	errno = 0;
	left = __atomic_load_n(reg, __ATOMIC_RELAXED);
	if (left)
		fail("was not reset: what the last owner wrote is there: %x", left);
	__atomic_store_n(reg, DIRT, __ATOMIC_RELAXED);
	if (__atomic_load_n(reg, __ATOMIC_RELAXED) != DIRT)
		fail("does not keep what is written at %x", function.offset);
	munmap(page, PAGE);
	close(fd);
}

/* What a device model does with the function, and undoes. */
static void run(__u32 domain, int gsi)
{
	unsigned int bus = function.sbdf >> 8 & 0xff, devfn = function.sbdf & 0xff;
	unsigned int device = devfn >> 3;
	unsigned long table = function.msix ? function.bar[function.table_bar].start : 0;
	int pirqs[2], count = 0;

	if (gsi >= 0)
		must("binding INTx", xc_domain_bind_pt_pci_irq(xch, domain, gsi, 0, device, 0));
	map_bars(domain, true);
	set_config(0x04, config(0x04, 2) | 0x6);
	/* The first entry, and the last that device models see. */
	for (unsigned int entry = 0; table && count < 2; entry = function.entries - 1) {
		pirqs[count] = -1;
		must("mapping MSI-X",
		     xc_physdev_map_pirq_msi(xch, domain, -1, &pirqs[count], devfn, bus, entry,
					     table));
		must("binding MSI-X",
		     xc_domain_update_msi_irq(xch, domain, VECTOR + count, pirqs[count],
					      XEN_DOMCTL_VMSI_X86_UNMASKED, 0));
		count++;
		if (function.entries == 1)
			break;
	}
	use();
	while (count--) {
		must("unbinding MSI-X",
		     xc_domain_unbind_msi_irq(xch, domain, VECTOR + count, pirqs[count], 0));
		must("unmapping MSI-X", xc_physdev_unmap_pirq(xch, domain, pirqs[count]));
	}
	map_bars(domain, false);
	if (gsi >= 0)
		must("unbinding INTx",
		     xc_domain_unbind_pt_irq(xch, domain, gsi, PT_IRQ_TYPE_PCI, 0, device, 0, 0));
}

/* It stays until this program ends. */
static void leave_something(__u32 domain)
{
	xenevtchn_handle *events = xenevtchn_open(NULL, 0);
	void *memory = mmap(NULL, MORE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	char path[64];

	snprintf(path, sizeof(path), "left-%u", domain);
	put(XBT_NULL, "/tool/soak", path, "1");
	must("leaving an event channel",
	     events ? xenevtchn_bind_unbound_port(events, 0) : -1);
	if (memory == MAP_FAILED)
		fail("leaving memory");
	if (left_count == MOST_LEFT)
		fail("too much is left");
	left[left_count++] = new_domain();
}

static void tidy(void)
{
	while (left_count)
		destroy(left[--left_count]);
	xs_rm(xs, XBT_NULL, "/tool/soak");
}

static void round_of(void)
{
	char state[32];
	__u32 domain;
	int gsi, pirq = -1;

	tell("new_slot", function.name);
	tell("bind", function.name);
	open_config();
	must("quarantine", xc_assign_device(xch, DOMID_IO, function.sbdf, 0));
	domain = new_domain();

	gsi = xc_pcidev_get_gsi(xch, function.sbdf);
	if (gsi < 0 && errno != ENOENT)
		fail("its GSI");
	tell("do_flr", function.name);
	must("assigning it", xc_assign_device(xch, domain, function.sbdf, 0));
	if (gsi >= 0) {
		must("mapping INTx", xc_physdev_map_pirq(xch, domain, gsi, &pirq));
		must("permitting INTx",
		     xc_domain_gsi_permission(xch, domain, gsi, XEN_DOMCTL_GSI_GRANT));
	}
	add_backend(domain);
	snprintf(state, sizeof(state), "assigned %u\n", domain);
	wait_for_state(state);

	run(domain, pirq);

	if (gsi >= 0) {
		must("unmapping INTx", xc_physdev_unmap_pirq(xch, domain, pirq));
		must("forbidding INTx",
		     xc_domain_gsi_permission(xch, domain, gsi, XEN_DOMCTL_GSI_REVOKE));
	}
	tell("do_flr", function.name);
	must("taking it back", xc_deassign_device(xch, domain, function.sbdf));
	remove_backend(domain);
	destroy(domain);
	wait_for_state("clean\n");
	must("end of quarantine", xc_deassign_device(xch, DOMID_IO, function.sbdf));
	close(function.config);
	tell("unbind", function.name);
	tell("remove_slot", function.name);
	if (leak)
		leave_something(domain);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned int segment, bus, device, number;
	char line[32];

	if (argc < 3 || sscanf(argv[1], "%x:%x:%x.%x", &segment, &bus, &device, &number) != 4) {
		fprintf(stderr, "usage: handover SBDF OFFSET [leak]\n");
		return 2;
	}
	function.name = argv[1];
	function.sbdf = segment << 16 | bus << 8 | device << 3 | number;
	function.offset = strtoul(argv[2], NULL, 0);
	leak = argc > 3;
	find_bars();
	xch = xc_interface_open(NULL, NULL, 0);
	xs = xs_open(0);
	if (!xch || !xs)
		fail("Xen or XenStore");
	while (fgets(line, sizeof(line), stdin)) {
		int rounds = atoi(line);
		double began = now();
		xc_physinfo_t xen;

		for (int i = 0; i < rounds; i++)
			round_of();
		must("Xen's memory", xc_physinfo(xch, &xen));
		printf("%d rounds in %.1f s; %lu pages\n", rounds, now() - began, xen.free_pages);
		fflush(stdout);
	}
	tidy();
	return 0;
}
