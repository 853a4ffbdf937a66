/*
 * fetch.c
 *	  Requests to imgapi-fetcher and its replies: put together and checked.
 *
 * Compiled into imgapi.so and into imgapi-fetcher: no PostgreSQL, no libcurl.
 * A fetcher talks to whoever a user names, so that a reply is distrusted like
 * anything from the network: no length in it is used before it is checked.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/fetch.h"

#define NEEDED_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

_Static_assert(sizeof(ImgFetchRequest) + IMG_FETCH_MAX_URL + IMG_FETCH_MAX_HEADERS + IMG_FETCH_INLINE <= IMG_MAX_MESSAGE,
			   "a request fits a message");
_Static_assert(sizeof(ImgFetchReply) + IMG_MAX_TEXT + IMG_FETCH_MAX_ORIGIN + IMG_FETCH_MAX_HEADERS + IMG_FETCH_INLINE <= IMG_MAX_MESSAGE,
			   "a reply fits a message");

static const char *const stage_names[] = {
	[IMG_FETCH_AT_NONE] = "",
	[IMG_FETCH_AT_URL] = "url",
	[IMG_FETCH_AT_POLICY] = "policy",
	[IMG_FETCH_AT_RESOLVE] = "resolve",
	[IMG_FETCH_AT_CONNECT] = "connect",
	[IMG_FETCH_AT_TLS] = "tls",
	[IMG_FETCH_AT_SEND] = "send",
	[IMG_FETCH_AT_TRANSFER] = "transfer",
	[IMG_FETCH_AT_REDIRECT] = "redirect",
};

const char *
img_fetch_stage_name(ImgFetchStage stage)
{
	return stage <= IMG_FETCH_AT_REDIRECT ? stage_names[stage] : "";
}

int
img_fetch_start(int socket, const ImgFetch *fetch, int flags)
{
	bool		in_memfd = fetch->body == NULL && fetch->memfd >= 0;
	ImgFetchRequest request = {
		.magic = IMG_FETCH_MAGIC, .version = IMG_FETCH_VERSION, .type = IMG_FETCH_START,
		.id = fetch->id, .method = fetch->method, .flags = fetch->flags, .limits = fetch->limits,
		.place = fetch->body_length == 0 ? IMG_NOWHERE : in_memfd ? IMG_MEMFD : IMG_INLINE,
		.body_offset = in_memfd ? fetch->body_offset : 0, .body_length = fetch->body_length,
		.url_length = strlen(fetch->url) + 1, .headers_length = fetch->headers_length
	};
	ImgPart		parts[] = {
		{&request, sizeof(request)},
		{fetch->url, request.url_length},
		{fetch->headers, request.headers_length},
		{fetch->body, request.place == IMG_INLINE ? fetch->body_length : 0}
	};

	if (request.url_length > IMG_FETCH_MAX_URL || request.headers_length > IMG_FETCH_MAX_HEADERS ||
		(request.place == IMG_INLINE && request.body_length > IMG_FETCH_INLINE))
	{
		errno = EMSGSIZE;
		return -1;
	}
	return img_send(socket, parts, 4, &fetch->memfd, request.place == IMG_MEMFD ? 1 : 0, flags);
}

int
img_fetch_cancel(int socket, uint64_t id, int flags)
{
	ImgFetchRequest request = {
		.magic = IMG_FETCH_MAGIC, .version = IMG_FETCH_VERSION, .type = IMG_FETCH_CANCEL, .id = id
	};
	ImgPart		part = {&request, sizeof(request)};

	return img_send(socket, &part, 1, NULL, 0, flags);
}

/* Whether these bytes are strings that end with a NUL, an even number of them
 * if they are to come in pairs. */
static bool
are_strings(const char *bytes, size_t length, bool pairs)
{
	size_t		count = 0;

	if (length == 0)
		return true;
	if (bytes[length - 1] != '\0')
		return false;
	for (size_t i = 0; pairs && i < length; i++)
		count += bytes[i] == '\0';
	return count % 2 == 0;
}

static bool
is_one_string(const char *bytes, size_t length)
{
	return length == 0 || memchr(bytes, '\0', length) == bytes + length - 1;
}

bool
img_fetch_reply_id(const void *message, size_t length, uint64_t *id)
{
	const ImgFetchReply *reply = message;

	if (length < sizeof(*reply) || reply->magic != IMG_FETCH_MAGIC || reply->version != IMG_FETCH_VERSION)
		return false;
	*id = reply->id;
	return true;
}

static bool
memfd_holds(int memfd, uint64_t length)
{
	struct stat status;
	int			seals = memfd < 0 ? -1 : fcntl(memfd, F_GET_SEALS);

	return seals >= 0 && (seals & NEEDED_SEALS) == NEEDED_SEALS &&
		fstat(memfd, &status) == 0 && (uint64_t) status.st_size == length;
}

