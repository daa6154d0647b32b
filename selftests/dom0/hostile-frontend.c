// SPDX-License-Identifier: GPL-2.0
/*
 * hostile-frontend SEED SECONDS DIR [ANSWERS]
 * hostile-frontend -r|-w SEED SECONDS DIR
 * hostile-frontend -s DIR STATE...
 *
 * Run in a guest: connects the PCI frontend in this directory of XenStore by
 * hand, and sends the backend every operation with arguments of every kind. Says
 * what it offers ("grant N port N"), how many it has sent, and how many were
 * answered. With ANSWERS it stays connected, waits for most of the answers, ends when it has
 * so many, and directs one operation of ten at its first function; it says how many of these
 * were answered ("directed N"), and how many were done.
 *
 * With -r it connects again and again, in every state, with what it offers or,
 * with -w, also with what it does not have. It goes on until it is killed, and
 * says how often it did so within these SECONDS. With -s it goes through these
 * states of a frontend, and stays in the last.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "hostile.h"
#include "xenstore.h"

typedef __u16 domid_t;	/* which this takes for granted */
#include <xen/evtchn.h>
#include <xen/gntalloc.h>

#define PAGE 4096
#define OPERATIONS 10

/* struct xen_pci_sharedinfo, as in Xen's io/pciif.h. */
struct operation {
	__u32 cmd;
	__s32 err;
	__u32 domain, bus, devfn;
	__s32 offset, size;
	__u32 value, info;
	struct {
		__u16 vector, entry;
	} msix[128];
};

struct shared {
	__u32 flags;
	struct operation op, error;
};

#define ACTIVE 1u		/* the frontend wants an answer */
#define AER_ACTIVE 2u
#define AER_HANDLER 4u

static struct shared *shared;
static __u32 grant, port;
static int events, stays;
static unsigned long answered, directed, done;
static const char *dir;

static void offer_page(void)
{
	struct ioctl_gntalloc_alloc_gref request = { .flags = GNTALLOC_FLAG_WRITABLE, .count = 1 };
	int fd = open("/dev/xen/gntalloc", O_RDWR);

	if (fd < 0 || ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, &request))
		die("/dev/xen/gntalloc");
	grant = request.gref_ids[0];
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, request.index);
	if (shared == MAP_FAILED)
		die("mmap");
}

static void offer_channel(void)
{
	struct ioctl_evtchn_bind_unbound_port request = { .remote_domain = 0 };
	int result;

	events = open("/dev/xen/evtchn", O_RDWR);
	result = events < 0 ? -1 : ioctl(events, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &request);
	if (result < 0)
		die("/dev/xen/evtchn");
	port = result;
}

static void put(const char *node, __u32 value)
{
	static char text[XS_PAYLOAD + 1];
	char path[256], number[16];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	snprintf(number, sizeof(number), "%u", value);
	if (xs_ask(XS_WRITE, path, number, strlen(number), text) != XS_WRITE)
		fprintf(stderr, "%s: %s\n", path, text);
}

static void connect_to(__u32 reference, __u32 channel, __u32 state)
{
	put("pci-op-ref", reference);
	put("event-channel", channel);
	put("magic", 7);
	put("state", state);
}

/* Every operation that there is, with arguments that are right more often than not. */
static void direct(struct operation *op)
{
	__u32 size = 1u << below(3);

	op->cmd = below(6);
	op->domain = 0;
	op->bus = 0;
	op->devfn = 0;
	op->size = size;
	/* The header and capabilities more often than the rest. */
	op->offset = below(below(4) ? 256 : 4096) / size * size;
	op->value = op->cmd == 4 ? below(7) : nasty();
	for (int i = 0; i < 7; i++) {
		op->msix[i].entry = below(4) ? (__u32)i : below(8);
		op->msix[i].vector = 0;
	}
}

static int is_active(void)
{
	return __atomic_load_n(&shared->flags, __ATOMIC_ACQUIRE) & ACTIVE;
}

/* For a while. A port that has had an event is closed until its number is written. */
static void await_answer(void)
{
	struct pollfd event = { .fd = events, .events = POLLIN };
	__u32 which;

	while (is_active() && poll(&event, 1, 20) > 0) {
		if (read(events, &which, sizeof(which)) != sizeof(which) ||
		    write(events, &which, sizeof(which)) != sizeof(which))
			die("/dev/xen/evtchn");
	}
}

