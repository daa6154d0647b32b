// SPDX-License-Identifier: GPL-2.0
/*
 * pci-picture [-a] SBDF
 *
 * What the next owner of a function finds, a line for each register of its
 * header, its capabilities, and its extended configuration space, and for each
 * entry of its MSI-X table. What changes by itself is left out. With -a also
 * what is between the capabilities: the specification does not say what that
 * is, and what a reset makes of it.
 */
#include "pci-function.h"

/* Then, an MSI that is disabled keeps its address and data. */
static int is_reset_by_power(const struct function *f)
{
	char path[160], method[4] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/reset_method", f->dir);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(method, sizeof(method), file))
		method[0] = '\0';
	fclose(file);
	return !strncmp(method, "pm", 2);
}

/* The bits of the long at `at` that tell nothing. */
static __u32 volatile_bits(const struct function *f, unsigned int at)
{
	unsigned int express = capability(f, CAP_EXP);
	unsigned int msi = capability(f, CAP_MSI);

	if (at == 4)		/* STATUS */
		return 0xffff0000;
	if (express && at == express + 8)	/* device status */
		return 0xffff0000;
	if (express && at == express + 16)	/* link status */
		return 0xffff0000;
	if (msi && at > msi && at < msi + 16 && is_reset_by_power(f))
		return ~0u;
	return 0;
}

/* Of a capability at this place. */
static unsigned int length(const struct function *f, unsigned int at)
{
	switch (config_read(f, at, 1)) {
	case CAP_PM:
		return 8;
	case CAP_MSI:
		/* The address has 64 bits; each vector can be masked. */
		return 12 + (config_read(f, at + 2, 2) & 0x80 ? 4 : 0) +
		       (config_read(f, at + 2, 2) & 0x100 ? 8 : 0);
	case CAP_EXP:
		/* In the first version, what a function without a slot has of it. */
		return (config_read(f, at + 2, 2) & 0xf) > 1 ? 60 : 20;
	case CAP_MSIX:
		return 12;
	default:
		return 4;
	}
}

static int is_specified(const struct function *f, unsigned int register_at)
{
	unsigned int at = config_read(f, 0x34, 1) & 0xfc;

	if (register_at < 0x40 || register_at >= 0x100)
		return 1;
	for (int left = 48; at && left; left--) {
		if (register_at >= at && register_at < at + length(f, at))
			return 1;
		at = config_read(f, at + 1, 1) & 0xfc;
	}
	return 0;
}

static void registers(const struct function *f, int all)
{
	for (unsigned int at = 0; at < f->size; at += 4)
		if (all || is_specified(f, at))
			printf("register %03x %08x\n", at,
			       config_read(f, at, 4) & ~volatile_bits(f, at));
}

static void power_state(const struct function *f)
{
	unsigned int at = capability(f, CAP_PM);

	if (at)
		printf("power D%u\n", config_read(f, at + 4, 2) & 3);
}

/* Only who has the function sees it: for others all bits are set. */
static void table(const struct function *f)
{
	for (unsigned int entry = 0; f->table && entry < f->entries; entry++) {
		__u32 *at = f->table + entry * 4;

		printf("MSI-X entry %u %08x%08x %08x %08x\n", entry, mmio_read(at + 1),
		       mmio_read(at), mmio_read(at + 2), mmio_read(at + 3));
	}
}

int main(int argc, char **argv)
{
	int all = argc > 2 && !strcmp(argv[1], "-a");
	struct function f;

	if (argc != 2 + all) {
		fprintf(stderr, "usage: pci-picture [-a] SBDF\n");
		return 2;
	}
	if (open_function(&f, argv[1 + all])) {
		perror(argv[1 + all]);
		return 2;
	}
	registers(&f, all);
	power_state(&f);
	table(&f);
	return 0;
}
