/*
 * transfer.c
 *	  One request on its way: from the message of the owner to the reply.
 *
 * Runs in imgapi-fetcher, one thread.  A libcurl handle is used again and again:
 * what holds for all requests is set once, and img_transfer_begin() sets
 * everything else each time.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fetcher/policy.h"
#include "fetcher/transfer.h"
#include "fetcher/trust.h"
#include "fetcher/watch.h"

#define RECEIVE_BUFFER		(32 * 1024)
#define MAX_HEADER_LINES	256

static int64_t
microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static bool
allows_private(const ImgTransfer *transfer)
{
	return (transfer->request.flags & IMG_FETCH_ALLOW_PRIVATE) != 0;
}

/* ---------------------------------------------------------------- callbacks */

/* Before each attempt to connect, of each address. */
static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	ImgTransfer *transfer = context;
	const char *kind = img_address_kind(&address->addr);
	int			fd;

	if (kind != NULL && !allows_private(transfer))
	{
		transfer->refused_kind = kind;
		img_address_text(&address->addr, transfer->refused_address, sizeof(transfer->refused_address));
		return CURL_SOCKET_BAD;
	}
	transfer->connecting = true;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= 0 && !img_watch_adopt(fd))
	{
		close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int
close_socket(void *context, curl_socket_t fd)
{
	img_watch_forget(fd);
	return close(fd);
}

/*
 * Before each request, on a connection that is open: judged again, because it
 * may be one that was opened for a request that is allowed more.
 */
static int
before_request(void *context, char *address, char *local, int port, int local_port)
{
	ImgTransfer *transfer = context;
	const char *kind = allows_private(transfer) ? NULL : img_address_text_kind(address);

	if (kind != NULL)
	{
		transfer->refused_kind = kind;
		strncpy(transfer->refused_address, address, sizeof(transfer->refused_address) - 1);
		transfer->connecting = false;
		return CURL_PREREQFUNC_ABORT;
	}
	/* libcurl would send it again when a kept connection dies under it */
	if (transfer->connected && !transfer->answering &&
		(transfer->request.method == IMG_FETCH_POST || transfer->request.method == IMG_FETCH_PATCH))
	{
		img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_SEND,
				 "%s ended the connection without an answer, and a %s is not sent twice", address,
				 transfer->request.method == IMG_FETCH_POST ? "POST" : "PATCH");
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* libcurl keeps the headers; here they are only counted. */
static size_t
take_header(char *line, size_t size, size_t count, void *context)
{
	ImgTransfer *transfer = context;

	transfer->answering = true;
	transfer->header_bytes += size * count;
	if (transfer->header_bytes <= IMG_FETCH_MAX_HEADERS && ++transfer->header_lines <= MAX_HEADER_LINES)
		return size * count;
	img_fail(transfer, IMG_FETCH_LIMIT, IMG_FETCH_AT_TRANSFER,
			 "the answer has more than %d bytes or %d lines of headers", IMG_FETCH_MAX_HEADERS, MAX_HEADER_LINES);
	return 0;
}

/* ------------------------------------------------------------ a handle, once */

#define SET(option, value) \
	(failed |= curl_easy_setopt(transfer->easy, option, value))

static bool
set_callbacks(ImgTransfer *transfer)
{
	int			failed = 0;

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->curl_text);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(CURLOPT_PREREQFUNCTION, before_request);
	SET(CURLOPT_PREREQDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, img_body_write);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_READFUNCTION, img_body_read);
	SET(CURLOPT_READDATA, transfer);
	SET(CURLOPT_SEEKFUNCTION, img_body_seek);
	SET(CURLOPT_SEEKDATA, transfer);
	return failed == 0;
}

bool
img_transfer_prepare(ImgTransfer *transfer)
{
	int			failed = 0;

	transfer->outgoing_fd = transfer->incoming_fd = -1;
	transfer->incoming = malloc(IMG_FETCH_INLINE);
	transfer->outgoing = NULL;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL || transfer->incoming == NULL)
		return false;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	/* img_redirect() follows, which knows what may go where */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_USERAGENT, "imgapi");
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_BUFFERSIZE, (long) RECEIVE_BUFFER);
	/* a resolver's thread that still waits must not hold up the others */
	SET(CURLOPT_QUICK_EXIT, 1L);
	return failed == 0 && set_callbacks(transfer) && img_trust(transfer->easy);
}

/* ------------------------------------------------------------------ begin it */

static bool
is_http(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

/* Each a line for libcurl; one with a line end in it would be two. */
static bool
take_headers(ImgTransfer *transfer, const char *headers, size_t length)
{
	for (size_t at = 0; at < length; at += strlen(headers + at) + 1)
	{
		const char *line = headers + at;
		struct curl_slist *longer;

		if (strpbrk(line, "\r\n") != NULL || strchr(line, ':') == NULL)
			return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_URL,
							"a header of the request is not of the form \"Name: value\" in one line");
		longer = curl_slist_append(transfer->headers, line);
		if (longer == NULL)
			return img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_URL, "out of memory");
		transfer->headers = longer;
	}
	return true;
}

