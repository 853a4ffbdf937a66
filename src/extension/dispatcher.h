/*
 * dispatcher.h
 *	  What the parts of a dispatcher share.
 *
 * A dispatcher is one background worker in one database.  It claims jobs,
 * hands pictures to executors, and writes down how jobs ended.  Its parts:
 *
 *	dispatcher.c			the loop
 *	dispatcher_claim.c		from the queue to the executors (one transaction)
 *	dispatcher_lease.c		what is in hand stays ours, or goes back
 *	dispatcher_request.c	what jobs ask for
 *	dispatcher_fetch.c		their pictures
 *	dispatcher_reuse.c		results that are there already
 *	dispatcher_executors.c	sending, receiving, deadlines, deaths
 *	dispatcher_settle.c		from the executors to the tables (one transaction)
 *	dispatcher_outcome.c	results as the tables take them
 *	dispatcher_files.c		jobs that change the file tree
 *	dispatcher_unfinished.c	jobs that end without one
 *	dispatcher_network.c	pictures that come and results that go over the network
 *	dispatcher_upload.c		large results, in parts
 *	dispatcher_transfer.c	the fetcher: requests that wait, run, and have failed
 *	dispatcher_remote.c		jobs that servers do: whose turn it is,
 *	dispatcher_step.c		… what is next for each,
 *	dispatcher_call.c		… what is said to servers,
 *	dispatcher_download.c	… what they have made,
 *	dispatcher_webhook.c	… what they say by themselves,
 *	dispatcher_followup.c	… and what they are told afterwards
 *	dispatcher_cancel.c		jobs that were cancelled while they waited
 *	dispatcher_delete.c		files on servers that have to go
 *	dispatcher_callback.c	callbacks of jobs that have ended
 *	queue_statistics.c		what the planner is told of the queue
 *	source_row.c			the row of a user's table, read and written
 *
 * A job in hand is in exactly one place: the list "claimed" (no executor has
 * it yet), the lists "network", "to_read" and "to_store" (its source is read, or
 * its result written), the list "remote" (a server does it), the queue of one
 * executor, or the list "ended".  No transaction is open while executors or the
 * fetcher work.
 */
#ifndef IMGAPI_DISPATCHER_H
#define IMGAPI_DISPATCHER_H

#include "extension/answer.h"
#include "extension/compile.h"
#include "extension/executor_process.h"
#include "extension/home.h"
#include "extension/shared.h"
#include "extension/source_row.h"
#include "lib/ilist.h"
#include "utils/uuid.h"

#define IMG_LEASE			"60 seconds"
#define IMG_MAX_STATIONS	64	/* the range of imgapi.executors */
#define IMG_HEARTBEAT_MS	20000

/* How a job ended, or will be said to have ended. */
typedef enum ImgEnd
{
	IMG_END_NONE,
	IMG_END_DONE,				/* answer holds the result */
	IMG_END_FAILED,				/* failure says why */
	IMG_END_CANCELLED,			/* failure.message says why */
	IMG_END_POSTPONED			/* somebody's lock is in the way: back to the
								 * queue, at no cost */
} ImgEnd;

typedef struct ImgFailure
{
	char		sqlstate[6];
	const char *message;
	const char *hint;			/* or NULL */
	const char *stage;
	bool		transient;
	int			retry_after;	/* s; not before, as a server has asked */
} ImgFailure;

/* A picture that came over the network. */
typedef struct ImgBody
{
	void	   *data;			/* where it is small */
	int			memfd;			/* else in here; -1: no */
	size_t		length;			/* 0: has not come */
} ImgBody;

/* A result that is written in parts; dispatcher_upload.c */
typedef struct ImgUpload ImgUpload;

/* A result that is written to a server. */
typedef struct ImgStored
{
	char	   *path;
	uint8		sha256[32];
	bool		done;
} ImgStored;

