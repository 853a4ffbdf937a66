/*
 * serve.c
 *	  Requests in, replies out.
 *
 * Runs in imgapi-fetcher, one thread (libcurl adds one for each name that is
 * being resolved).  A transfer is free, active, or finished; a finished one
 * waits for room in the socket and counts as under way until its reply is
 * sent.  So an owner that does not read its replies gets no more work done, and
 * the memory of this process is bounded whatever it is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetcher/resolver.h"
#include "fetcher/serve.h"
#include "fetcher/transfer.h"
#include "fetcher/watch.h"

/* socket and one more for a race of IPv6 and IPv4, body either way, a thread of
 * the resolver and how it wakes us */
#define DESCRIPTORS_EACH	8
#define DESCRIPTORS_BESIDE	64

/* Requests taken at a time, before those under way get their turn. */
#define BATCH		64

/* When replies cannot be sent for a reason that epoll does not see. */
#define RETRY_MS	50

static unsigned char message[IMG_MAX_MESSAGE] __attribute__((aligned(16)));

static CURLM *multi;
static ImgTransfer *transfers;
static unsigned maximum;
static unsigned under_way;
static ImgTransfer *free_list;
static ImgTransfer *finished;	/* oldest first */
static ImgTransfer **finished_end = &finished;
static uint32_t watched;		/* events of the owner's socket */
static bool stale;				/* take no more, end when done */

size_t
img_serve_descriptors(unsigned count)
{
	return DESCRIPTORS_BESIDE + (size_t) count * DESCRIPTORS_EACH;
}

bool
img_serve_start(unsigned count, size_t descriptors)
{
	size_t		possible = descriptors > DESCRIPTORS_BESIDE ? (descriptors - DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH : 0;

	maximum = count < possible ? count : possible;
	multi = curl_multi_init();
	transfers = calloc(maximum, sizeof(*transfers));
	if (maximum == 0 || multi == NULL || transfers == NULL || !img_watch_start(multi, descriptors) ||
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) maximum) != CURLM_OK)
		return false;
	for (unsigned i = maximum; i-- > 0;)
	{
		transfers[i].next = free_list;
		free_list = &transfers[i];
	}
	return true;
}

/* ------------------------------------------------------------------- replies */

static void
finish(ImgTransfer *transfer)
{
	transfer->active = false;
	transfer->next = NULL;
	*finished_end = transfer;
	finished_end = &transfer->next;
}

/* False: the owner is gone. */
static bool
send_replies(void)
{
	while (finished != NULL)
	{
		ImgTransfer *transfer = finished;

		if (img_reply(transfer, IMG_WIRE_FD) != 0)
			return errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM;
		finished = transfer->next;
		if (finished == NULL)
			finished_end = &finished;
		img_transfer_release(transfer);
		transfer->next = free_list;
		free_list = transfer;
		under_way--;
	}
	return true;
}

static void
collect(bool stop_when_stale)
{
	CURLMsg    *done;
	int			left;

	while ((done = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL	   *easy = done->easy_handle;
		CURLcode	result = done->data.result;
		ImgTransfer *transfer = NULL;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &transfer);
		curl_multi_remove_handle(multi, easy);
		if (img_transfer_finish(transfer, result))
		{
			if (curl_multi_add_handle(multi, easy) == CURLM_OK)
				continue;
			img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_REDIRECT, "out of memory");
		}
		if (stop_when_stale && transfer->stage == IMG_FETCH_AT_RESOLVE)
			stale = stale || img_resolver_changed();
		finish(transfer);
	}
}

/* ------------------------------------------------------------------ requests */

static void
start(const ImgFetchRequest *request, int memfd)
{
	ImgTransfer *transfer = free_list;

	free_list = transfer->next;
	under_way++;
	if (transfer->easy == NULL && !img_transfer_prepare(transfer))
		exit(EXIT_FAILURE);		/* no memory: the owner starts another */
	if (!img_transfer_begin(transfer, request, memfd))
		finish(transfer);
	else if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK)
	{
		img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_URL, "out of memory");
		finish(transfer);
	}
}

static void
cancel(uint64_t id)
{
	for (unsigned i = 0; i < maximum; i++)
	{
		ImgTransfer *transfer = &transfers[i];

		if (!transfer->active || transfer->request.id != id)
			continue;
		curl_multi_remove_handle(multi, transfer->easy);
		img_transfer_cancel(transfer);
		finish(transfer);
		return;
	}
}

/* The owner is trusted with nothing but its own requests: a fetcher that gets
 * nonsense ends, and the owner starts another. */
static bool
take(size_t length, int memfd)
{
	const ImgFetchRequest *request = (const ImgFetchRequest *) message;

	if (!img_fetch_request_valid(request, length, memfd))
	{
		if (memfd >= 0)
			close(memfd);
		return false;
	}
	if (memfd >= 0 && (request->type != IMG_FETCH_START || request->place != IMG_MEMFD))
		close(memfd);
	if (request->type == IMG_FETCH_CANCEL)
		cancel(request->id);
	else
		start(request, memfd);
	return true;
}

/* True: go on.  Else *status. */
static bool
take_requests(int *status)
{
	for (int i = 0; i < BATCH && under_way < maximum && !stale; i++)
	{
		int			memfd = -1;
		int			count;
		ssize_t		length = img_receive(IMG_WIRE_FD, message, sizeof(message), &memfd, 1, &count, MSG_DONTWAIT);

		if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		*status = length == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		if (length <= 0 || !take(length, count > 0 ? memfd : -1))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------------- loop */

/* Which events of the owner matter now; its end always does. */
static bool
watch_owner(void)
{
	uint32_t	wanted = (under_way < maximum && !stale ? EPOLLIN : 0) | (finished != NULL ? EPOLLOUT : 0);

	if (wanted == watched)
		return true;
	watched = wanted;
	return img_watch(IMG_WIRE_FD, wanted);
}

int
img_serve(bool stop_when_stale)
{
	int			status = EXIT_FAILURE;

	if (!img_watch(IMG_WIRE_FD, 0))
		return EXIT_FAILURE;
	while (!stale || under_way > 0)
	{
		uint32_t	events;

		if (!watch_owner())
			return EXIT_FAILURE;
		events = img_watch_wait(IMG_WIRE_FD, finished != NULL ? RETRY_MS : -1);
		if ((events & (EPOLLHUP | EPOLLERR)) != 0)
			return EXIT_SUCCESS;
		if ((events & EPOLLIN) != 0 && !take_requests(&status))
			return status;
		collect(stop_when_stale);
		if (!send_replies())
			return EXIT_SUCCESS;
	}
	return EXIT_SUCCESS;
}