static bool
take_body(ImgTransfer *transfer, const ImgFetchRequest *request, int memfd)
{
	if (request->place == IMG_MEMFD)
		transfer->outgoing_fd = memfd;
	else if (request->place == IMG_INLINE)
	{
		/* libcurl would ask before, and wait a second for servers that do not
		 * answer that */
		struct curl_slist *longer = curl_slist_append(transfer->headers, "Expect:");

		transfer->outgoing = malloc(request->body_length + 1);
		if (longer != NULL)
			transfer->headers = longer;
		if (transfer->outgoing == NULL || longer == NULL)
			return img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_URL, "out of memory");
		memcpy(transfer->outgoing, img_fetch_request_body(request), request->body_length);
	}
	return true;
}

static bool
set_method(ImgTransfer *transfer)
{
	int			failed = 0;

	/* ends what the request before has set */
	SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_CUSTOMREQUEST, NULL);
	switch ((ImgFetchMethod) transfer->request.method)
	{
		case IMG_FETCH_GET:
			break;
		case IMG_FETCH_HEAD:
			SET(CURLOPT_NOBODY, 1L);
			break;
		case IMG_FETCH_DELETE:
			SET(CURLOPT_CUSTOMREQUEST, "DELETE");
			break;
		case IMG_FETCH_POST:
		case IMG_FETCH_PATCH:
			/* as an upload, so that libcurl adds no Content-Type of its own */
			SET(CURLOPT_CUSTOMREQUEST, transfer->request.method == IMG_FETCH_POST ? "POST" : "PATCH");
			/* fall through */
		case IMG_FETCH_PUT:
			SET(CURLOPT_UPLOAD, 1L);
			SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) transfer->request.body_length);
			break;
	}
	return failed == 0;
}

/* What is left of the time, and a clean slate: before each hop. */
static bool
set_hop(ImgTransfer *transfer)
{
	const ImgFetchLimits *limits = &transfer->request.limits;
	long		left = 0;
	int			failed = 0;

	if (limits->total_ms > 0)
	{
		left = (long) limits->total_ms - (long) ((microseconds() - transfer->began) / 1000);
		if (left <= 0)
			return img_fail(transfer, IMG_FETCH_TIMEOUT, IMG_FETCH_AT_REDIRECT,
							"the redirects took all of the %u ms that were allowed", limits->total_ms);
	}
	SET(CURLOPT_TIMEOUT_MS, left);
	SET(CURLOPT_HTTPHEADER, transfer->elsewhere ? NULL : transfer->headers);
	transfer->connecting = transfer->connected = transfer->answering = false;
	transfer->header_bytes = transfer->header_lines = 0;
	transfer->refused_kind = NULL;
	transfer->curl_text[0] = '\0';
	return failed == 0;
}

bool
img_transfer_begin(ImgTransfer *transfer, const ImgFetchRequest *request, int memfd)
{
	const char *url = img_fetch_request_url(request);
	int			failed = 0;

	transfer->request = *request;
	transfer->active = true;
	transfer->began = microseconds();
	transfer->outcome = IMG_FETCH_DONE;
	transfer->stage = IMG_FETCH_AT_NONE;
	transfer->text[0] = '\0';
	transfer->redirects = 0;
	transfer->elsewhere = false;
	transfer->sent = transfer->received = 0;
	if (!take_body(transfer, request, memfd) ||
		!take_headers(transfer, img_fetch_request_headers(request), request->headers_length))
		return false;
	if (!is_http(url))
		return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_URL,
						"the URL does not begin with http:// or https://");
	SET(CURLOPT_URL, url);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) request->limits.connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, (long) request->limits.low_speed);
	SET(CURLOPT_LOW_SPEED_TIME, (long) request->limits.low_speed_s);
	if (failed != 0 || !set_method(transfer))
		return img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_URL, "libcurl refuses an option");
	return set_hop(transfer);
}

/* -------------------------------------------------------------------- end it */

/*
 * True: there is one more hop.  The body of the redirect is of no interest.
 */
bool
img_transfer_finish(ImgTransfer *transfer, CURLcode result)
{
	long		status = 0;

	if (transfer->outcome != IMG_FETCH_DONE)
		return false;			/* a callback has said why */
	if (result != CURLE_OK)
		return img_fail_of_curl(transfer, result);
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (img_redirect(transfer, status))
	{
		img_body_drop(transfer);
		return set_hop(transfer);
	}
	if (transfer->outcome == IMG_FETCH_DONE && transfer->incoming_fd >= 0)
		img_body_seal(transfer);
	return false;
}

void
img_transfer_cancel(ImgTransfer *transfer)
{
	img_fail(transfer, IMG_FETCH_CANCELLED, IMG_FETCH_AT_NONE, "cancelled");
}

void
img_transfer_release(ImgTransfer *transfer)
{
	img_body_drop(transfer);
	if (transfer->outgoing_fd >= 0)
		close(transfer->outgoing_fd);
	transfer->outgoing_fd = -1;
	free(transfer->outgoing);
	transfer->outgoing = NULL;
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
	transfer->active = false;
}
