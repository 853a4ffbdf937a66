/*
 * transfer.h
 *	  One request on its way: from the message of the owner to the reply.
 */
#ifndef IMGAPI_FETCHER_TRANSFER_H
#define IMGAPI_FETCHER_TRANSFER_H

#include <curl/curl.h>

#include "protocol/fetch.h"

#if LIBCURL_VERSION_NUM < 0x075500
#error "imgapi-fetcher needs libcurl 7.85 or newer"
#endif

typedef struct ImgTransfer ImgTransfer;

struct ImgTransfer
{
	CURL	   *easy;			/* used again and again */
	ImgTransfer *next;			/* in the list of free or of finished ones */
	ImgFetchRequest request;	/* without what followed it */
	bool		active;
	int64_t		began;			/* µs, monotonic */
	struct curl_slist *headers;

	/* the body to send: here or in a file */
	unsigned char *outgoing;
	int			outgoing_fd;	/* -1: none */
	uint64_t	sent;

	/* the body received: here as long as it is small, then in a file */
	unsigned char *incoming;
	int			incoming_fd;	/* -1: none */
	uint64_t	received;

	/* how far this hop has come */
	bool		connecting;		/* an address was tried */
	bool		connected;		/* TLS included */
	bool		answering;
	size_t		header_bytes;
	unsigned	header_lines;

	/* an address that policy refused */
	const char *refused_kind;
	char		refused_address[48];

	unsigned	redirects;
	bool		elsewhere;		/* at another origin than the request's */

	/* how it ended; a callback that gives up says why here */
	ImgFetchOutcome outcome;
	ImgFetchStage stage;
	char		text[IMG_MAX_TEXT];
	char		curl_text[CURL_ERROR_SIZE];
};

/* transfer.c: from a valid request to a libcurl handle that can be added */
extern bool img_transfer_prepare(ImgTransfer *transfer);	/* once; false: no memory */
extern bool img_transfer_begin(ImgTransfer *transfer, const ImgFetchRequest *request, int memfd);

/* Called when libcurl has finished.  True: a redirect is followed, add the
 * handle again. */
extern bool img_transfer_finish(ImgTransfer *transfer, CURLcode result);
extern void img_transfer_cancel(ImgTransfer *transfer);
extern void img_transfer_release(ImgTransfer *transfer);

/* body.c: what libcurl calls for bodies */
extern size_t img_body_read(char *buffer, size_t size, size_t count, void *transfer);
extern int	img_body_seek(void *transfer, curl_off_t offset, int origin);
extern size_t img_body_write(char *data, size_t size, size_t count, void *transfer);
extern void img_body_drop(ImgTransfer *transfer);
extern bool img_body_seal(ImgTransfer *transfer);

/* redirect.c */
extern bool img_redirect(ImgTransfer *transfer, long status);
extern void img_origin(const char *url, char *origin, size_t size);

/* failure.c: always false, for the callers' return */
extern bool img_fail(ImgTransfer *transfer, ImgFetchOutcome outcome, ImgFetchStage stage,
					 const char *format,...) __attribute__((format(printf, 4, 5)));
extern bool img_fail_of_curl(ImgTransfer *transfer, CURLcode result);

/* reply.c: 0, or -1 with errno as img_send() */
extern int	img_reply(const ImgTransfer *transfer, int socket);
extern int	img_say_ready(int socket, ImgFetchOutcome outcome, const char *text);

#endif							/* IMGAPI_FETCHER_TRANSFER_H */
