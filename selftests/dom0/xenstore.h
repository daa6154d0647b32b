/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XenStore, message by message: its library would refuse what is worth trying.
 */
#ifndef XENSTORE_H
#define XENSTORE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	XS_READ = 2,
	XS_WATCH = 4,
	XS_TRANSACTION_START = 6,
	XS_TRANSACTION_END = 7,
	XS_WRITE = 11,
	XS_MKDIR = 12,
	XS_RM = 13,
	XS_SET_PERMS = 14,
	XS_WATCH_EVENT = 15,
	XS_ERROR = 16,
};

#define XS_PAYLOAD 4096

struct xs_header {
	__u32 type, request, transaction, length;
};

static int xs_fd = -1;
static __u32 xs_transaction;
/* Events that came while an answer was waited for. */
static unsigned long xs_events;

/* By the kernel, whose thread for watches tells of changes then. */
static inline int xs_open(void)
{
	xs_fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
	return xs_fd;
}

/* By xenstored itself where it runs in this domain: much faster. */
static inline int xs_open_fast(void)
{
	struct sockaddr_un address = { AF_UNIX, "/run/xenstored/socket" };

	xs_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (xs_fd >= 0 && !connect(xs_fd, (struct sockaddr *)&address, sizeof(address)))
		return xs_fd;
	close(xs_fd);
	return xs_open();
}

static inline int xs_bytes(void *buffer, size_t length)
{
	for (char *at = buffer; length;) {
		ssize_t got = read(xs_fd, at, length);

		if (got <= 0)
			return -1;
		at += got;
		length -= got;
	}
	return 0;
}

/* The next message; its text, which ends with a zero, in `text`. */
static inline int xs_receive(struct xs_header *header, char text[XS_PAYLOAD + 1])
{
	if (xs_bytes(header, sizeof(*header)) || header->length > XS_PAYLOAD ||
	    xs_bytes(text, header->length))
		return -1;
	text[header->length] = '\0';
	return 0;
}

/* Sends PATH, a zero, and as many bytes of DATA; -1 if the kernel refuses it. */
static inline int xs_send(int type, const char *path, const void *data, size_t length)
{
	struct xs_header header = {
		.type = type, .transaction = xs_transaction,
		.length = strlen(path) + 1 + length,
	};
	char message[sizeof(header) + 2 * XS_PAYLOAD];
	size_t whole = sizeof(header) + header.length;

	if (whole > sizeof(message))
		return -1;
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), path, strlen(path) + 1);
	if (length)
		memcpy(message + whole - length, data, length);
	return write(xs_fd, message, whole) == (ssize_t)whole ? 0 : -1;
}

/* The type of the next answer: XS_ERROR if something was refused. */
static inline int xs_answer(char text[XS_PAYLOAD + 1])
{
	struct xs_header header;

	for (;;) {
		if (xs_receive(&header, text))
			return -1;
		if (header.type != XS_WATCH_EVENT)
			return header.type;
		xs_events++;
	}
}

static inline int xs_ask(int type, const char *path, const void *data, size_t length,
			 char text[XS_PAYLOAD + 1])
{
	return xs_send(type, path, data, length) ? -1 : xs_answer(text);
}

#endif
