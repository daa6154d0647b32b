// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz-files SECONDS SEED SBDF...
 *
 * Reads all files of xen-pcidev and xen-pciback in sysfs at odd places, and writes
 * to those of the driver what is well-formed, nearly so, or not at all, from two
 * tasks. The functions given are seized, reset and given back by that.
 *
 * Checked is what holds whatever is written: what makes no sense is refused, an
 * error is one that is documented, each file takes some texts and refuses others,
 * and pieces of a file that does not change are those of the whole. Ends with 1 if
 * it is not so, and says what was tried.
 */
#include "fuzz.h"

#define PCIBACK "/sys/bus/pci/drivers/pciback/"
/* Uses of a file after which it should have been accepted once, and refused once. */
#define ENOUGH 200

static const char *const written_files[] = {
	"new_slot", "remove_slot", "do_flr", "permissive", "allow_interrupt_control", "quirks",
	"irq_handler_state", "bind", "unbind",
};

static atomic_ulong accepted[ARRAY_SIZE(written_files)], refused[ARRAY_SIZE(written_files)];

/* Writes an address in one of the forms that there are, or nearly. */
static int some_address(struct task *task, char *text, size_t room)
{
	const struct function *function = once_in(task, 2) ? any_function(task) : any_spare(task);
	unsigned int segment = function->sbdf >> 16, bus = function->sbdf >> 8 & 0xff;
	unsigned int device = function->sbdf >> 3 & 31, number = function->sbdf & 7;

	switch (below(task, 8)) {
	case 0:
		return snprintf(text, room, "%s", strchr(function->name, ':') + 1);
	case 1:
		return snprintf(text, room, " %x:%x:%x.%x\n", segment, bus, device, number);
	case 2:
		return snprintf(text, room, "%04x:%02x:%02x.*", segment, bus, device);
	case 3:
		return snprintf(text, room, "%02x:*.*", once_in(task, 2) ? bus : below(task, 256));
	case 4:
		return snprintf(text, room, "%04x:%02x:%02x.%x", below(task, 3), below(task, 256),
				below(task, 40), below(task, 9));
	default:
		return snprintf(text, room, "%s", function->name);
	}
}

/* Changes a text somewhere; returns its length, which is below the room. */
static int mutate(struct task *task, char *text, int length, int room)
{
	static const char special[] = "\0\xff*:.-+()\n z0g";
	char letter = special[below(task, sizeof(special) - 1)];
	int at = length ? (int)below(task, length) : 0;

	switch (below(task, 6)) {
	case 0:
		text[at] ^= 1 << below(task, 8);
		return length ?: 1;
	case 1:
		text[at] = letter;
		return length ?: 1;
	case 2:
		return at;
	case 3:
		if (2 * length >= room)
			return length;
		memcpy(text + length, text, length);
		return 2 * length;
	case 4: /* Longer than a page now and then. */
		memset(text + at, letter, room - at);
		return at + below(task, room - at);
	default:
		if (!length)
			return 0;
		memmove(text + at, text + at + 1, length - at - 1);
		return length - 1;
	}
}

static int write_text(const char *name, const char *text, int length, off_t offset)
{
	char path[128];
	int fd, error;

	snprintf(path, sizeof(path), PCIBACK "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	error = pwrite(fd, text, length, offset) < 0 ? errno : 0;
	close(fd);
	return error;
}

static void write_file(struct task *task)
{
	unsigned int which = below(task, ARRAY_SIZE(written_files));
	const char *name = written_files[which];
	bool by_name = strstr(name, "bind");
	char text[2 * PAGE];
	int length, error;

	if (by_name)
		length = snprintf(text, sizeof(text), "%s", any_spare(task)->name);
	else
		length = some_address(task, text, sizeof(text));
	if (!strcmp(name, "quirks"))
		length += snprintf(text + length, sizeof(text) - length, "-%x:%x:%x",
				   below(task, 0x1100), 1 << below(task, 4), 1U << below(task, 32));
	if (once_in(task, 3)) {
		for (unsigned int times = 1 + below(task, 3); times; times--)
			length = mutate(task, text, length, sizeof(text));
		/* No other function of this machine, whose driver needs it. */
		if (by_name) {
			text[0] = 'z';
			length = length ?: 1;
		}
	}
	error = write_text(name, text, length, once_in(task, 4) ? below(task, 10000) : 0);
	if (error)
		refused[which]++;
	else if (length)
		accepted[which]++;
	/* A file takes a page at most. */
	if (!error && length <= PAGE && memchr(text, 'z', length))
		fail("%s: accepted '%.*s'\n", name, length, text);
	switch (error) {
	case 0:
	case EINVAL:
	case ENODEV:
	case ENOENT:
	case ENOTTY:
	case EBUSY:
	case EIO:
		return;
	default:
		fail("%s: %s for '%.*s'\n", name, name_of(error), length, text);
	}
}

/* Whether a file is the same for as long as its function is there. */
static bool is_constant(const char *path)
{
	return strstr(path, "/xen/gsi") || strstr(path, "/xen/intx") ||
	       strstr(path, "/pciback/reset");
}

/* Reads a file whole, and in a piece. */
static void read_file(struct task *task, const char *path)
{
	char whole[2 * PAGE], piece[2 * PAGE];
	size_t size = 1 + below(task, once_in(task, 2) ? 8 : sizeof(piece));
	off_t from = below(task, once_in(task, 2) ? 16 : 6000);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length, found, wanted;

	/* Functions that are seized come and go. */
	if (fd < 0)
		return;
	length = pread(fd, whole, sizeof(whole), 0);
	found = pread(fd, piece, size, from);
	close(fd);
	if (length < 0 || found < 0 || !is_constant(path))
		return;
	wanted = length > from ? length - from : 0;
	if (wanted > (ssize_t)size)
		wanted = size;
	if (found != wanted || memcmp(piece, whole + from, found))
		fail("%s: %zd bytes from %ld on are not those of the whole\n", path, found,
		     (long)from);
}

static void find_files(glob_t *found)
{
	glob(PCIBACK "*", 0, NULL, found);
	glob("/sys/bus/pci/devices/*/xen/*", GLOB_APPEND, NULL, found);
	glob("/sys/bus/pci/devices/*/pciback/*", GLOB_APPEND, NULL, found);
	glob("/sys/module/xen_pci*/parameters/*", GLOB_APPEND, NULL, found);
}

static void *files(void *data)
{
	struct task *task = data;
	glob_t found = { 0 };

	coverage_begin(&task->coverage);
	for (; !is_over(); task->uses++) {
		/* Seized ones have more. */
		if (!(task->uses % 256)) {
			globfree(&found);
			find_files(&found);
		}
		if (once_in(task, 2))
			write_file(task);
		else
			read_file(task, found.gl_pathv[below(task, found.gl_pathc)]);
		coverage_take(&task->coverage);
	}
	globfree(&found);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long long seed = prepare(argc, argv);
	struct task tasks[2];

	begin(&tasks[0], 3, seed, files);
	begin(&tasks[1], 4, seed, files);
	report(tasks, "files in sysfs");
	for (unsigned int i = 0; i < ARRAY_SIZE(written_files); i++) {
		printf("%s: %lu accepted, %lu refused\n", written_files[i], accepted[i],
		       refused[i]);
		if (accepted[i] + refused[i] >= ENOUGH && (!accepted[i] || !refused[i]))
			fail("%s: always the same\n", written_files[i]);
	}
	return failures != 0;
}