bool
img_fetch_reply_valid(const ImgFetchReply *reply, size_t length, int memfd, uint64_t max_body)
{
	const char *strings = (const char *) (reply + 1);
	uint64_t	id;
	size_t		inline_length = 0;

	if (!img_fetch_reply_id(reply, length, &id) ||
		reply->outcome > IMG_FETCH_CANCELLED || reply->stage > IMG_FETCH_AT_REDIRECT ||
		reply->text_length > IMG_MAX_TEXT || reply->origin_length > IMG_FETCH_MAX_ORIGIN ||
		reply->headers_length > IMG_FETCH_MAX_HEADERS || reply->body_length > max_body ||
		memchr(reply->address, '\0', sizeof(reply->address)) == NULL ||
		reply->retry_after < 0 || reply->content_length < -1)
		return false;
	if (reply->place == IMG_INLINE)
		inline_length = reply->body_length;
	else if (reply->place == IMG_MEMFD ? !memfd_holds(memfd, reply->body_length) :
			 reply->place != IMG_NOWHERE || reply->body_length != 0)
		return false;
	if (inline_length > IMG_FETCH_INLINE ||
		length != sizeof(*reply) + reply->text_length + reply->origin_length + reply->headers_length + inline_length)
		return false;
	return is_one_string(strings, reply->text_length) &&
		is_one_string(strings + reply->text_length, reply->origin_length) &&
		are_strings(strings + reply->text_length + reply->origin_length, reply->headers_length, true);
}

const char *
img_fetch_text(const ImgFetchReply *reply)
{
	return reply->text_length > 0 ? (const char *) (reply + 1) : "";
}

const char *
img_fetch_origin(const ImgFetchReply *reply)
{
	return reply->origin_length > 0 ? (const char *) (reply + 1) + reply->text_length : "";
}

static const char *
headers_of(const ImgFetchReply *reply)
{
	return (const char *) (reply + 1) + reply->text_length + reply->origin_length;
}

const void *
img_fetch_body(const ImgFetchReply *reply)
{
	return headers_of(reply) + reply->headers_length;
}

bool
img_fetch_next_header(const ImgFetchReply *reply, size_t *at, const char **name, const char **value)
{
	if (*at >= reply->headers_length)
		return false;
	*name = headers_of(reply) + *at;
	*value = *name + strlen(*name) + 1;
	*at = *value + strlen(*value) + 1 - headers_of(reply);
	return true;
}

const char *
img_fetch_header(const ImgFetchReply *reply, const char *wanted)
{
	size_t		at = 0;
	const char *name;
	const char *value;

	while (img_fetch_next_header(reply, &at, &name, &value))
		if (strcmp(name, wanted) == 0)
			return value;
	return NULL;
}

/* A stretch of a memfd as large as it was said to be. */
static bool
memfd_has(int memfd, uint64_t offset, uint64_t length)
{
	struct stat status;

	return memfd >= 0 && fstat(memfd, &status) == 0 && S_ISREG(status.st_mode) &&
		offset <= (uint64_t) status.st_size && length <= (uint64_t) status.st_size - offset;
}

bool
img_fetch_request_valid(const ImgFetchRequest *request, size_t length, int memfd)
{
	const char *strings = (const char *) (request + 1);
	size_t		inline_length = 0;

	if (length < sizeof(*request) || request->magic != IMG_FETCH_MAGIC ||
		request->version != IMG_FETCH_VERSION)
		return false;
	if (request->type == IMG_FETCH_CANCEL)
		return length == sizeof(*request);
	if (request->type != IMG_FETCH_START || request->id == 0 || request->method > IMG_FETCH_PATCH ||
		(request->flags & ~(IMG_FETCH_ALLOW_PRIVATE | IMG_FETCH_FOLLOW)) != 0 ||
		request->limits.redirects > IMG_FETCH_MAX_REDIRECTS ||
		request->url_length < 2 || request->url_length > IMG_FETCH_MAX_URL ||
		request->headers_length > IMG_FETCH_MAX_HEADERS)
		return false;
	if (request->place == IMG_INLINE)
		inline_length = request->body_length;
	else if (request->place == IMG_MEMFD ? !memfd_has(memfd, request->body_offset, request->body_length) :
			 request->place != IMG_NOWHERE || request->body_length != 0)
		return false;
	if (request->place != IMG_NOWHERE && request->method != IMG_FETCH_PUT && request->method != IMG_FETCH_POST &&
		request->method != IMG_FETCH_PATCH)
		return false;
	if (inline_length > IMG_FETCH_INLINE ||
		length != sizeof(*request) + request->url_length + request->headers_length + inline_length)
		return false;
	return is_one_string(strings, request->url_length) &&
		are_strings(strings + request->url_length, request->headers_length, false);
}

const char *
img_fetch_request_url(const ImgFetchRequest *request)
{
	return (const char *) (request + 1);
}

const char *
img_fetch_request_headers(const ImgFetchRequest *request)
{
	return img_fetch_request_url(request) + request->url_length;
}

const void *
img_fetch_request_body(const ImgFetchRequest *request)
{
	return img_fetch_request_headers(request) + request->headers_length;
}
