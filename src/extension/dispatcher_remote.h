/*
 * dispatcher_remote.h
 *	  What the parts of a dispatcher share that see to jobs of servers.
 *
 *	dispatcher_remote.c		whose turn it is
 *	dispatcher_step.c		what is next for each job
 *	dispatcher_call.c		servers, calls to them, and what they answer
 *	dispatcher_download.c	their results, on the way here
 *	dispatcher_webhook.c	what they say by themselves
 *	dispatcher_followup.c	calls for jobs that have ended
 */
#ifndef IMGAPI_DISPATCHER_REMOTE_H
#define IMGAPI_DISPATCHER_REMOTE_H

#include "extension/dispatcher_network.h"
#include "extension/remote_job.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

typedef enum ImgRemotePhase
{
	IMG_REMOTE_NEW,				/* img_remote_begin() says what is next */
	IMG_REMOTE_CALLING,			/* a call is under way */
	IMG_REMOTE_ANSWERED,		/* its answer is here */
	IMG_REMOTE_WAITING,			/* for the time of the next call */
	IMG_REMOTE_DOWNLOADING
} ImgRemotePhase;

/* A server with jobs in hand, as one role uses it; kept for good. */
typedef struct ImgApi
{
	char	   *server;
	int			max_concurrency;
	int			max_connections;
	int			poll_interval;	/* ms */
	int			jobs;			/* in hand */
	int			begun;			/* of them not IMG_REMOTE_NEW */
	int			submits;		/* under way */
	TimestampTz not_before;		/* is left alone until then */
} ImgApi;

/* Longest name of a call, with its NUL. */
#define IMG_MAX_CALL	32

/* What has been, or is, asked of a server. */
typedef struct ImgCallMade
{
	char		what[IMG_MAX_CALL]; /* submit, poll … */
	char		method[8];
	char	   *path;
} ImgCallMade;

/* What became of a call. */
typedef struct ImgCallAnswer
{
	ImgCallMade made;			/* the call */
	int			status;			/* of HTTP; 0: no answer */
	int			ms;
	bool		sent;			/* without an answer: perhaps it has come there */
	bool		refused;		/* without an answer: it never will be sent */
	ImgRemoteFailure failure;	/* without an answer */
	char	   *request_id;		/* or NULL */
	bytea	   *body;
} ImgCallAnswer;

/* A picture that a server has made. */
typedef struct ImgRemoteResult
{
	ImgBody		body;
	char	   *name;			/* as the server calls it; NULL: as we do */
} ImgRemoteResult;

typedef struct ImgRemoteJob
{
	ImgApi	   *api;
	Jsonb	   *request;		/* img_job.request */
	ImgRemotePhase phase;
	ImgRemotePhase before;		/* this transaction */
	char		next[IMG_MAX_CALL]; /* the call to make when the time has come */
	ImgCallMade call;			/* the one under way */
	char	   *remote_id;
	size_t		picture_bytes;	/* that were sent; 0: none */
	TimestampTz wait_until;
	ImgCallAnswer answer;
	int			tries;			/* to write it down */
	/* what the server has said by itself */
	bool		woken;			/* something */
	bytea	   *said;			/* the answer to a poll; NULL: it is to be polled */
	TimestampTz woken_at;		/* for when a poll was last brought forward */
	ImgFacts	input;
	/* the results */
	ImgRemoteResult *result;
	int			results;
	bool		arrived;		/* all of them */
	int			reading;		/* the one that is with an executor */
	ImgOutput  *output;			/* those that have been with it */
} ImgRemoteJob;

extern List *img_apis;			/* ImgApi */

/* dispatcher_call.c */
extern ImgApi *img_api_find(const ImgServer *server);
extern void img_api_leave(ImgApi *api);	/* a job is in hand no more */
extern void img_apis_count(void);	/* brings jobs, begun and submits up to date */

/* Within a transaction: makes a call, which is sent when it commits.  False: it
 * needs the picture, which is not here. */
extern bool img_remote_call(ImgJob *job, const char *what);

/* Makes the request of a call in transfer, for that job. */
extern void img_call_prepare(ImgTransfer *transfer, const ImgServer *server, Oid role, const char *what,
							 const ImgRemoteCall *call, const ImgBody *picture);

/* Notes which call it is, in that memory context. */
extern void img_call_note(ImgCallMade *made, MemoryContext context, const char *what, const char *method, const char *path);

/* Takes in what became of it, in the current memory context. */
extern void img_call_take(ImgCallAnswer *answer, ImgCallMade *made, const ImgFetchReply *reply, int memfd);
extern void img_call_take_failure(ImgCallAnswer *answer, ImgCallMade *made, const ImgFetchReply *reply,
								  const ImgRemoteFailure *failure);

/* dispatcher_followup.c: all within a transaction */
extern void img_followup_work(void);	/* says what became of calls, and makes more */
extern bool img_followup_is_due(void);
extern long img_followup_in(void);	/* ms until it is */
extern void img_followup_soon(void);	/* there may be a call to make */

/* dispatcher_download.c: likewise; names may be NULL, and so may each. */
extern void img_remote_download(ImgJob *job, ArrayType *urls, ArrayType *names);

/* An answer that is here, of that request; the body is the job's from now on. */
extern void img_remote_answer(ImgJob *job, const char *what, const char *method, const char *path,
							  int status, bytea *body);

/* dispatcher_webhook.c: acts on what was put aside, now that the job waits. */
extern void img_remote_woken(ImgJob *job);

/* dispatcher_step.c: within a transaction, for each job that is due */
extern void img_steps_start(void);
extern void img_step_add(ImgJob *job);
extern void img_steps_finish(void);

/* After a locked row or an error. */
#define IMG_REMOTE_AGAIN_MS	500

/* dispatcher_remote.c */
extern void img_remote_cancelled(ImgJob *job, const char *message); /* ends it so */
extern void img_remote_leave(ImgJob *job);	/* takes it off the list */
extern bool img_remote_is_submitting(const ImgJob *job);
extern void img_remote_wait(ImgJob *job, ImgRemotePhase phase, double seconds);

#endif							/* IMGAPI_DISPATCHER_REMOTE_H */