typedef struct ImgJob
{
	dlist_node	node;
	MemoryContext context;		/* holds the job and all it points to */
	pg_uuid_t	id;
	int16		attempt;
	Oid			owner;
	ImgCompiled request;		/* what is to be done */
	char	   *operation_id;	/* NULL: an edit */
	char	   *name;			/* of the source, for names of results; NULL: none */
	char	   *input;			/* URL, storage URI or path of the source; NULL: its
								 * bytes are in the row or with the job */
	char	   *folder;			/* of the file tree, for the results, which come
								 * beside the source; NULL: none */
	uint8		file_sha256[32];	/* of the source, if it is a file */
	bool		deletes;		/* files of the file tree, and nothing else */
	ImgBody		source;			/* if it came over the network */
	ImgBody		other;			/* likewise, the picture that comes along */
	bool		asked;			/* requests have been made */
	bool		uncommitted;	/* in a transaction that has not ended */
	int			transfers;		/* that have not been answered */
	int			losses;			/* of them to fetchers that died */
	bool		in_row;			/* the result is written to the row, or beside
								 * the source */
	char	   *server;			/* that does it; NULL: our executors */
	struct ImgRemoteJob *remote;	/* of such a job: dispatcher_remote.c */
	char	   *storage;		/* server of the results; NULL: the database */
	ImgStored  *stored;			/* beside answer.output */
	ImgUpload  *upload;			/* of the only output; NULL: none */
	ImgRowSource row;			/* row.table InvalidOid: the input is an object */
	ImgRowImage image;			/* the source as it was read */
	size_t		input_bytes;	/* of the source */
	size_t		other_bytes;	/* of the picture that comes along, behind it */
	void	   *inline_input;	/* until it is sent, where it is small */
	pg_uuid_t	made_of;		/* what its result is made of ... */
	bool		may_be_reused;	/* ... if this is set */
	bool		reused;			/* the result is that of another job: */
	pg_uuid_t	reused_from;
	const char *reused_warning; /* or NULL */
	size_t		reused_bytes;
	bool		sent;			/* false in a queue: waits for the commit */
	int			slot;			/* memfd of the executor that has it */
	uint64		wire_id;		/* of the request to the executor */
	ImgEnd		end;
	ImgAnswer	answer;
	ImgFailure	failure;
	TimestampTz ended_at;		/* when end was set */
	TimestampTz settle_after;	/* a row was locked: not before this */
	int			settle_errors;	/* how often writing it down has failed */
	int			settle_locked;	/* how often its row was locked */
} ImgJob;

typedef struct ImgStation
{
	ImgExecutor executor;
	ImgJob	   *queue[IMG_MAX_SLOT_FDS];	/* in the order of sending */
	int			queued;
	size_t		queued_bytes;
	uint32		busy_slots;		/* bit n: memfd n belongs to the executor */
	TimestampTz head_since;		/* when queue[0] came to the front */
	TimestampTz start_after;	/* dead: not before this */
} ImgStation;

typedef struct ImgDispatcher
{
	char		name[64];		/* lease_owner */
	ImgSlot    *slot;
	ImgStation *station;
	int			stations;
	int			epoll;
	dlist_head	claimed;
	dlist_head	ended;
	int			nclaimed;
	int			nended;
	int			nsent;
	dlist_head	network;		/* requests are under way */
	dlist_head	to_read;		/* sources that have not been asked for */
	dlist_head	to_store;		/* results, likewise */
	int			nnetwork;		/* of all three */
	int			nreading;		/* of them, sources that have been asked for */
	int			nstoring;		/* of them, results */
	dlist_head	remote;
	int			nremote;
	bool		network_jobs;	/* lately there were some in the queue */
	size_t		reused_bytes;	/* of the ended jobs' results */
	double		job_ms;			/* running mean of the work of one job */
	bool		look;			/* there may be something to claim */
	bool		due_known;		/* slot->next_due is what the queue says */
	bool		gone;			/* the extension has been dropped */
	bool		settle_singly;	/* one of the ended jobs cannot be written */
	uint64		requests;
} ImgDispatcher;

extern ImgDispatcher img_dispatcher;

/* The row that a result is being written to, which is no upload; NULL: none. */
extern const ImgRowSource *img_writing;

/* dispatcher_claim.c: claims if there is room, fetches pictures for free
 * executors, commits, and sends them. */
extern void img_claim_and_send(void);
extern long img_claim_in(void);	/* ms until it is worth it, if jobs on the
								 * network put it off */
extern void img_publish_next_due(void); /* before sleeping */
extern void img_job_forget(ImgJob *job);	/* frees it */
extern void img_body_close(ImgBody *body);

/* dispatcher_lease.c: each a transaction of its own */
extern uint64 img_run_alone(ImgStatement *statement, Datum *values, int64 *first);	/* rows; first: the first column of the first */
extern int	img_jobs_in_hand(void);
extern void img_leases_renew(void);
extern void img_leases_rescue(void);	/* of dead workers: their jobs wait again */
extern void img_leases_give_back(bool all);	/* false: what no executor has */

/* dispatcher_request.c */

/* Compiles what a job asks for; false: it has failed. */
extern bool img_plan_job(ImgJob *job, Jsonb *json);
extern bool img_guarded(ImgJob *job, const char *stage, void (*step) (ImgJob *job, void *arg), void *arg);

/* Runs one step in a subtransaction; its error, or NULL. */
extern ErrorData *img_try(void (*step) (void *arg), void *arg);

/* dispatcher_fetch.c: the picture of a job, or its result if there is one; false:
 * the job has ended, or waits for the network. */
extern bool img_fetch(ImgJob *job, ImgInput *input);

/* Whether all of it is here already, which needs no transaction. */
extern bool img_fetched(const ImgJob *job, ImgInput *input);

/* The same for a server that is sent the bytes: they are in job->source. */
extern bool img_fetch_for_server(ImgJob *job);

