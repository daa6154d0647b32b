// SPDX-License-Identifier: GPL-2.0
/*
 * badinput sizes|again|flags|pointers|numbers|addresses|calls|denied
 *
 * Gives /dev/xen/pcidev what it has to refuse, and checks the error and that no
 * byte was written. Says what went wrong, and ends with 1 then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/pcidev.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CANARY 0xa5
#define ROOM 256

static const struct call {
	const char *name;
	unsigned int request;
	size_t size;
} calls[] = {
	{ "GET_GSI", XEN_PCIDEV_GET_GSI, sizeof(struct xen_pcidev_info) },
	{ "GET_INFO", XEN_PCIDEV_GET_INFO, sizeof(struct xen_pcidev_info) },
	{ "GET_LIST", XEN_PCIDEV_GET_LIST, sizeof(struct xen_pcidev_list) },
	{ "GET_RESERVED", XEN_PCIDEV_GET_RESERVED, sizeof(struct xen_pcidev_reserved) },
};

static int fd, failures;

static void fail(const char *call, const char *what, unsigned long value, const char *found)
{
	printf("%s, %s %#lx: %s\n", call, what, value, found);
	failures++;
}

/* Issues a call that has to fail with this error, or with 0 to succeed. */
static void expect(const struct call *call, void *arg, int error, const char *what,
		   unsigned long value)
{
	int found = ioctl(fd, call->request, arg) ? errno : 0;

	if (found != error)
		fail(call->name, what, value, found ? strerrorname_np(found) : "accepted");
}

/* The same, with the argument in a buffer of which the call may write `size` bytes. */
static void expect_writes(const struct call *call, const void *arg, size_t length, size_t size,
			  int error, const char *what, unsigned long value)
{
	unsigned char before[ROOM], buffer[ROOM];

	memset(before, CANARY, sizeof(before));
	memcpy(before, arg, length);
	memcpy(buffer, before, sizeof(buffer));
	expect(call, buffer, error, what, value);
	if (memcmp(buffer + size, before + size, sizeof(buffer) - size))
		fail(call->name, what, value, "more was written than may be");
}

/* Only argsz, flags and the rest 0: function 0000:00:00.0, or all functions. */
static void fill(__u32 *words, __u32 argsz, __u32 flags)
{
	memset(words, 0, sizeof(struct xen_pcidev_info));
	words[0] = argsz;
	words[1] = flags;
}

static void sizes(void)
{
	__u32 words[sizeof(struct xen_pcidev_info) / 4];

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call *call = &calls[i];
		const __u32 small[] = { 0, 1, 3, 4, 8, 12, call->size - 4, call->size - 1 };
		const __u32 large[] = { call->size + 1, call->size + 4, 0x7fffffff, 0xffffffff };

		for (unsigned int j = 0; j < ARRAY_SIZE(small); j++) {
			fill(words, small[j], 0);
			expect_writes(call, words, call->size, 0, EINVAL, "argsz", small[j]);
		}
		if (call->request == XEN_PCIDEV_GET_LIST) {
			/* Room for no function: the head says how much it takes. */
			for (__u32 more = 0; more < 4; more++) {
				fill(words, call->size + more, 0);
				expect_writes(call, words, call->size, call->size, ENOSPC,
					      "argsz", call->size + more);
			}
			continue;
		}
		for (unsigned int j = 0; j < ARRAY_SIZE(large); j++) {
			fill(words, large[j], 0);
			/* 0000:00:00.0 is a host bridge: no pin. */
			if (call->request == XEN_PCIDEV_GET_GSI)
				expect_writes(call, words, call->size, 0, ENOENT,
					      "argsz", large[j]);
			else
				expect_writes(call, words, call->size, call->size, 0,
					      "argsz", large[j]);
		}
	}
}

/* What the caller said stays: the same structure serves for the next call. */
static void again(void)
{
	struct {
		struct xen_pcidev_list head;
		__u32 sbdf[1024];
	} list = { .head.argsz = sizeof(list.head) };
	struct xen_pcidev_info info = { .argsz = sizeof(info) };
	const struct call *get_list = &calls[2];

	for (unsigned int i = 0; i < 3; i++) {
		expect(&calls[1], &info, 0, "call", i);
		if (info.argsz != sizeof(info) || info.flags || info.sbdf)
			fail("GET_INFO", "call", i, "changed what the caller said");
		expect(get_list, &list, ENOSPC, "call", i);
		if (list.head.argsz != sizeof(list.head) || list.head.flags || list.head.line)
			fail("GET_LIST", "call", i, "changed what the caller said");
	}
	/* As many as it said, and no room too much. */
	list.head.argsz += 4 * list.head.count;
	expect(get_list, &list, 0, "functions", list.head.count);
	list.head.argsz--;
	expect(get_list, &list, ENOSPC, "functions", list.head.count);
}

static void flags(void)
{
	__u32 words[sizeof(struct xen_pcidev_info) / 4];

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		for (unsigned int bit = 0; bit < 32; bit++) {
			__u32 flag = 1U << bit;

			if (calls[i].request == XEN_PCIDEV_GET_LIST && bit < 2)
				flag = XEN_PCIDEV_BY_GSI | XEN_PCIDEV_BY_IRQ;
			fill(words, calls[i].size, flag);
			expect_writes(&calls[i], words, calls[i].size, 0, EINVAL, "flags", flag);
		}
	}
}

