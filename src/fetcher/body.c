/*
 * body.c
 *	  Bodies of requests and answers.
 *
 * Runs in imgapi-fetcher, called by libcurl.  A small body stays in memory, a
 * larger one goes through it into a memory file, so that this process is as
 * small after 100 MB as before.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fetcher/transfer.h"

size_t
img_body_read(char *buffer, size_t size, size_t count, void *context)
{
	ImgTransfer *transfer = context;
	uint64_t	left = transfer->request.body_length - transfer->sent;
	size_t		length = size * count < left ? size * count : left;
	ssize_t		got = length;

	if (transfer->outgoing_fd >= 0)
	{
		do
			got = pread(transfer->outgoing_fd, buffer, length,
						transfer->request.body_offset + transfer->sent);
		while (got < 0 && errno == EINTR);
		/* the owner has shortened what it promised to leave alone */
		if (got < 0 || (got == 0 && length > 0))
		{
			img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_SEND, "could not read the body of the request");
			return CURL_READFUNC_ABORT;
		}
	}
	else if (length > 0)
		memcpy(buffer, transfer->outgoing + transfer->sent, length);
	transfer->sent += got;
	return got;
}

/* A kept connection turned out to be dead: the body is sent again. */
int
img_body_seek(void *context, curl_off_t offset, int origin)
{
	ImgTransfer *transfer = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t) offset > transfer->request.body_length)
		return CURL_SEEKFUNC_CANTSEEK;
	transfer->sent = offset;
	return CURL_SEEKFUNC_OK;
}

static bool
too_large(ImgTransfer *transfer, uint64_t length)
{
	uint64_t	limit = transfer->request.limits.bytes;
	curl_off_t	announced = -1;

	if (transfer->received == 0)
		curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	if (announced > 0 && (uint64_t) announced > limit)
		img_fail(transfer, IMG_FETCH_LIMIT, IMG_FETCH_AT_TRANSFER,
				 "the answer has %lld bytes, and %llu are allowed", (long long) announced, (unsigned long long) limit);
	else if (transfer->received + length > limit)
		img_fail(transfer, IMG_FETCH_LIMIT, IMG_FETCH_AT_TRANSFER,
				 "the answer has more than the %llu bytes that are allowed", (unsigned long long) limit);
	return transfer->outcome != IMG_FETCH_DONE;
}

static bool
append(int fd, const char *data, size_t length)
{
	while (length > 0)
	{
		ssize_t		n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		length -= n;
	}
	return true;
}

/* From memory to a file. */
static bool
spill(ImgTransfer *transfer)
{
	transfer->incoming_fd = memfd_create("imgapi", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return transfer->incoming_fd >= 0 &&
		append(transfer->incoming_fd, (char *) transfer->incoming, transfer->received);
}

size_t
img_body_write(char *data, size_t size, size_t count, void *context)
{
	ImgTransfer *transfer = context;
	size_t		length = size * count;

	if (length == 0)
		return 0;
	if (too_large(transfer, length))
		return 0;
	if (transfer->incoming_fd < 0 && transfer->received + length <= IMG_FETCH_INLINE)
		memcpy(transfer->incoming + transfer->received, data, length);
	else if ((transfer->incoming_fd < 0 && !spill(transfer)) || !append(transfer->incoming_fd, data, length))
	{
		img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_TRANSFER,
				 "could not keep the answer: %s", strerror(errno));
		return 0;
	}
	transfer->received += length;
	return length;
}

void
img_body_drop(ImgTransfer *transfer)
{
	if (transfer->incoming_fd >= 0)
		close(transfer->incoming_fd);
	transfer->incoming_fd = -1;
	transfer->received = 0;
}

/* Whoever gets it may rely on it as on a file of its own. */
bool
img_body_seal(ImgTransfer *transfer)
{
	if (fcntl(transfer->incoming_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return true;
	return img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_TRANSFER,
					"could not keep the answer: %s", strerror(errno));
}
