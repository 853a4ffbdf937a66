/*
 * shared.h
 *	  Shared memory: who works where, and how to wake them.
 *
 * One slot a database, taken by whoever first wants a dispatcher there and kept
 * until the extension or the database is gone.  img_shared is NULL where imgapi
 * is not in shared_preload_libraries.
 *
 * Locking: img_shared->lock guards the taking and freeing of slots and every
 * field not said to be otherwise.  Latches are those of PGPROC entries, whose
 * memory stays for the life of the server: setting one that has changed hands
 * is a spurious wake-up.  No pointer into a process's own memory is ever
 * stored here.
 */
#ifndef IMGAPI_SHARED_H
#define IMGAPI_SHARED_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#define IMG_MAX_DATABASES	64
#define IMG_POOL_SOCKET		"imgapi.pool"	/* in the data directory, 0600 */

typedef enum ImgWorkerState
{
	IMG_WORKER_NONE, IMG_WORKER_STARTING, IMG_WORKER_IDLE, IMG_WORKER_WORKING
} ImgWorkerState;

/* What img_worker shows of a launcher or a dispatcher.  Written by that
 * process without a lock: only shown to people. */
typedef struct ImgWorkerStatus
{
	ImgWorkerState state;
	int			inflight;
	int			executors;
	int64		jobs_done;
	int64		jobs_failed;
	TimestampTz started_at;
	char		last_error[256];
	char		sandbox[16];
} ImgWorkerStatus;

typedef struct ImgSlot
{
	Oid			database;		/* InvalidOid: free */
	pid_t		pid;			/* 0: no dispatcher */
	Latch	   *latch;			/* its latch; read without the lock */
	bool		wanted;			/* the launcher is to start one */
	TimestampTz not_before;		/* … but not before this time */
	TimestampTz held_until;		/* a command needs the database without us */
	pg_atomic_uint64 next_due;	/* TimestampTz: the dispatcher wakes by itself */
	pg_atomic_uint32 wakes;		/* counted, for a dispatcher whose latch was
								 * reset while it waited for something else,
								 * or that is about to leave */
	pg_atomic_uint32 cancels;	/* counted: somebody's job is not wanted any more */
	pg_atomic_uint32 callbacks; /* counted: there is a callback to send */
	pg_atomic_uint32 webhooks;	/* counted: a server has said something of a job */
	ConditionVariable ended;	/* broadcast when jobs have ended */
	ImgWorkerStatus status;
} ImgSlot;

typedef struct ImgShared
{
	LWLock	   *lock;
	pid_t		launcher;		/* 0: none */
	Latch	   *launcher_latch;
	ImgWorkerStatus launcher_status;
	ImgSlot		slot[IMG_MAX_DATABASES];
} ImgShared;

extern ImgShared *img_shared;

/* In _PG_init, when preloading. */
extern void img_shared_request(void);

/* The slot of a database; taken when there is none and create is set.  NULL:
 * none, or no room.  Takes the lock. */
extern ImgSlot *img_slot(Oid database, bool create);

/* When this transaction commits, wakes this database's dispatcher, or has one
 * started, because a job is due then. */
extern void img_wake_at_commit(TimestampTz due);

/* The same, because a job was cancelled that may be with an executor. */
extern void img_wake_for_cancel(void);

/* The same, because a job has ended that has a callback_url. */
extern void img_wake_for_callback(void);

/* The same, because a server has said something of a job. */
extern void img_wake_for_webhook(void);

/* The same at once. */
extern void img_wake(Oid database, TimestampTz due);

/* Frees the slot of a database that needs none any more. */
extern void img_slot_free(Oid database);

#endif							/* IMGAPI_SHARED_H */
