/*
 * dispatcher_network.h
 *	  What a dispatcher has under way with its fetcher.
 */
#ifndef IMGAPI_DISPATCHER_NETWORK_H
#define IMGAPI_DISPATCHER_NETWORK_H

#include "extension/dispatcher.h"
#include "extension/fetcher_process.h"
#include "extension/remote.h"

/* Of one server, by all transfers; dispatcher_transfer.c */
typedef struct ImgConnections ImgConnections;

/* One HTTP request of a job, of a file that is to be removed, or of a callback. */
typedef struct ImgTransfer
{
	dlist_node	node;			/* in one of three lists, unless it is running */
	MemoryContext context;		/* holds it and all it points to */
	ImgJob	   *job;			/* whose it is; NULL: given up */
	/* what becomes of the answer; in no transaction.  An answer that is no
	 * success has been put aside before: transfer->reply */
	void		(*done) (struct ImgTransfer *transfer, const ImgFetchReply *reply, int memfd);
	/* the same for a failure, within a transaction */
	void		(*failed) (struct ImgTransfer *transfer, const ImgRemoteFailure *failure);
	/* the transaction in which it was made has failed */
	void		(*undone) (struct ImgTransfer *transfer);
	void	   *about;			/* what they need to know */
	int			number;
	ImgHttpRequest request;
	ImgFetchBody body;
	int			memfd;			/* ours, that the body lies in; -1: none */
	uint64		max_answer;
	const char *server;			/* NULL: a plain URL */
	Oid			role;			/* with whose rights */
	ImgConnections *connections;	/* with that server; NULL: a plain URL */
	int			most_connections;	/* of them that run */
	bool		once;			/* not to be sent again, whatever happens */
	bool		any_status;		/* a status is not a failure */
	bool		committed;		/* the transaction in which it was made */
	int			slot;			/* -1: waits */
	uint64		id;
	ImgFetchReply *reply;		/* of a failure */
} ImgTransfer;

/* A transfer in a memory context of its own, below parent. */
extern ImgTransfer *img_transfer_make(MemoryContext parent, ImgJob *job);

/* Notes server and limits of a request that was made for it. */
extern void img_transfer_prepare(ImgTransfer *transfer, const ImgServer *server, Oid role, uint64 max_answer);

/* It is for that server, which has no more than most under way; part of the
 * former. */
extern void img_transfer_connect(ImgTransfer *transfer, const char *server, int most);

/* Queues it; it is sent after the transaction. */
extern void img_transfer_start(ImgTransfer *transfer);

extern void img_transfer_free(ImgTransfer *transfer);

/* The transaction in which requests were made has committed, or has not. */
extern void img_transfers_commit(void);
extern void img_transfers_undo(void);

extern bool img_transfers_have_failed(void);
extern void img_transfers_settle(void); /* of those; within a transaction */

/* What is under way for a job is given up; its answers find nobody. */
extern void img_transfers_give_up(ImgJob *job);

/* dispatcher_network.c: another request has to be made for it. */
extern void img_network_ask_again(ImgJob *job);

/* The result could not be written. */
extern void img_store_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure);

/* dispatcher_upload.c: all within a transaction, but for img_upload_close(). */
extern void img_upload_begin(ImgJob *job, const ImgServer *server, const ImgStorageUri *place, const char *mime,
							 ImgOutput *output, uint64 part_bytes);
extern bool img_upload_step(ImgJob *job);	/* true: it is stored */
extern void img_upload_abort(ImgJob *job);
extern void img_upload_close(ImgJob *job);

/* dispatcher_delete.c */

/* Within a transaction: says what became of files, and takes more. */
extern void img_delete_work(void);
extern bool img_delete_is_due(void);
extern long img_delete_in(void);	/* ms until it is */
extern void img_delete_soon(void);	/* there may be something to remove */

/* dispatcher_callback.c */

/* In transactions of its own: says what became of callbacks, and sends more. */
extern void img_callback_work(void);
extern long img_callback_in(void);	/* ms until there is need */
extern void img_callback_soon(void);	/* settings have changed */

#endif							/* IMGAPI_DISPATCHER_NETWORK_H */
