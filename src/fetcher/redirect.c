/*
 * redirect.c
 *	  Where an answer sends the request on, and whether it may go there.
 *
 * Runs in imgapi-fetcher.  libcurl's own following would take all headers but
 * two along to any host; which of them are secrets only the owner knows.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fetcher/transfer.h"

/* "scheme://host:port", the port always; empty if it is no such URL. */
void
img_origin(const char *url, char *origin, size_t size)
{
	CURLU	   *parsed = curl_url();
	char	   *scheme = NULL;
	char	   *host = NULL;
	char	   *port = NULL;

	origin[0] = '\0';
	if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		snprintf(origin, size, "%s://%s:%s", scheme, host, port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parsed);
}

static bool
wants_redirect(const ImgTransfer *transfer, long status)
{
	bool		safe = transfer->request.method == IMG_FETCH_GET || transfer->request.method == IMG_FETCH_HEAD;

	return safe && (transfer->request.flags & IMG_FETCH_FOLLOW) != 0 &&
		(status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

/* True: the handle has the new URL. */
static bool
go(ImgTransfer *transfer, const char *from, const char *to)
{
	char		old[IMG_FETCH_MAX_ORIGIN];
	char		new[IMG_FETCH_MAX_ORIGIN];

	img_origin(from, old, sizeof(old));
	img_origin(to, new, sizeof(new));
	if (strlen(to) >= IMG_FETCH_MAX_URL ||
		(strncmp(new, "http://", 7) != 0 && strncmp(new, "https://", 8) != 0))
		return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_REDIRECT,
						"%s redirects to something that is no http or https URL", old);
	if (strncmp(old, "https:", 6) == 0 && strncmp(new, "https:", 6) != 0)
		return img_fail(transfer, IMG_FETCH_REFUSED, IMG_FETCH_AT_REDIRECT,
						"%s redirects from https to %s", old, new);
	if (strcasecmp(old, new) != 0)
		transfer->elsewhere = true;
	transfer->redirects++;
	return curl_easy_setopt(transfer->easy, CURLOPT_URL, to) == CURLE_OK ||
		img_fail(transfer, IMG_FETCH_FAILED, IMG_FETCH_AT_REDIRECT, "out of memory");
}

bool
img_redirect(ImgTransfer *transfer, long status)
{
	char	   *from = NULL;
	char	   *to = NULL;
	char		origin[IMG_FETCH_MAX_ORIGIN];

	if (!wants_redirect(transfer, status))
		return false;
	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &from);
	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &to);
	if (from == NULL || to == NULL)
		return false;			/* no Location: an answer like any other */
	if (transfer->redirects >= transfer->request.limits.redirects)
	{
		img_origin(from, origin, sizeof(origin));
		return img_fail(transfer, IMG_FETCH_LIMIT, IMG_FETCH_AT_REDIRECT,
						"%s redirects once more, and %u redirects are allowed", origin, transfer->request.limits.redirects);
	}
	return go(transfer, from, to);
}
