// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz-calls SECONDS SEED SBDF...
 *
 * System calls with random arguments on /dev/xen/pcidev, and the look-up of
 * /dev/xen/privcmd, from two tasks, while a third one closes files and takes
 * memory away.
 *
 * Checked is what holds whatever is asked for: a call that refuses writes nothing,
 * none writes further than it may, an answer is one that the function may have, an
 * error is one that is documented, and every one of these is seen. Ends with 1 if
 * it is not so, and says what was tried.
 */
#include <poll.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "privcmd.h"

#define INFO_WORDS (sizeof(struct xen_pcidev_info) / 4)

enum { GSI, INFO, LIST, RESERVED, PRIVCMD, OTHER, KINDS };

static const struct {
	const char *name;
	unsigned int number;
	/* How it ends, now and then; -1 ends the list. */
	int outcomes[8];
} kinds[KINDS] = {
	[GSI] = { "GET_GSI", XEN_PCIDEV_GET_GSI, { 0, EINVAL, EFAULT, ENODEV, ENOENT, -1 } },
	[INFO] = { "GET_INFO", XEN_PCIDEV_GET_INFO, { 0, EINVAL, EFAULT, ENODEV, -1 } },
	[LIST] = { "GET_LIST", XEN_PCIDEV_GET_LIST, { 0, EINVAL, EFAULT, ENOENT, ENOSPC, -1 } },
	[RESERVED] = { "GET_RESERVED", XEN_PCIDEV_GET_RESERVED, { 0, EINVAL, EFAULT, ENODEV, -1 } },
	[PRIVCMD] = { "privcmd", IOCTL_PRIVCMD_PCIDEV_GET_GSI, { 0, EFAULT, ENODEV, ENOENT, -1 } },
	[OTHER] = { "other numbers", 0, { ENOTTY, -1 } },
};

static atomic_ulong seen[KINDS][256];

struct call {
	int kind;
	unsigned int number;
	__u32 words[INFO_WORDS];
};

/* What another task may close or take away at any time. */
static atomic_int shared_files[8];
static char *shared_memory;

static int shared_file(struct task *task)
{
	return shared_files[below(task, ARRAY_SIZE(shared_files))];
}

static const struct function *find(__u32 sbdf)
{
	for (unsigned int i = 0; i < count; i++) {
		if (functions[i].sbdf == sbdf)
			return &functions[i];
	}
	return NULL;
}

static __u32 some_sbdf(struct task *task)
{
	__u32 sbdf = any_function(task)->sbdf;

	switch (below(task, 8)) {
	case 0:
		return any(task);
	case 1:
		return sbdf ^ 1U << below(task, 32);
	case 2:
		return sbdf & ~7U;
	default:
		return sbdf;
	}
}

static __u32 some_size(struct task *task, __u32 least)
{
	static const __u32 odd[] = { 0, 1, 3, 4, 8, 0x7fffffff, 0x80000000, 0xfffffffc, -1 };

	switch (below(task, 8)) {
	case 0:
		return odd[below(task, ARRAY_SIZE(odd))];
	case 1:
		return least - 4 + below(task, 9);
	case 2:
		return any(task);
	case 3:
		return least;
	default:
		return least + 4 * below(task, 2 * count);
	}
}

static __u32 some_flags(struct task *task)
{
	switch (below(task, 8)) {
	case 0:
		return 1U << below(task, 32);
	case 1:
		return any(task);
	case 2:
		return XEN_PCIDEV_BY_GSI | XEN_PCIDEV_BY_IRQ;
	default:
		return 0;
	}
}

/* Near one that there is: another number, direction or size, or a bit. */
static unsigned int other_number(struct task *task)
{
	unsigned int number = kinds[below(task, RESERVED + 1)].number;

	switch (below(task, 4)) {
	case 0:
		return _IO(XEN_PCIDEV_IOC_TYPE, 4 + below(task, 252));
	case 1:
		return number | (1 + below(task, 3)) << _IOC_DIRSHIFT;
	case 2:
		return number | (1 + below(task, 0x3fff)) << _IOC_SIZESHIFT;
	default:
		return number ^ 1U << (8 + below(task, 24));
	}
}

