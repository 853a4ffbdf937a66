/*
 * reply.c
 *	  Tells the owner how a request ended.
 *
 * Runs in imgapi-fetcher.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fetcher/transfer.h"

/* Strings of one reply, put one behind the other. */
static char strings[IMG_MAX_TEXT + IMG_FETCH_MAX_ORIGIN + IMG_FETCH_MAX_HEADERS];

/* The length with its NUL; 0 for nothing. */
static size_t
add_string(size_t at, const char *text)
{
	size_t		length = strlen(text) + 1;

	if (length == 1)
		return 0;
	memcpy(strings + at, text, length);
	return length;
}

/* libcurl 7.88 leaves the line end in an empty value. */
static size_t
trimmed(const char *value)
{
	size_t		length = strlen(value);

	while (length > 0 && strchr(" \t\r\n", value[length - 1]) != NULL)
		length--;
	return length;
}

/* Those of the last answer, names in lower case. */
static size_t
add_headers(size_t start, CURL *easy)
{
	struct curl_header *header = NULL;
	size_t		at = start;

	while ((header = curl_easy_nextheader(easy, CURLH_HEADER | CURLH_TRAILER, -1, header)) != NULL)
	{
		size_t		name = strlen(header->name) + 1;
		size_t		value = trimmed(header->value);

		/* cannot be: they were counted when they came */
		if (at + name + value + 1 > start + IMG_FETCH_MAX_HEADERS)
			break;
		for (size_t i = 0; i < name; i++)
		{
			char		c = header->name[i];

			strings[at + i] = c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
		}
		memcpy(strings + at + name, header->value, value);
		strings[at + name + value] = '\0';
		at += name + value + 1;
	}
	return at - start;
}

static uint32_t
time_of(CURL *easy, CURLINFO info)
{
	curl_off_t	microseconds = 0;

	curl_easy_getinfo(easy, info, &microseconds);
	return microseconds > UINT32_MAX ? UINT32_MAX : microseconds;
}

static void
tell_times(CURL *easy, ImgFetchTimes *times)
{
	long		connects = 0;

	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	if (connects > 0)
	{
		times->resolve = time_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
		times->connect = time_of(easy, CURLINFO_CONNECT_TIME_T);
		times->tls = time_of(easy, CURLINFO_APPCONNECT_TIME_T);
	}
	times->first_byte = time_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
	times->total = time_of(easy, CURLINFO_TOTAL_TIME_T);
}

/* What there is of an answer. */
static void
tell_answer(CURL *easy, ImgFetchReply *reply)
{
	char	   *address = NULL;
	long		status = 0;
	curl_off_t	retry_after = 0;
	curl_off_t	length = -1;

	tell_times(easy, &reply->times);
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	if (address != NULL)
		snprintf(reply->address, sizeof(reply->address), "%s", address);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	reply->status = status;
	curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	reply->content_length = length;
	/* looks at the clock: only for those that have it */
	if (status == 429 || status >= 500 || status / 100 == 3)
		curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
	reply->retry_after = retry_after > 0 ? retry_after : 0;
}

int
img_reply(const ImgTransfer *transfer, int socket)
{
	ImgFetchReply reply = {
		.magic = IMG_FETCH_MAGIC, .version = IMG_FETCH_VERSION, .id = transfer->request.id,
		.outcome = transfer->outcome, .stage = transfer->stage, .redirects = transfer->redirects,
		.content_length = -1
	};
	bool		in_memfd = false;
	size_t		length;

	length = reply.text_length = add_string(0, transfer->text);
	/* one that never began has nothing to tell, nor what the handle did last */
	if (transfer->stage != IMG_FETCH_AT_URL && transfer->outcome != IMG_FETCH_CANCELLED)
		tell_answer(transfer->easy, &reply);
	if (transfer->outcome == IMG_FETCH_DONE)
	{
		char	   *url = NULL;
		char		origin[IMG_FETCH_MAX_ORIGIN] = "";

		if (transfer->elsewhere && curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK)
			img_origin(url, origin, sizeof(origin));
		length += reply.origin_length = add_string(length, origin);
		length += reply.headers_length = add_headers(length, transfer->easy);
		in_memfd = transfer->incoming_fd >= 0;
		reply.body_length = transfer->received;
		reply.place = in_memfd ? IMG_MEMFD : reply.body_length > 0 ? IMG_INLINE : IMG_NOWHERE;
	}
	ImgPart		parts[] = {
		{&reply, sizeof(reply)}, {strings, length},
		{transfer->incoming, reply.place == IMG_INLINE ? reply.body_length : 0}
	};

	return img_send(socket, parts, 3, &transfer->incoming_fd, in_memfd ? 1 : 0, MSG_DONTWAIT);
}

int
img_say_ready(int socket, ImgFetchOutcome outcome, const char *text)
{
	ImgFetchReply reply = {
		.magic = IMG_FETCH_MAGIC, .version = IMG_FETCH_VERSION, .outcome = outcome, .content_length = -1,
		.text_length = add_string(0, text)
	};
	ImgPart		parts[] = {{&reply, sizeof(reply)}, {strings, reply.text_length}};

	return img_send(socket, parts, 2, NULL, 0, 0);
}