static void pointers(void)
{
	static const unsigned long kernel[] = {
		0xffffffff81000000, 0xffff888000001000, 0x8000000000000000, -4096, -4,
	};
	long page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *unmapped = map + page, *readonly = map + 2 * page;

	if (map == MAP_FAILED)
		exit(2);
	/* Good but for its place, so that only writing to it can fail. */
	fill((__u32 *)readonly, sizeof(struct xen_pcidev_info), 0);
	mprotect(readonly, page, PROT_READ);
	munmap(unmapped, page);

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call *call = &calls[i];

		expect(call, NULL, EFAULT, "null pointer", 0);
		expect(call, unmapped, EFAULT, "unmapped pointer", 0);
		for (unsigned int j = 0; j < ARRAY_SIZE(kernel); j++)
			expect(call, (void *)kernel[j], EFAULT, "kernel pointer", kernel[j]);
		if (call->request != XEN_PCIDEV_GET_GSI)
			expect(call, readonly, EFAULT, "read-only pointer", 0);
		/* Cut off after each word; argsz is larger. */
		for (size_t length = 4; length < call->size; length += 4) {
			__u32 *words = (__u32 *)(unmapped - length);
			__u32 whole[sizeof(struct xen_pcidev_info) / 4];

			fill(whole, call->size, 0);
			memcpy(words, whole, length);
			if (call->request == XEN_PCIDEV_GET_GSI && length >= 12)
				break;	/* ENOENT before anything is written */
			expect(call, words, EFAULT, "cut off after bytes", length);
		}
	}
}

static void numbers(void)
{
	char buffer[ROOM] = { 0 };
	struct call call = { .name = "unknown number" };

	for (unsigned int number = 0; number < 256; number++) {
		if (number < ARRAY_SIZE(calls))
			continue;
		call.request = _IO(XEN_PCIDEV_IOC_TYPE, number);
		expect(&call, buffer, ENOTTY, "ioctl", call.request);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		const unsigned int others[] = {
			_IOC(_IOC_READ, XEN_PCIDEV_IOC_TYPE, i, 0),
			_IOC(_IOC_WRITE, XEN_PCIDEV_IOC_TYPE, i, 0),
			_IOC(_IOC_NONE, XEN_PCIDEV_IOC_TYPE, i, sizeof(struct xen_pcidev_info)),
			_IOC(_IOC_READ | _IOC_WRITE, XEN_PCIDEV_IOC_TYPE, i,
			     sizeof(struct xen_pcidev_info)),
			_IO('P', i), _IO(0xff, i),
		};

		for (unsigned int j = 0; j < ARRAY_SIZE(others); j++) {
			call.request = others[j];
			expect(&call, buffer, ENOTTY, "ioctl", call.request);
		}
	}
	call.request = 0xffffffff;
	expect(&call, buffer, ENOTTY, "ioctl", call.request);
}

static void addresses(void)
{
	static const __u32 absent[] = { 0xffffffff, 0xffff0000, 0x0000ffff, 0x80000000, 0x7fffffff,
					0x00010000, 0x0000ff00 };
	struct xen_pcidev_info info;

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].request == XEN_PCIDEV_GET_LIST)
			continue;
		for (unsigned int j = 0; j < ARRAY_SIZE(absent); j++) {
			fill((__u32 *)&info, sizeof(info), 0);
			info.sbdf = absent[j];
			expect_writes(&calls[i], &info, calls[i].size, 0, ENODEV, "sbdf",
				      absent[j]);
		}
	}
}

/* The other system calls on the device. */
static void other_calls(void)
{
	char buffer[16];

	if (read(fd, buffer, sizeof(buffer)) != -1 || errno != EINVAL)
		fail("read", "size", sizeof(buffer), "accepted, or not EINVAL");
	if (write(fd, buffer, sizeof(buffer)) != -1 || errno != EINVAL)
		fail("write", "size", sizeof(buffer), "accepted, or not EINVAL");
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED || errno != ENODEV)
		fail("mmap", "size", 4096, "accepted, or not ENODEV");
}

/* Every call fails with this error, whatever it is given. */
static void denied(int error)
{
	__u32 words[sizeof(struct xen_pcidev_info) / 4];

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		fill(words, calls[i].size, 0);
		expect_writes(&calls[i], words, calls[i].size, 0, error, "good argument", 0);
		expect(&calls[i], NULL, error, "null pointer", 0);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} groups[] = {
		{ "sizes", sizes }, { "again", again }, { "flags", flags },
		{ "pointers", pointers }, { "numbers", numbers },
		{ "addresses", addresses }, { "calls", other_calls },
	};
	const char *group = argc > 1 ? argv[1] : "";

	fd = open("/dev/xen/pcidev", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("open: %s\n", strerrorname_np(errno));
		return 1;
	}
	if (!strcmp(group, "denied")) {
		denied(EPERM);
		return failures != 0;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(groups); i++) {
		if (!strcmp(group, groups[i].name)) {
			groups[i].run();
			return failures != 0;
		}
	}
	fprintf(stderr,
		"usage: badinput sizes|again|flags|pointers|numbers|addresses|calls|denied\n");
	return 2;
}