static struct call some_call(struct task *task)
{
	struct call call = { .kind = below(task, KINDS) };

	call.number = kinds[call.kind].number;
	for (unsigned int i = 0; i < INFO_WORDS; i++)
		call.words[i] = any(task);
	switch (call.kind) {
	case PRIVCMD:
		call.words[0] = some_sbdf(task);
		break;
	case LIST:
		call.words[0] = some_size(task, sizeof(struct xen_pcidev_list));
		call.words[1] = once_in(task, 3) ? some_flags(task) : below(task, 3);
		call.words[2] = below(task, 48);
		break;
	default:
		if (call.kind == OTHER)
			call.number = other_number(task);
		call.words[0] = some_size(task, call.kind == RESERVED
						? sizeof(struct xen_pcidev_reserved)
						: sizeof(struct xen_pcidev_info));
		call.words[1] = some_flags(task);
		call.words[2] = some_sbdf(task);
	}
	return call;
}

static void note(const struct call *call, int error)
{
	atomic_fetch_add(&seen[call->kind][error & 255], 1);
	/* Not everywhere is a pin without a route; a file may be closed. */
	if (error == ENXIO || error == EBADF)
		return;
	/* Nor is memory reserved. */
	if (error == ENOSPC && call->kind == RESERVED)
		return;
	for (const int *outcome = kinds[call->kind].outcomes; *outcome >= 0; outcome++) {
		if (error == *outcome)
			return;
	}
	fail("%s (%#x): %s\n", kinds[call->kind].name, call->number, name_of(error));
}

static void check_info(const struct call *call, const struct xen_pcidev_info *info)
{
	const struct function *function = find(call->words[2]);
	struct xen_pcidev_info wanted;

	if (!function) {
		fail("sbdf %#x: answered, but there is none\n", call->words[2]);
		return;
	}
	/* What does not change while functions are seized and given back. */
	wanted = function->info;
	wanted.argsz = call->words[0];
	wanted.valid = (wanted.valid & XEN_PCIDEV_VALID_GSI) |
		       (info->valid & ~XEN_PCIDEV_VALID_GSI);
	wanted.irq = info->irq;
	wanted.holder = info->holder;
	wanted.domid = info->domid;
	wanted.msix = info->msix;
	if (memcmp(&wanted, info, sizeof(wanted)) || info->valid > 7 || info->holder > 2 ||
	    info->msix > 2)
		fail("%s: valid %#x gsi %u pin %u entries %u holder %u msix %u\n", function->name,
		     info->valid, info->gsi, info->pin, info->msix_entries, info->holder,
		     info->msix);
}

static void check_list(const struct call *call, const struct xen_pcidev_list *list)
{
	if (sizeof(*list) + 4 * list->count > call->words[0] || list->count > count ||
	    (!call->words[1] && list->count != count)) {
		fail("GET_LIST: flags %#x: %u functions in %u bytes\n", call->words[1],
		     list->count, call->words[0]);
		return;
	}
	for (unsigned int i = 0; i < list->count; i++) {
		if (!find(list->sbdf[i]) || (i && list->sbdf[i] <= list->sbdf[i - 1]))
			fail("GET_LIST: flags %#x: sbdf %#x\n", call->words[1], list->sbdf[i]);
	}
}

static void check_reserved(const struct call *call, const struct xen_pcidev_reserved *reserved)
{
	const struct xen_pcidev_region *regions = reserved->regions;

	if (!find(reserved->sbdf) || reserved->valid || reserved->pad ||
	    (call->words[0] - sizeof(*reserved)) / sizeof(*regions) < reserved->count) {
		fail("GET_RESERVED: sbdf %#x: %u regions in %u bytes\n", reserved->sbdf,
		     reserved->count, call->words[0]);
		return;
	}
	for (unsigned int i = 0; i < reserved->count; i++) {
		if (!regions[i].size || (regions[i].start | regions[i].size) % PAGE ||
		    (i && regions[i].start <= regions[i - 1].start))
			fail("GET_RESERVED: sbdf %#x: %#llx+%#llx\n", reserved->sbdf,
			     regions[i].start, regions[i].size);
	}
}

