/*
 * immediate_client.c
 *	  One picture, right now, from a client backend.
 *
 * The pool's executors accept on a socket in the data directory; the kernel
 * queues whoever comes while all are busy.  Every request is a connection of
 * its own, so an executor that dies, or a session that gives up, concerns
 * nobody else.  Without a pool the session starts an executor for itself and
 * keeps it.
 *
 * After any error in between, socket and memory file are thrown away: an
 * executor may still be writing to them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "extension/executor_process.h"
#include "extension/imgapi.h"
#include "extension/immediate_client.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

/* Beyond the executor's own deadline, before we stop believing in it. */
#define GRACE_MS	5000

/* How often a caller in the pool looks whether there still is one. */
#define POOL_CHECK_MS	5000

/* This session's memory file for the pool; -1: none yet. */
static int	memfd = -1;

/* This session's own executor, where there is no pool. */
static ImgExecutor own = {.socket = -1};
static uint64 requests = 0;

static uint32
wait_event(void)
{
	static uint32 cached = 0;

	return img_wait_event(&cached, "ImgapiExecutor");
}

static bool
pool_lives(void)
{
	return img_shared != NULL && img_shared->launcher != 0 && img_shared->launcher_status.executors > 0;
}

/* A connection to the pool, or -1 when there is none. */
static int
connect_to_pool(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			sock;

	if (!pool_lives())
		return -1;
	/* relative: we are in the data directory, and its path may be too long */
	strlcpy(address.sun_path, IMG_POOL_SOCKET, sizeof(address.sun_path));
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not make a socket: %m")));
	while (connect(sock, (struct sockaddr *) &address, sizeof(address)) != 0)
	{
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
		{
			close(sock);
			return -1;
		}
		/* More sessions wait than the kernel queues: there is no event for this. */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, wait_event());
		ResetLatch(MyLatch);
		if (InterruptPending)
		{
			close(sock);
			CHECK_FOR_INTERRUPTS();
			return connect_to_pool();
		}
	}
	return sock;
}

static void
end_own_executor(int code, Datum arg)
{
	(void) img_executor_end(&own);
}

static void
start_own_executor(void)
{
	static bool registered = false;

	if (own.pid != 0)
		return;
	if (!registered)
	{
		before_shmem_exit(end_own_executor, 0);
		registered = true;
	}
	img_executor_start(&own, 1);
}

/*
 * Waits until the socket has something to read.  In the pool others may be
 * before us, so there is no deadline but the user's statement_timeout; only if
 * the whole pool has died would nobody ever answer.
 */
static void
wait_for_answer(int sock, TimestampTz deadline)
{
	for (;;)
	{
		long		left = deadline == DT_NOEND ? POOL_CHECK_MS :
			TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		int			events;

		if (left <= 0 || (deadline == DT_NOEND && !pool_lives()))
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("no image executor has answered in time"),
					 errhint("See img_worker for the state of the executors; imgapi.executors sets how many there are.")));
		events = WaitLatchOrSocket(MyLatch,
								   WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								   sock, left, wait_event());
		if (events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
		if (events & WL_SOCKET_READABLE)
			return;
	}
}

/* Receives one answer; NULL: the executor is gone. */
static char *
receive_answer(int sock, TimestampTz deadline, size_t *length)
{
	char	   *packet = palloc(IMG_MAX_MESSAGE);

	for (;;)
	{
		ssize_t		got;
		int			nfds;

		wait_for_answer(sock, deadline);
		got = img_receive(sock, packet, IMG_MAX_MESSAGE, NULL, 0, &nfds, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			continue;
		*length = Max(got, 0);
		return got > 0 ? packet : NULL;
	}
}

static TimestampTz
deadline_for(const ImgLimits *limits, bool in_pool)
{
	return in_pool ? DT_NOEND :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) limits->milliseconds + GRACE_MS);
}

/* Does not return. */
static void
executor_died(const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("the image executor died while it worked on this picture%s%s", how ? ": " : "", how ? how : ""),
			 errhint("The picture may be broken or hostile. Others are not affected.")));
}

/*
 * False: the executor had closed the connection before it got the request.  It
 * does so when nothing comes for some time (wire.h), as happens where there
 * are more sessions than processors.
 */
static bool
ask_pool(int sock, ImgRequestType type, const ImgPlan *plan, const ImgLimits *limits,
		 const ImgInput *input, ImgAnswer *answer)
{
	ImgRequest	request;
	ImgPart		parts[IMG_REQUEST_PARTS];
	char	   *packet;
	size_t		size;

	img_request_parts(&request, parts, type, ++requests, limits, plan, input);
	if (memfd < 0)
		memfd = img_new_memfd();
	if (request.place == IMG_MEMFD)
		img_memfd_put(memfd, input);
	if (img_send(sock, parts, IMG_REQUEST_PARTS, &memfd, 1, MSG_DONTWAIT) != 0)
	{
		if (errno == EPIPE || errno == ECONNRESET)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not send to an image executor: %m")));
	}
	packet = receive_answer(sock, deadline_for(limits, true), &size);
	if (packet == NULL || !img_read_answer(packet, size, request.id, memfd, answer))
		executor_died(NULL);
	pfree(packet);
	img_trim_memfd(memfd, Max(img_input_length(input), answer->reply.output_length));
	return true;
}

static void
ask_own(ImgRequestType type, const ImgPlan *plan, const ImgLimits *limits,
		const ImgInput *input, ImgAnswer *answer)
{
	char	   *packet;
	size_t		size;

	start_own_executor();
	if (!own.ready)
	{
		packet = receive_answer(own.socket, deadline_for(limits, false), &size);
		if (packet == NULL || !img_read_answer(packet, size, 0, -1, answer))
			executor_died(img_executor_end(&own));
		pfree(packet);
		own.ready = true;
	}
	if (img_input_length(input) > IMG_INLINE_INPUT)
		img_memfd_put(own.memfd[0], input);
	if (!img_executor_send(&own, 0, type, ++requests, limits, plan, input))
		executor_died(img_executor_end(&own));
	packet = receive_answer(own.socket, deadline_for(limits, false), &size);
	if (packet == NULL || !img_read_answer(packet, size, requests, own.memfd[0], answer))
		executor_died(img_executor_end(&own));
	pfree(packet);
	img_trim_memfd(own.memfd[0], Max(img_input_length(input), answer->reply.output_length));
}

void
img_ask_executor(ImgRequestType type, const ImgPlan *plan,
				 const ImgInput *input, ImgAnswer *answer)
{
	ImgLimits	limits = img_limits();
	volatile int sock = connect_to_pool();
	volatile bool done = false;

	PG_TRY();
	{
		while (sock >= 0 && !ask_pool(sock, type, plan, &limits, input, answer))
		{
			close(sock);
			sock = -1;
			CHECK_FOR_INTERRUPTS();
			sock = connect_to_pool();
		}
		if (sock < 0)
			ask_own(type, plan, &limits, input, answer);
		done = true;
	}
	PG_FINALLY();
	{
		if (sock >= 0)
			close(sock);
		if (!done && sock >= 0 && memfd >= 0)
		{
			close(memfd);
			memfd = -1;
		}
		if (!done && sock < 0)
			(void) img_executor_end(&own);
	}
	PG_END_TRY();
}
