/*
 * wire.c
 *	  Sending and receiving of whole messages with descriptors.
 *
 * Compiled into imgapi.so and into imgapi-executor: no PostgreSQL, no libvips.
 * Callers in PostgreSQL processes pass MSG_DONTWAIT and wait on latches.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocol/wire.h"

#define MAX_PARTS	4

int
img_send(int socket, const ImgPart *parts, int count, const int *fds, int nfds, int flags)
{
	struct iovec iov[MAX_PARTS];
	union
	{
		struct cmsghdr align;
		char		space[CMSG_SPACE(sizeof(int) * IMG_MAX_SLOT_FDS)];
	}			control;
	struct msghdr message = {.msg_iov = iov};
	ssize_t		sent;

	if (count > MAX_PARTS || nfds > IMG_MAX_SLOT_FDS)
	{
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < count; i++)
	{
		if (parts[i].length == 0)
			continue;
		iov[message.msg_iovlen].iov_base = (void *) parts[i].data;
		iov[message.msg_iovlen++].iov_len = parts[i].length;
	}
	if (nfds > 0)
	{
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
	}
	do
		sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

/* Keeps the first max_fds descriptors of a message and closes the others. */
static void
take_descriptors(struct msghdr *message, int *fds, int max_fds, int *nfds)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
		 header = CMSG_NXTHDR(message, header))
	{
		int			n;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (int i = 0; i < n; i++)
		{
			int			fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (*nfds < max_fds)
				fds[(*nfds)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t
img_receive(int socket, void *buffer, size_t size, int *fds, int max_fds, int *nfds, int flags)
{
	struct iovec iov = {buffer, size};
	union
	{
		struct cmsghdr align;
		char		space[CMSG_SPACE(sizeof(int) * IMG_MAX_SLOT_FDS)];
	}			control;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t		got;

	*nfds = 0;
	do
		got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	take_descriptors(&message, fds, max_fds, nfds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
	{
		while (*nfds > 0)
			close(fds[--*nfds]);
		errno = EMSGSIZE;
		return -1;
	}
	return got;
}

int
img_write_all(int fd, const void *data, size_t length, off_t at)
{
	size_t		done = 0;

	while (done < length)
	{
		ssize_t		n = pwrite(fd, (const char *) data + done, length - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

int
img_read_all(int fd, void *data, size_t length, off_t at)
{
	size_t		done = 0;

	while (done < length)
	{
		ssize_t		n = pread(fd, (char *) data + done, length - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			if (n == 0)
				errno = EIO;
			return -1;
		}
		done += n;
	}
	return 0;
}

bool
img_facts_valid(const ImgFacts *facts)
{
	return memchr(facts->color_space, 0, sizeof(facts->color_space)) != NULL &&
		memchr(facts->taken_at, 0, sizeof(facts->taken_at)) != NULL;
}

bool
img_reply_valid(const ImgReply *reply, size_t length, uint64_t id, bool has_memfd, uint64_t max_output)
{
	uint64_t	inline_length;

	if (length < sizeof(ImgReply) || reply->magic != IMG_WIRE_MAGIC ||
		reply->version != IMG_WIRE_VERSION || reply->id != id ||
		reply->outcome > IMG_MISFIT || reply->stage > IMG_STAGE_ENCODE ||
		reply->text_length > IMG_MAX_TEXT || reply->output_length > max_output)
		return false;
	if (!img_facts_valid(&reply->source) || !img_facts_valid(&reply->output))
		return false;
	switch (reply->place)
	{
		case IMG_NOWHERE:
			inline_length = 0;
			break;
		case IMG_INLINE:
			inline_length = reply->output_length;
			break;
		case IMG_MEMFD:
			if (!has_memfd)
				return false;
			inline_length = 0;
			break;
		default:
			return false;
	}
	if (inline_length > IMG_INLINE_OUTPUT)
		return false;
	return length == sizeof(ImgReply) + reply->text_length + inline_length;
}

void
img_make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}