/* Checks an answer; returns the bytes that it takes. */
static size_t check_answer(const struct call *call, const __u32 *answer)
{
	const struct function *function;

	switch (call->kind) {
	case PRIVCMD:
		function = find(call->words[0]);
		if (!function || function->gsi_error || answer[1] != function->info.gsi)
			fail("privcmd: sbdf %#x: gsi %u\n", call->words[0], answer[1]);
		return sizeof(struct privcmd_pcidev_get_gsi);
	case LIST:
		check_list(call, (const struct xen_pcidev_list *)answer);
		return sizeof(struct xen_pcidev_list) + 4 * answer[6];
	case RESERVED:
		check_reserved(call, (const struct xen_pcidev_reserved *)answer);
		return sizeof(struct xen_pcidev_reserved) +
		       answer[4] * sizeof(struct xen_pcidev_region);
	case OTHER:
		return 0;
	default:
		check_info(call, (const struct xen_pcidev_info *)answer);
		return sizeof(struct xen_pcidev_info);
	}
}

/* On the task's own file, with memory that is all there: there is one right answer. */
static void call_strictly(struct task *task, const int *files)
{
	struct call call = some_call(task);
	__u32 before[PAGE / 4], buffer[PAGE / 4];
	size_t written = 0;
	int error;

	for (unsigned int i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = i < INFO_WORDS ? call.words[i] : 0xa5a5a5a5 ^ i;
	memcpy(buffer, before, sizeof(buffer));
	error = ioctl(files[call.kind == PRIVCMD], call.number, buffer) ? errno : 0;
	note(&call, error);
	if (error == EFAULT || error == EBADF)
		fail("%s: %s, with nothing wrong\n", kinds[call.kind].name, name_of(error));
	if (!error)
		written = check_answer(&call, buffer);
	else if (error == ENOSPC)
		written = call.kind == RESERVED ? sizeof(struct xen_pcidev_reserved)
						: sizeof(struct xen_pcidev_list);
	if (call.kind < PRIVCMD && written > call.words[0])
		written = call.words[0];
	if (written > sizeof(buffer))
		written = sizeof(buffer);
	if (call.kind < PRIVCMD && memcmp(buffer, before, 3 * sizeof(__u32)))
		fail("%s (%#x): what the caller said was overwritten\n", kinds[call.kind].name,
		     call.number);
	if (memcmp((char *)buffer + written, (char *)before + written, sizeof(buffer) - written))
		fail("%s (%#x), argsz %u, %s: more was written than %zu bytes\n",
		     kinds[call.kind].name, call.number, call.words[0], name_of(error), written);
}

/* On any file, with memory that is not all there, or not for long. */
static void call_loosely(struct task *task, const int *files, char *hole)
{
	static const unsigned long nowhere[] = {
		0, 1, 4095, 0x7ffffffff000, 0x800000000000, 0x8000000000000000,
		0xffff888000001000, 0xffffffff81000000, -PAGE, -4, -1,
	};
	struct call call = some_call(task);
	unsigned int length = 4 * below(task, INFO_WORDS + 1);
	int fd = files[call.kind == PRIVCMD];
	char *arg;

	switch (below(task, 5)) {
	case 0:
		arg = (char *)nowhere[below(task, ARRAY_SIZE(nowhere))];
		break;
	case 1: /* Ends in the hole, at any alignment. */
		arg = hole - length - below(task, 4) * once_in(task, 4);
		memcpy(arg, call.words, length);
		break;
	case 2: /* Cannot be written. */
		arg = hole + PAGE;
		break;
	default:
		/* Comes and goes: let the kernel write there, who finds it missing. */
		arg = shared_memory + below(task, 3 * PAGE) / 4 * 4;
		if (pread(files[2], arg, sizeof(call.words), 0) < 0 && errno != EFAULT)
			fail("pread: %s\n", name_of(errno));
	}
	if (call.kind != PRIVCMD && once_in(task, 2))
		fd = shared_file(task);
	note(&call, ioctl(fd, call.number, arg) ? errno : 0);
}

/* Everything else that can be done with a file. */
static void use_file(struct task *task)
{
	char buffer[64];
	size_t size = 1 + below(task, sizeof(buffer));
	int fd = shared_file(task);
	struct pollfd polled = { .fd = fd, .events = any(task) };

	switch (below(task, 6)) {
	case 0:
		if (pread(fd, buffer, size, any(task)) >= 0)
			fail("read: accepted\n");
		break;
	case 1:
		if (pwrite(fd, buffer, size, any(task)) >= 0)
			fail("write: accepted\n");
		break;
	case 2:
		if (mmap(NULL, PAGE << below(task, 4), below(task, 8), 1 + below(task, 2), fd,
			 (off_t)below(task, 16) * PAGE) != MAP_FAILED)
			fail("mmap: accepted\n");
		break;
	case 3:
		poll(&polled, 1, 0);
		break;
	case 4:
		lseek(fd, any(task), below(task, 6));
		break;
	default:
		fcntl(fd, F_SETFL, once_in(task, 2) ? O_NONBLOCK : 0);
	}
}

static void *calls(void *data)
{
	struct task *task = data;
	struct call call = some_call(task);
	__u32 good[] = { sizeof(struct xen_pcidev_info), 0, functions[0].sbdf };
	int files[] = {
		open("/dev/xen/pcidev", O_RDWR | O_CLOEXEC),
		open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC),
		memfd_create("words", MFD_CLOEXEC),
	};
	char *hole = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (hole == MAP_FAILED || write(files[2], call.words, sizeof(call.words)) < 0)
		exit(2);
	hole += PAGE;
	memcpy(hole + PAGE, good, sizeof(good));
	mprotect(hole, PAGE, PROT_NONE);
	mprotect(hole + PAGE, PAGE, PROT_READ);
	coverage_begin(&task->coverage);
	for (; !is_over(); task->uses++) {
		switch (below(task, 8)) {
		case 0:
			use_file(task);
			break;
		case 1:
		case 2:
		case 3:
			call_loosely(task, files, hole);
			break;
		default:
			call_strictly(task, files);
		}
		coverage_take(&task->coverage);
	}
	return NULL;
}

