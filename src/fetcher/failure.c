/*
 * failure.c
 *	  Why a request failed: the stage, and words for people.
 *
 * Runs in imgapi-fetcher.  Paths, queries and headers may be secrets and are
 * never in a text.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fetcher/transfer.h"

bool
img_fail(ImgTransfer *transfer, ImgFetchOutcome outcome, ImgFetchStage stage, const char *format,...)
{
	va_list		args;

	if (transfer->outcome != IMG_FETCH_DONE)
		return false;			/* the first reason counts */
	transfer->outcome = outcome;
	transfer->stage = stage;
	va_start(args, format);
	vsnprintf(transfer->text, sizeof(transfer->text), format, args);
	va_end(args);
	img_make_printable(transfer->text, strlen(transfer->text));
	return false;
}

/* As far as it came. */
static ImgFetchStage
stage_reached(const ImgTransfer *transfer)
{
	curl_off_t	connected_at = 0;

	if (transfer->answering)
		return IMG_FETCH_AT_TRANSFER;
	if (transfer->connected)
		return IMG_FETCH_AT_SEND;
	if (!transfer->connecting)
		return transfer->refused_kind != NULL ? IMG_FETCH_AT_POLICY : IMG_FETCH_AT_RESOLVE;
	curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connected_at);
	return connected_at > 0 ? IMG_FETCH_AT_TLS : IMG_FETCH_AT_CONNECT;
}

static ImgFetchStage
stage_of(const ImgTransfer *transfer, CURLcode result)
{
	switch (result)
	{
		case CURLE_URL_MALFORMAT:
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_LOGIN_DENIED:
			/* later they are about the answer, which is no HTTP */
			return transfer->connected ? stage_reached(transfer) : IMG_FETCH_AT_URL;
		case CURLE_COULDNT_RESOLVE_HOST:
			return IMG_FETCH_AT_RESOLVE;
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_CACERT_BADFILE:
			return IMG_FETCH_AT_TLS;
		default:
			return stage_reached(transfer);
	}
}

/* What libcurl says, unless it quotes the query. */
static const char *
detail_of(const ImgTransfer *transfer, CURLcode result, const char *url)
{
	const char *query = strchr(url, '?');

	if (transfer->curl_text[0] == '\0' ||
		(query != NULL && query[1] != '\0' && strstr(transfer->curl_text, query + 1) != NULL))
		return curl_easy_strerror(result);
	return transfer->curl_text;
}

static bool
fail_url(ImgTransfer *transfer, CURLcode result)
{
	if (result == CURLE_LOGIN_DENIED)
		return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_URL,
						"the URL has a user name or a password, which is not supported");
	return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_URL,
					"the URL cannot be fetched: %s", curl_easy_strerror(result));
}

bool
img_fail_of_curl(ImgTransfer *transfer, CURLcode result)
{
	static const char *const formats[] = {
		[IMG_FETCH_AT_RESOLVE] = "could not resolve the name of %s: %s",
		[IMG_FETCH_AT_CONNECT] = "could not connect to %s: %s",
		[IMG_FETCH_AT_TLS] = "could not agree on TLS with %s: %s",
		[IMG_FETCH_AT_SEND] = "no answer from %s: %s",
		[IMG_FETCH_AT_TRANSFER] = "the answer of %s is not whole: %s",
	};
	ImgFetchStage stage = stage_of(transfer, result);
	char	   *url = NULL;
	char		origin[IMG_FETCH_MAX_ORIGIN];
	char		text[IMG_MAX_TEXT];

	if (stage == IMG_FETCH_AT_URL)
		return fail_url(transfer, result);
	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
	img_origin(url != NULL ? url : "", origin, sizeof(origin));
	if (stage == IMG_FETCH_AT_POLICY)
		return img_fail(transfer, IMG_FETCH_REFUSED, stage, "%s may not be reached: %s is not a public address (%s)",
						origin, transfer->refused_address, transfer->refused_kind);
	snprintf(text, sizeof(text), formats[stage], origin, detail_of(transfer, result, url != NULL ? url : ""));
	return img_fail(transfer, result == CURLE_OPERATION_TIMEDOUT ? IMG_FETCH_TIMEOUT : IMG_FETCH_FAILED,
					stage, "%s", text);
}
