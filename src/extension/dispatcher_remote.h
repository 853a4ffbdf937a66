/*
 * dispatcher_remote.h
 *	  What the parts of a dispatcher share that see to jobs of servers.
 *
 *	dispatcher_remote.c		what is next for each job
 *	dispatcher_call.c		servers, requests to them, and what they answer
 */
#ifndef IMGAPI_DISPATCHER_REMOTE_H
#define IMGAPI_DISPATCHER_REMOTE_H

#include "extension/dispatcher_network.h"
#include "nodes/pg_list.h"

typedef enum ImgRemotePhase
{
	IMG_REMOTE_NEW,						/* nobody has looked at it */
	IMG_REMOTE_CALLING,					/* a request is under way */
	IMG_REMOTE_ANSWERED,					/* its answer is here */
	IMG_REMOTE_WAITING,					/* to be polled */
	IMG_REMOTE_DOWNLOADING
} ImgRemotePhase;

/* A server with jobs in hand, as one role uses it; kept for good. */
typedef struct ImgApi
{
	char	   *server;
	int			max_concurrency;
	int			max_connections;
	int			jobs;			/* in hand */
	int			begun;			/* of them not IMG_REMOTE_NEW */
	int			submits;		/* under way */
	bool		cancels;		/* can be told to stop */
	TimestampTz not_before;		/* is left alone until then */
} ImgApi;

typedef struct ImgRemoteJob
{
	ImgApi		   *api;
	Jsonb	   *request;		/* img_job.request */
	ImgRemotePhase		phase;
	ImgRemotePhase		before;			/* this transaction */
	const char *what;			/* the request: submit, poll, result, cancel */
	char		method[8];
	char	   *path;
	char	   *remote_id;
	bool		cancelling;		/* nobody wants it: the server is told */
	TimestampTz wait_until;
	int			tries;
	/* the answer */
	int			status;			/* 0: none */
	int			ms;
	bool		sent;			/* without an answer: perhaps it has come there */
	bool		refused;		/* without an answer: it never will be sent */
	ImgRemoteFailure failure;
	char	   *request_id;		/* or NULL */
	bytea	   *body;
	ImgFacts	input;
} ImgRemoteJob;

extern List *img_apis;			/* ImgApi */

/* dispatcher_call.c */
extern ImgApi *img_api_find(const ImgServer *server);
extern void img_apis_count(void);	/* brings jobs, begun and submits up to date */

/* Within a transaction: makes the request, which is sent when it commits. */
extern void img_remote_call(ImgJob *job, const char *what);
extern void img_remote_download(ImgJob *job, const char *url);

/* dispatcher_remote.c */
extern void img_remote_leave(ImgJob *job);	/* takes it off the list */
extern void img_remote_wait(ImgJob *job, ImgRemotePhase phase, double seconds);

#endif							/* IMGAPI_DISPATCHER_REMOTE_H */
