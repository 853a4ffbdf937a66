/*
 * fetcher_process.c
 *	  Starting, feeding and ending imgapi-fetcher.
 *
 * Runs in dispatchers, and in client backends that have to look into a storage
 * themselves.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "extension/fetcher_process.h"
#include "extension/program.h"
#include "lib/stringinfo.h"

#define FETCHER_PROGRAM		"imgapi-fetcher"

void
img_fetcher_start(ImgFetcher *fetcher, int transfers)
{
	int			pair[2];
	char		count[32];
	char	   *argv[] = {FETCHER_PROGRAM, IMG_MODE_OWNED, img_sandbox_argument(), count, img_parent_argument(), NULL};

	snprintf(count, sizeof(count), "--transfers=%d", transfers);
	memset(fetcher, 0, sizeof(*fetcher));
	fetcher->socket = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not make a socket pair for the fetcher: %m")));
	fetcher->pid = img_program_spawn(argv, pair[1], -1);
	close(pair[1]);
	if (fetcher->pid < 0)
	{
		int			error = errno;

		close(pair[0]);
		fetcher->pid = 0;
		errno = error;
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the fetcher \"%s\": %m", img_program_path(FETCHER_PROGRAM)),
				 errhint("Install it: make install in the imgapi source, or the package that holds imgapi.")));
	}
	fetcher->socket = pair[0];
}

const char *
img_fetcher_end(ImgFetcher *fetcher)
{
	const char *how = img_program_end(fetcher->pid);

	if (fetcher->pid != 0 && fetcher->socket >= 0)
		close(fetcher->socket);
	fetcher->pid = 0;
	fetcher->socket = -1;
	fetcher->ready = false;
	return how;
}

static ImgFetchMethod
method_of(const char *name)
{
	static const char *const names[] = {
		[IMG_FETCH_GET] = "GET", [IMG_FETCH_HEAD] = "HEAD", [IMG_FETCH_PUT] = "PUT",
		[IMG_FETCH_POST] = "POST", [IMG_FETCH_DELETE] = "DELETE", [IMG_FETCH_PATCH] = "PATCH"
	};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	elog(ERROR, "the fetcher has no method %s", name);
}

/* Header lines, one string behind the other. */
static void
join_headers(StringInfo out, List *headers)
{
	ListCell   *cell;

	initStringInfo(out);
	foreach(cell, headers)
		appendBinaryStringInfo(out, lfirst(cell), strlen(lfirst(cell)) + 1);
}

bool
img_fetcher_send(ImgFetcher *fetcher, uint64 id, const ImgHttpRequest *request,
				 const ImgFetchBody *body, uint64 max_answer)
{
	StringInfoData headers;
	ImgFetch	fetch = {
		.id = id, .method = method_of(request->method), .url = request->url, .memfd = -1,
		.flags = (request->allow_private ? IMG_FETCH_ALLOW_PRIVATE : 0) | (request->follow ? IMG_FETCH_FOLLOW : 0),
		.limits = {
			.bytes = max_answer, .connect_ms = request->connect_timeout, .total_ms = request->timeout,
			.low_speed = 1, .low_speed_s = 30, .redirects = request->follow ? IMG_FETCH_MAX_REDIRECTS : 0
		}
	};
	bool		sent;

	if (request->body != NULL)
	{
		fetch.body = request->body;
		fetch.body_length = request->body_length;
	}
	else if (body != NULL)
	{
		fetch.body = body->data;
		fetch.memfd = body->memfd;
		fetch.body_offset = body->offset;
		fetch.body_length = body->length;
	}
	join_headers(&headers, request->headers);
	fetch.headers = headers.data;
	fetch.headers_length = headers.len;
	sent = img_fetch_start(fetcher->socket, &fetch, MSG_DONTWAIT) == 0;
	pfree(headers.data);
	return sent;
}

int
img_fetcher_receive(ImgFetcher *fetcher, ImgFetchReply *buffer, int *memfd, uint64 max_answer)
{
	int			nfds = 0;
	ssize_t		got;

	*memfd = -1;
	got = img_receive(fetcher->socket, buffer, IMG_MAX_MESSAGE, memfd, 1, &nfds, MSG_DONTWAIT);
	if (nfds == 0)
		*memfd = -1;
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (got > 0 && img_fetch_reply_valid(buffer, got, *memfd, max_answer))
	{
		if (fetcher->ready)
			return 1;
		fetcher->ready = buffer->id == 0 && buffer->outcome == IMG_FETCH_DONE;
		if (fetcher->ready)
			return 0;
	}
	if (*memfd >= 0)
		close(*memfd);
	return -1;
}