static void replace_file(struct task *task, int fd)
{
	close(atomic_exchange(&shared_files[below(task, ARRAY_SIZE(shared_files))], fd));
}

/* Closes, opens and duplicates what the others use, and takes memory from them. */
static void *spoil(void *data)
{
	static const int flags[] = { O_RDWR, O_RDONLY, O_WRONLY, O_PATH, O_RDWR | O_NONBLOCK };
	struct task *task = data;

	for (; !is_over(); usleep(below(task, 1000))) {
		char *page = shared_memory + PAGE * below(task, 4);

		switch (below(task, 5)) {
		case 0:
			replace_file(task, dup(shared_file(task)));
			break;
		case 1:
			replace_file(task, open("/dev/xen/pcidev",
						O_CLOEXEC | flags[below(task, ARRAY_SIZE(flags))]));
			break;
		case 2:
			mprotect(page, PAGE, below(task, 4));
			break;
		case 3:
			madvise(page, PAGE, MADV_DONTNEED);
			break;
		default:
			mmap(page, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		}
	}
	return NULL;
}

static void show_outcomes(int kind)
{
	printf("%s:", kinds[kind].name);
	for (int error = 0; error < 256; error++) {
		if (seen[kind][error])
			printf(" %s %lu", name_of(error), seen[kind][error]);
	}
	printf("\n");
	for (const int *outcome = kinds[kind].outcomes; *outcome >= 0; outcome++) {
		if (!seen[kind][*outcome])
			fail("%s: never %s\n", kinds[kind].name, name_of(*outcome));
	}
}

int main(int argc, char **argv)
{
	unsigned long long seed = prepare(argc, argv);
	struct task tasks[2], spoiler;

	shared_memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	if (shared_memory == MAP_FAILED)
		return 2;
	for (unsigned int i = 0; i < ARRAY_SIZE(shared_files); i++)
		shared_files[i] = open("/dev/xen/pcidev", O_RDWR | O_CLOEXEC);
	begin(&spoiler, 2, seed, spoil);
	begin(&tasks[0], 0, seed, calls);
	begin(&tasks[1], 1, seed, calls);
	report(tasks, "/dev/xen/pcidev");
	pthread_join(spoiler.thread, NULL);
	for (int kind = 0; kind < KINDS; kind++)
		show_outcomes(kind);
	return failures != 0;
}
