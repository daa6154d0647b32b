// SPDX-License-Identifier: GPL-2.0
/*
 * hostile-device SEED SECONDS SBDF
 *
 * Run in a guest: writes all that the owner of a function may write: its
 * configuration space, its BARs, its MSI-X table, and resets it and puts it to
 * sleep meanwhile. The guest may well not survive that.
 */
#include "hostile.h"
#include "pci-function.h"

static struct function f;
static __u32 header[16];
static unsigned int power, express, msix, msi;
/* Where the pending bits of MSI-X are: a BAR and an offset, as the register tells. */
static __u32 pending;
/* Whether addresses are written, too: the guest's memory is no more safe then. */
static int reckless;

static void write_config(unsigned int at, unsigned int size, __u32 value)
{
	count(config_write(&f, at, size, value));
}

static void anywhere_in_config(void)
{
	static const unsigned int ends[] = { 0x40, 0x100, 0x1000 };
	unsigned int size = 1 << below(3), at = below(ends[below(ARRAY_SIZE(ends))]) & -size;

	if (at >= f.size || (!reckless && at >= 0x10 && at < 0x34))
		return;
	write_config(at, size, nasty());
}

static void in_bar(void)
{
	int bar = below(BARS);
	size_t most = f.length[bar] / 4, at;

	if (!f.bar[bar] || !most)
		return;
	/* Most registers are at the beginning. */
	if (below(2) && most > 1024)
		most = 1024;
	at = below(most);
	/* Xen stops a guest that writes to this page while the table is held, which ends all. */
	if (msix && bar == (int)(pending & 7) && at / 1024 == pending / 4096)
		return;
	mmio_write(f.bar[bar] + at, nasty());
	count(1);
}

static void in_table(void)
{
	__u32 *at;

	if (!f.table)
		return;
	at = f.table + below(f.entries) * 4;
	switch (below(4)) {
	case 0:
		mmio_write(at, below(2) ? 0xfee00000 | (nasty() & 0xfffff) : nasty());
		break;
	case 1:
		mmio_write(at + 1, nasty());
		break;
	case 2:
		mmio_write(at + 2, nasty());
		break;
	default:
		mmio_write(at + 3, nasty());
	}
	count(1);
	if (msix && !below(2))
		write_config(msix + 2, 2, any() >> 48);
	if (msi && !below(8))
		write_config(msi + 2, 2, nasty());
}

static void sleep_or_wake(void)
{
	if (power)
		write_config(power + 4, 2, below(4));
}

static void function_level_reset(void)
{
	if (express)
		write_config(express + 8, 2, config_read(&f, express + 8, 2) | 0x8000);
}

/* By the guest's kernel. */
static void reset_file(void)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/reset", f.dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	count(write(fd, "1", 1) == 1);
	close(fd);
}

/* As it was, for what follows to reach the function again. */
static void repair(void)
{
	if (power)
		write_config(power + 4, 2, 0);
	for (unsigned int at = 0x10; at < 0x28; at += 4)
		write_config(at, 4, header[at / 4]);
	write_config(4, 2, 7);
}

static void step(void)
{
	switch (below(64)) {
	case 0:
		function_level_reset();
		break;
	case 1:
		reset_file();
		break;
	case 2 ... 4:
		sleep_or_wake();
		break;
	case 5 ... 8:
		repair();
		break;
	case 9 ... 24:
		in_table();
		break;
	case 25 ... 44:
		in_bar();
		break;
	default:
		anywhere_in_config();
	}
}

int main(int argc, char **argv)
{
	double end;

	if (argc != 4) {
		fprintf(stderr, "usage: hostile-device SEED SECONDS SBDF\n");
		return 2;
	}
	if (open_function(&f, argv[3]))
		die(argv[3]);
	begin(argv[1]);
	for (unsigned int at = 0; at < sizeof(header); at += 4)
		header[at / 4] = config_read(&f, at, 4);
	power = capability(&f, CAP_PM);
	express = capability(&f, CAP_EXP);
	msix = capability(&f, CAP_MSIX);
	msi = capability(&f, CAP_MSI);
	if (msix)
		pending = config_read(&f, msix + 8, 4);
	repair();
	for (end = now() + atof(argv[2]) / 2; now() < end;)
		step();
	say();
	reckless = 1;
	for (end = now() + atof(argv[2]) / 2; now() < end;)
		step();
	say();
	/* Whatever state that was, the function is left busy. */
	if (msix)
		write_config(msix + 2, 2, 0x8000);
	write_config(4, 2, 7);
	return 0;
}
