/*
 * fetcher_process.h
 *	  Starting, feeding and ending imgapi-fetcher.
 */
#ifndef IMGAPI_FETCHER_PROCESS_H
#define IMGAPI_FETCHER_PROCESS_H

#include "postgres.h"

#include "protocol/fetch.h"
#include "storage/http_request.h"

typedef struct ImgFetcher
{
	pid_t		pid;			/* 0: none */
	int			socket;
	bool		ready;			/* has said so */
} ImgFetcher;

/*
 * Starts one, not waiting until it is ready: its first message will be a reply
 * with id 0.  Error 58000 when it cannot be started.
 */
extern void img_fetcher_start(ImgFetcher *fetcher, int transfers);

/* Kills it, reaps it, and tells how it ended. */
extern const char *img_fetcher_end(ImgFetcher *fetcher);

/* Bytes that a request sends: data, or a stretch of a memfd. */
typedef struct ImgFetchBody
{
	const void *data;
	int			memfd;			/* where data is NULL; -1: nothing */
	uint64		offset;
	uint64		length;
} ImgFetchBody;

/*
 * Sends a request.  body is used where the request has none of its own, and may
 * be NULL.  False: the socket is full or the fetcher is gone (errno).
 */
extern bool img_fetcher_send(ImgFetcher *fetcher, uint64 id, const ImgHttpRequest *request,
							 const ImgFetchBody *body, uint64 max_answer);

/*
 * Receives a reply into a buffer of IMG_MAX_MESSAGE bytes; *memfd becomes that
 * of its body, or -1.  1: there is one; 0: none now; -1: the fetcher is gone or
 * talks nonsense.  The first reply is taken in here.
 */
extern int	img_fetcher_receive(ImgFetcher *fetcher, ImgFetchReply *buffer, int *memfd, uint64 max_answer);

#endif							/* IMGAPI_FETCHER_PROCESS_H */
