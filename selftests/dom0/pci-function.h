/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A PCI function by its files in sysfs: configuration space, capabilities, BARs.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H

#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAP_PM 0x01
#define CAP_MSI 0x05
#define CAP_EXP 0x10
#define CAP_MSIX 0x11
#define BARS 6

struct function {
	char dir[128];
	int config;
	unsigned int size;	/* of configuration space, as far as it can be read */
	__u32 *bar[BARS];
	size_t length[BARS];
	__u32 *table;	/* of MSI-X, with this many entries */
	unsigned int entries;
};

static inline __u32 config_read(const struct function *f, unsigned int at, unsigned int size)
{
	__u32 value = 0;

	return pread(f->config, &value, size, at) == (ssize_t)size ? value : ~0u;
}

static inline int config_write(const struct function *f, unsigned int at, unsigned int size,
			       __u32 value)
{
	return pwrite(f->config, &value, size, at) == (ssize_t)size;
}

/* Registers behind a BAR: exactly one access of 32 bits each. */
static inline __u32 mmio_read(__u32 *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static inline void mmio_write(__u32 *at, __u32 value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

/* Where a capability is; 0 if there is none. */
static inline unsigned int capability(const struct function *f, __u8 id)
{
	unsigned int at = config_read(f, 0x34, 1) & 0xfc;

	for (int left = 48; at && left; left--) {
		if (config_read(f, at, 1) == id)
			return at;
		at = config_read(f, at + 1, 1) & 0xfc;
	}
	return 0;
}

static inline void map_bar(struct function *f, int bar)
{
	char path[160];
	struct stat info;
	int fd;

	snprintf(path, sizeof(path), "%s/resource%d", f->dir, bar);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info))
		return;
	f->bar[bar] = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (f->bar[bar] == MAP_FAILED)
		f->bar[bar] = NULL;
	else
		f->length[bar] = info.st_size;
	close(fd);
}

static inline int open_function(struct function *f, const char *sbdf)
{
	char path[160];
	unsigned int at, where;

	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/sys/bus/pci/devices/%s", sbdf);
	snprintf(path, sizeof(path), "%s/config", f->dir);
	f->config = open(path, O_RDWR | O_CLOEXEC);
	if (f->config < 0)
		return -1;
	f->size = config_read(f, 4092, 4) == ~0u && config_read(f, 256, 4) == ~0u ? 256 : 4096;
	for (int bar = 0; bar < BARS; bar++)
		map_bar(f, bar);
	at = capability(f, CAP_MSIX);
	if (!at)
		return 0;
	where = config_read(f, at + 4, 4);
	f->entries = (config_read(f, at + 2, 2) & 0x7ff) + 1;
	if ((where & 7) < BARS && f->bar[where & 7] &&
	    (where & ~7u) + f->entries * 16 <= f->length[where & 7])
		f->table = f->bar[where & 7] + (where & ~7u) / 4;
	return 0;
}

#endif