static void operate(__u32 cmd)
{
	struct ioctl_evtchn_notify notice = { .port = port };
	struct operation *op = &shared->op;
	__u32 flags = ACTIVE | (below(8) ? 0 : AER_HANDLER) | (below(16) ? 0 : AER_ACTIVE);
	__s32 mark = 0x5a5a5a5a;
	int is_directed = stays && !below(10), is_touched;

	op->cmd = cmd;
	op->err = mark;
	op->domain = below(2) ? 0 : nasty();
	op->bus = below(2) ? 0 : nasty();
	op->devfn = below(2) ? 0 : nasty();
	op->offset = below(2) ? below(4096) : nasty();
	op->size = below(2) ? 1u << below(3) : nasty();
	op->value = below(4) ? nasty() : below(130);
	op->info = nasty();
	for (int i = 0; i < 4; i++) {
		op->msix[below(128)].entry = nasty();
		op->msix[below(128)].vector = nasty();
	}
	if (is_directed)
		direct(op);
	/* The last, when all the rest is there. */
	__atomic_store_n(&shared->flags, flags, __ATOMIC_RELEASE);
	count(!ioctl(events, IOCTL_EVTCHN_NOTIFY, &notice));
	/* A backend has its chance. */
	if (!below(64))
		usleep(1000);
	if (stays && below(64))
		await_answer();
	/* Anybody has touched the page. */
	is_touched = __atomic_load_n(&shared->flags, __ATOMIC_ACQUIRE) != flags ||
		     __atomic_load_n(&op->err, __ATOMIC_ACQUIRE) != mark;
	answered += is_touched;
	directed += is_touched && is_directed;
	done += is_directed && !__atomic_load_n(&op->err, __ATOMIC_ACQUIRE);
}

static void offer(void)
{
	if (xs_open() < 0)
		die("/dev/xen/xenbus");
	offer_page();
	offer_channel();
	printf("grant %u port %u\n", grant, port);
}

static void reconnect(double end, int is_right)
{
	unsigned long connected = 0;

	for (int is_told = 0;; connected++) {
		if (is_right || below(4))
			connect_to(grant, port, 3 + below(6));
		else
			connect_to(nasty(), nasty(), below(10));
		for (int i = below(20); i; i--)
			operate(below(OPERATIONS));
		/* At times longer than a backend waits. */
		usleep(below(10) ? below(100000) : below(3000000));
		if (!is_told && now() > end) {
			printf("connected %lu answered %lu\n", connected, answered);
			fflush(stdout);
			is_told = 1;
		}
	}
}

static void stay(char **states)
{
	for (; *states; states++) {
		connect_to(grant, port, strtoul(*states, NULL, 0));
		sleep(1);
	}
	printf("stays\n");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned long wanted = -1;
	double end;

	if (!strcmp(mode, "-s") && argc > 3) {
		dir = argv[2];
		offer();
		stay(argv + 3);
		return 0;
	}
	if ((!strcmp(mode, "-r") || !strcmp(mode, "-w")) && argc == 5) {
		dir = argv[4];
		begin(argv[2]);
		offer();
		reconnect(now() + atof(argv[3]), mode[1] == 'r');
	}
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: hostile-frontend SEED SECONDS DIR [ANSWERS]\n"
				"       hostile-frontend -r|-w SEED SECONDS DIR\n"
				"       hostile-frontend -s DIR STATE...\n");
		return 2;
	}
	dir = argv[3];
	begin(argv[1]);
	offer();
	connect_to(grant, port, 3);
	stays = argc == 5;
	if (stays) {
		wanted = strtoul(argv[4], NULL, 0);
		sleep(1);
	}
	/* To ask for the time takes long. */
	for (end = now() + atof(argv[2]); answered < wanted && (tried % 16 || now() < end);) {
		/* From the beginning, with what is not there, in every state. */
		if (!stays && !below(500))
			connect_to(nasty(), nasty(), below(10));
		if (!stays && !below(100))
			connect_to(grant, port, 3 + below(2));
		operate(below(16) ? below(OPERATIONS + 2) : nasty());
	}
	connect_to(grant, port, 4);
	say();
	if (stays)
		printf("directed %lu, done %lu\n", directed, done);
	printf("answered %lu\n", answered);
	fflush(stdout);
	/* What was offered stays for whoever wants to look. */
	pause();
	return 0;
}
