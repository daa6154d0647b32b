// SPDX-License-Identifier: GPL-2.0
/*
 * ask privcmd|gsi|info|sysfs SBDF...: what one of the interfaces says of functions.
 * ask list [gsi N | irq N]: the functions that it lists.
 * ask reserved ROOM SBDF...: the memory reserved for each, with room for so many regions.
 *
 * One line per function, with the answer or the name of the error. It is the
 * bare ABI, with nothing between: the tests compare the interfaces with each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xen/pcidev.h>

#include "privcmd.h"

#define ROOM 4096

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "ask: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	return fd;
}

static unsigned int parse(const char *name)
{
	unsigned int segment, bus, device, function;

	if (sscanf(name, "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4) {
		fprintf(stderr, "ask: no such address: %s\n", name);
		exit(2);
	}
	return segment << 16 | bus << 8 | device << 3 | function;
}

static void print_field(const char *name, int holds, unsigned int value)
{
	if (holds)
		printf(" %s=%u", name, value);
	else
		printf(" %s=-", name);
}

static void print_info(const struct xen_pcidev_info *info)
{
	int routed = info->valid & XEN_PCIDEV_VALID_GSI;

	print_field("gsi", routed, info->gsi);
	print_field("irq", info->valid & XEN_PCIDEV_VALID_IRQ, info->irq);
	print_field("pin", 1, info->pin);
	print_field("trigger", routed, info->trigger);
	print_field("polarity", routed, info->polarity);
	print_field("holder", 1, info->holder);
	print_field("domid", info->valid & XEN_PCIDEV_VALID_DOMID, info->domid);
	print_field("entries", 1, info->msix_entries);
	print_field("msix", 1, info->msix);
}

static int ask_privcmd(int fd, const char *name)
{
	struct privcmd_pcidev_get_gsi arg = { .sbdf = parse(name) };

	if (ioctl(fd, IOCTL_PRIVCMD_PCIDEV_GET_GSI, &arg))
		return -1;
	printf("%s %u", name, arg.gsi);
	return 0;
}

static int ask_pcidev(int fd, const char *name, unsigned int request)
{
	struct xen_pcidev_info info = { .argsz = sizeof(info), .sbdf = parse(name) };

	if (ioctl(fd, request, &info))
		return -1;
	printf("%s", name);
	if (request == XEN_PCIDEV_GET_GSI)
		printf(" %u", info.gsi);
	else
		print_info(&info);
	return 0;
}

static int ask_reserved(int fd, const char *name, unsigned int room)
{
	struct xen_pcidev_reserved *reserved = calloc(1, sizeof(*reserved) + ROOM);
	int ret;

	if (!reserved || room > ROOM / sizeof(reserved->regions[0]))
		exit(2);
	reserved->argsz = sizeof(*reserved) + room * sizeof(reserved->regions[0]);
	reserved->sbdf = parse(name);
	ret = ioctl(fd, XEN_PCIDEV_GET_RESERVED, reserved);
	printf("%s count=%u", name, reserved->count);
	for (unsigned int i = 0; i < room && reserved->regions[i].size; i++)
		printf(" %#llx+%#llx", reserved->regions[i].start, reserved->regions[i].size);
	free(reserved);
	return ret;
}

/* The first line of a file of a function, spaces as dashes, or the error. */
static void print_file(const char *name, const char *file)
{
	char path[128], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/xen/%s", name, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		snprintf(text, sizeof(text), "%s%s", fd < 0 ? "open-" : "", strerrorname_np(errno));
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if (*c == ' ')
			*c = '-';
	printf(" %s=%s", file, text);
	if (fd >= 0)
		close(fd);
}

/* The pin is what configuration space says, for comparison. */
static void ask_sysfs(const char *name)
{
	unsigned char pin = 0;
	char path[128];
	int fd;

	printf("%s", name);
	print_file(name, "gsi");
	print_file(name, "irq");
	print_file(name, "intx");
	print_file(name, "msix");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &pin, 1, 0x3d) != 1)
		printf(" pin=%s\n", strerrorname_np(errno));
	else
		printf(" pin=%u\n", pin);
	if (fd >= 0)
		close(fd);
}

static int list(int argc, char **argv)
{
	struct xen_pcidev_list *list = calloc(1, sizeof(*list) + ROOM * sizeof(__u32));
	int fd = open_node("/dev/xen/pcidev");

	if (!list)
		return 2;
	list->argsz = sizeof(*list) + ROOM * sizeof(__u32);
	if (argc == 2 && !strcmp(argv[0], "gsi")) {
		list->flags = XEN_PCIDEV_BY_GSI;
		list->line = strtoul(argv[1], NULL, 0);
	} else if (argc == 2 && !strcmp(argv[0], "irq")) {
		list->flags = XEN_PCIDEV_BY_IRQ;
		list->line = strtoul(argv[1], NULL, 0);
	} else if (argc) {
		return 2;
	}
	if (ioctl(fd, XEN_PCIDEV_GET_LIST, list)) {
		puts(strerrorname_np(errno));
		return 0;
	}
	for (unsigned int i = 0; i < list->count; i++)
		printf("%04x:%02x:%02x.%u\n", list->sbdf[i] >> 16, list->sbdf[i] >> 8 & 0xff,
		       list->sbdf[i] >> 3 & 0x1f, list->sbdf[i] & 7);
	free(list);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	int fd, privcmd;

	if (argc >= 2 && !strcmp(argv[1], "list"))
		return list(argc - 2, argv + 2);
	if (argc < 3) {
		fprintf(stderr, "usage: ask privcmd|gsi|info|sysfs SBDF...\n"
				"       ask list [gsi N | irq N]\n"
				"       ask reserved ROOM SBDF...\n");
		return 2;
	}
	if (!strcmp(argv[1], "sysfs")) {
		for (int i = 2; i < argc; i++)
			ask_sysfs(argv[i]);
		return 0;
	}
	if (!strcmp(argv[1], "reserved")) {
		fd = open_node("/dev/xen/pcidev");
		for (int i = 3; i < argc; i++) {
			if (ask_reserved(fd, argv[i], strtoul(argv[2], NULL, 0)))
				printf(" %s", strerrorname_np(errno));
			putchar('\n');
		}
		return 0;
	}
	privcmd = !strcmp(argv[1], "privcmd");
	fd = open_node(privcmd ? "/dev/xen/privcmd" : "/dev/xen/pcidev");
	for (int i = 2; i < argc; i++) {
		int ret;

		if (privcmd)
			ret = ask_privcmd(fd, argv[i]);
		else
			ret = ask_pcidev(fd, argv[i], strcmp(argv[1], "gsi") ? XEN_PCIDEV_GET_INFO
									    : XEN_PCIDEV_GET_GSI);
		if (ret)
			printf("%s %s", argv[i], strerrorname_np(errno));
		putchar('\n');
	}
	close(fd);
	return 0;
}