/* Before a server gets the job of a trigger: the row says where its picture is
 * (job->input), or has it, and there can be a link to it. */
extern ImgRowState img_fetch_row(ImgJob *job);

/* Stored pictures above this are read piece by piece, if they lie by themselves
 * and are not compressed: then parts can be read without the rest. */
#define IMG_LARGE_PICTURE	(1024 * 1024)
extern bool img_can_be_sliced(Datum picture);

/* dispatcher_reuse.c: if the job's result is going to be stored in the database
 * and there is one like it, the job takes that (job->reused).  picture is the
 * source as stored, which may be replaced by its bytes; sha256 its hash, NULL:
 * not known. */
extern void img_reuse(ImgJob *job, Datum *picture, const bytea *sha256, const bytea *other);

/* dispatcher_executors.c */
extern void img_stations_start(void);
extern void img_stations_end(void);
extern void img_stations_receive(void); /* takes in every answer there is */
extern long img_stations_tend(void);	/* deadlines and restarts; ms until the next */
extern long img_stations_end_cancelled(void);
extern ImgStation *img_station_for(size_t bytes);	/* NULL: none has room */
extern int	img_stations_ahead(void);	/* jobs that are worth having in hand */
extern void img_station_put(ImgStation *station, ImgJob *job, const ImgInput *input);
extern void img_stations_send(void);	/* what has been put */
extern void img_stations_take_back(void);	/* puts it back to the claimed */
extern void img_job_end(ImgJob *job, ImgEnd end);
extern void img_job_fail(ImgJob *job, int sqlstate, const char *stage, bool transient,
						 const char *message, const char *hint);

/* dispatcher_network.c */
extern bool img_needs_network(const ImgJob *job);	/* before an executor can have it */
extern void img_network_take(ImgJob *job);	/* to get its source, or store its result */
extern void img_network_work(void);	/* one transaction, if there is need */
extern long img_network_in(void);	/* ms until there is need, but for what happens by itself */
extern void img_network_undo(void);	/* it was aborted */
extern void img_network_end(ImgJob *job);	/* that has been cancelled */

/* dispatcher_remote.c */
extern void img_remote_job_plan(ImgJob *job, Jsonb *request);	/* may raise */
extern bool img_remote_job_waits(const ImgJob *job);	/* for its server */
extern void img_remote_take(ImgJob *job);	/* to have its server do it */
extern void img_remote_work(void);	/* one transaction, if there is need */
extern void img_remote_undo(void);	/* it was aborted */
extern long img_remote_in(void);	/* ms until there is need */
extern void img_remote_end(ImgJob *job);	/* that has been cancelled */
extern bool img_remote_drain(void); /* no submit is without its answer */
extern Datum img_remote_busy(bool *isnull); /* servers, as img_claim() wants them */

/* dispatcher_download.c */
extern bool img_remote_take_facts(ImgJob *job); /* an executor has read a result; false: there are more */
extern const char *img_remote_result_name(const ImgJob *job, int ordinal);	/* as its server calls it, or NULL */
extern void img_remote_forget(ImgJob *job);

/* dispatcher_webhook.c: one transaction, if there is need */
extern void img_webhooks_take(void);

/* dispatcher_cancel.c */
extern void img_waiting_end_cancelled(void);

/* dispatcher_transfer.c */
extern void img_transfers_receive(void);	/* takes in every answer there is */
extern long img_transfers_send(void);	/* what waits; ms until the next look */
extern void img_transfers_end(void);

/* dispatcher_outcome.c: within the transaction that settles */
extern Datum img_outcome(ImgJob *job, int ordinal, TupleDesc desc);	/* one output, as img_finish() takes it */
extern bool img_has_large_results(const ImgJob *job);
extern void img_store_large_results(ImgJob *job);	/* what outcomes have left out */
extern char *img_result_uri(ImgJob *job);	/* storage://… */
extern char *img_path_beside(ImgJob *job, int ordinal); /* where the result of a file goes */
extern bytea *img_output_bytes(const ImgOutput *output);	/* read, if they are in a memfd */
extern void img_output_hash(const ImgOutput *output, uint8 *sha256);

/* dispatcher_unfinished.c: of such an end; false: the job is locked, say it later. */
extern bool img_say_unfinished(ImgJob *job);

/* queue_statistics.c: from now on, in this process. */
extern void img_queue_statistics_start(void);

/* dispatcher_files.c: what a job does to the file tree; false: it has failed. */
extern bool img_change_files(ImgJob *job, ImgRowState *state);

/* dispatcher_settle.c */
extern void img_settle(void);
extern void img_find_gone(ImgJob **jobs, int count, bool *gone);
extern long img_settle_in(void);	/* ms until it is worth it; 0: now */
extern void img_settle_failed(const char *message); /* its transaction was aborted */

#endif							/* IMGAPI_DISPATCHER_H */
