/*
 * dispatcher.c
 *	  The worker of one database: claims jobs, feeds executors, settles.
 *
 * A background worker started by the launcher.  The loop sleeps on one set of
 * events: its latch (a submitter has committed, a shutdown, a reload), the
 * death of the postmaster, and an epoll descriptor that stands for all
 * executors.  Everything that happens later by itself (a scheduled job, a
 * lease, a deadline) is a timeout of that sleep.
 *
 * An error in a transaction is logged and kept in img_worker.last_error; what
 * no executor has goes back to the queue, and the loop goes on.  It leaves when
 * the extension is gone.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/settings.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The longest sleep: something may be due that nobody told us about. */
#define IDLE_MS			5000
#define PURGE_MS		60000
#define PURGE_BATCH		100		/* jobs wait meanwhile: 20 ms for pictures of 50 kB */
#define ERROR_MS		1000
#define SUBMITS_MS		10000

ImgDispatcher img_dispatcher;
const ImgRowSource *img_writing = NULL;

static bool connected = false;
static uint32 wakes_at_last_look;	/* when the extension was last found missing */
static TimestampTz heartbeat_at;
static TimestampTz purge_at;
static TimestampTz rest_until;	/* after an error */

static ImgStatement purge = {
	"SELECT GREATEST(p.objects, p.links, p.jobs) FROM $S.img_purge(" CppAsString2(PURGE_BATCH) ") p", 0, {0}
};

/*
 * Between transactions a shutdown is a flag, so that jobs can be given back;
 * within one it interrupts, whatever a user's trigger is doing.
 */
static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	ShutdownRequestPending = true;
	if (IsTransactionState())
	{
		InterruptPending = true;
		ProcDiePending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
leave(int code, Datum arg)
{
	ImgSlot    *slot = img_dispatcher.slot;
	Latch	   *launcher;

	img_stations_end();
	img_transfers_end();
	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	slot->pid = 0;
	slot->latch = NULL;
	slot->status.state = IMG_WORKER_NONE;
	pg_memory_barrier();

	/*
	 * Whoever wakes counts first and reads the latch second; we clear the
	 * latch first and read the count second.  So a wake-up after our last
	 * look at the database is seen here, or finds no dispatcher.
	 */
	if (!connected || (img_dispatcher.gone && wakes_at_last_look == pg_atomic_read_u32(&slot->wakes)))
		slot->database = InvalidOid;
	else
	{
		slot->wanted = true;
		slot->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERROR_MS);
	}
	launcher = img_shared->launcher_latch;
	LWLockRelease(img_shared->lock);
	ConditionVariableBroadcast(&slot->ended);
	if (launcher != NULL)
		SetLatch(launcher);
}

/* Takes the slot; false: there is a dispatcher already. */
static bool
take_slot(Oid database)
{
	ImgSlot    *slot = img_slot(database, true);
	bool		taken;

	if (slot == NULL)
		return false;
	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	taken = slot->pid == 0;
	if (taken)
	{
		slot->pid = MyProcPid;
		memset(&slot->status, 0, sizeof(slot->status));
		slot->status.state = IMG_WORKER_STARTING;
		slot->status.started_at = GetCurrentTimestamp();
		pg_atomic_write_u64(&slot->next_due, (uint64) DT_NOEND);
		slot->latch = MyLatch;
	}
	LWLockRelease(img_shared->lock);
	img_dispatcher.slot = slot;
	return taken;
}

/* One batch a turn, and then a rest as long as it took, so that jobs go on
 * meanwhile and find the disk free. */
static void
purge_expired(TimestampTz start)
{
	int64		purged = 0;		/* pictures, links or jobs, whichever are most */
	TimestampTz end;

	img_run_alone(&purge, NULL, &purged);
	img_delete_soon();
	end = GetCurrentTimestamp();
	purge_at = purged >= PURGE_BATCH ? end + (end - start) : TimestampTzPlusMilliseconds(end, PURGE_MS);
}

/* What happens by the clock; ms until the next. */
static long
tend_clock(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (heartbeat_at <= now)
	{
		heartbeat_at = TimestampTzPlusMilliseconds(now, IMG_HEARTBEAT_MS);
		img_leases_renew();
		img_leases_rescue();
	}
	if (imgapi_auto_purge && purge_at <= now)
	{
		purge_expired(now);
		now = GetCurrentTimestamp();
	}
	return Min(TimestampDifferenceMilliseconds(now, heartbeat_at),
			   imgapi_auto_purge ? TimestampDifferenceMilliseconds(now, purge_at) : IDLE_MS);
}

static uint32
wait_event(void)
{
	static uint32 cached = 0;

	return img_wait_event(&cached, "ImgapiDispatcher");
}

static void
show_state(void)
{
	ImgWorkerStatus *status = &img_dispatcher.slot->status;
	int			inflight = img_jobs_in_hand();
	ImgWorkerState state = inflight > 0 ? IMG_WORKER_WORKING : IMG_WORKER_IDLE;

	status->inflight = inflight;
	if (state != status->state)
		pgstat_report_activity(state == IMG_WORKER_IDLE ? STATE_IDLE : STATE_RUNNING,
							   state == IMG_WORKER_IDLE ? NULL : "imgapi: working on jobs");
	status->state = state;
}

/* Frees executors from jobs that were cancelled; ms until the next look. */
static long
tend_cancelled(void)
{
	static uint32 seen = 0;
	uint32		cancels = pg_atomic_read_u32(&img_dispatcher.slot->cancels);
	long		again;

	if (cancels == seen)
		return IDLE_MS;
	img_waiting_end_cancelled();
	again = img_stations_end_cancelled();
	if (again > 0)
		return again;
	seen = cancels;
	return IDLE_MS;
}

/* Everything that can be done now; ms to sleep. */
static long
turn(void)
{
	long		wait = IDLE_MS;
	TimestampTz due;

	img_stations_receive();
	img_transfers_receive();
	wait = Min(wait, tend_cancelled());
	wait = Min(wait, img_stations_tend());
	img_claim_and_send();
	img_network_work();
	img_webhooks_take();
	img_remote_work();
	img_callback_work();
	wait = Min(wait, img_transfers_send());
	wait = Min(wait, img_delete_in());
	wait = Min(wait, img_callback_in());
	if (img_settle_in() == 0)
	{
		img_settle();
		/* Their places are free, and the next may be there. */
		img_claim_and_send();
	}
	wait = Min(wait, img_claim_in());
	/* what was just begun or claimed may want a picture from elsewhere, and
	 * servers may have to be told what has just ended */
	wait = Min(wait, img_network_in());
	wait = Min(wait, img_remote_in());
	wait = Min(wait, tend_clock());
	img_publish_next_due();
	wait = Min(wait, img_settle_in());
	due = (TimestampTz) pg_atomic_read_u64(&img_dispatcher.slot->next_due);
	if (due != DT_NOEND)
		wait = Min(wait, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due));
	return wait;
}

/* turn(), surviving errors. */
static long
guarded_turn(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile long wait = 0;
	volatile bool failed = false;

	PG_TRY();
	{
		wait = turn();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		strlcpy(img_dispatcher.slot->status.last_error, error->message, sizeof(img_dispatcher.slot->status.last_error));
		img_writing = NULL;
		img_settle_failed(error->message);
		img_remote_undo();
		img_network_undo();
		img_stations_take_back();
		rest_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERROR_MS);
		failed = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (failed)
		img_leases_give_back(false);
	return wait;
}

/* Whether there is something for us to do here; sets gone. */
static bool
look_for_extension(void)
{
	wakes_at_last_look = pg_atomic_read_u32(&img_dispatcher.slot->wakes);
	StartTransactionCommand();
	img_dispatcher.gone = !img_database_is_served(get_database_name(MyDatabaseId)) ||
		img_home_of_extension() == NULL;
	CommitTransactionCommand();
	return !img_dispatcher.gone;
}

static void
start(Oid database)
{
	pqsignal(SIGTERM, handle_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	/* A reload since we were forked was not heard. */
	ProcessConfigFile(PGC_SIGHUP);
	if (!take_slot(database))
		proc_exit(0);
	before_shmem_exit(leave, 0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	connected = true;

	if (!look_for_extension())
		proc_exit(0);

	pgstat_report_appname("imgapi dispatcher");
	/* Claims need not be waited for; settling is, by ForceSyncCommit(). */
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	/* Our statements are the same all day; planning took a fifth of the time. */
	SetConfigOption("plan_cache_mode", "force_generic_plan", PGC_USERSET, PGC_S_OVERRIDE);
	/* They are short: compiling one takes a hundred times as long as it does. */
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	img_queue_statistics_start();
	/* Nobody's lock on a table may stop the queue. */
	SetConfigOption("lock_timeout", "200ms", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE);
	snprintf(img_dispatcher.name, sizeof(img_dispatcher.name), "home/%d/" INT64_FORMAT,
			 MyProcPid, (int64) GetCurrentTimestamp());
	dlist_init(&img_dispatcher.claimed);
	dlist_init(&img_dispatcher.network);
	dlist_init(&img_dispatcher.to_read);
	dlist_init(&img_dispatcher.to_store);
	dlist_init(&img_dispatcher.remote);
	dlist_init(&img_dispatcher.ended);
	img_dispatcher.look = true;
	img_dispatcher.job_ms = 10;
	heartbeat_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), IMG_HEARTBEAT_MS);
}

/*
 * Sleeps; takes note of why it woke.  The latch alone would not do: whatever
 * waited in our transactions (a lock, a user's trigger) has reset it.
 */
static void
sleep_until_something(WaitEventSet *events, long wait)
{
	static uint32 wakes_seen = 0;
	ImgSlot    *slot = img_dispatcher.slot;
	WaitEvent	event;
	bool		timeout;

	if (ShutdownRequestPending || ConfigReloadPending || img_dispatcher.gone)
		wait = 0;
	if (pg_atomic_read_u32(&slot->wakes) != wakes_seen)
	{
		wait = 0;
		img_dispatcher.look = true;
	}
	timeout = WaitEventSetWait(events, Max(wait, 0), &event, 1, wait_event()) == 0;
	if (!timeout && event.events == WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		img_dispatcher.look = true;
		/* Jobs may have been cancelled: whoever waits for them looks. */
		ConditionVariableBroadcast(&slot->ended);
	}
	if (timeout)
		img_dispatcher.look = true;
	if (img_dispatcher.look)
		wakes_seen = pg_atomic_read_u32(&slot->wakes);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		img_delete_soon();
		img_callback_soon();
		(void) look_for_extension();
	}
}

/* Before leaving: whether a server has begun a job should be known. */
static void
await_submits(WaitEventSet *events)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SUBMITS_MS);
	WaitEvent	event;

	while (!img_remote_drain() && GetCurrentTimestamp() < until)
		if (WaitEventSetWait(events, 1000, &event, 1, wait_event()) > 0 && event.events == WL_LATCH_SET)
			ResetLatch(MyLatch);
}

void
img_dispatcher_main(Datum arg)
{
	WaitEventSet *events;
	MemoryContext loop;

	start(DatumGetObjectId(arg));
	img_stations_start();
	events = img_worker_events(img_dispatcher.epoll);
	loop = AllocSetContextCreate(TopMemoryContext, "imgapi dispatcher", ALLOCSET_DEFAULT_SIZES);
	img_leases_rescue();

	while (!ShutdownRequestPending && (!img_dispatcher.gone || look_for_extension()))
	{
		long		wait;

		MemoryContextSwitchTo(loop);
		MemoryContextReset(loop);
		if (rest_until > GetCurrentTimestamp())
			wait = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), rest_until);
		else
			wait = guarded_turn();
		show_state();
		pgstat_report_stat(false);
		sleep_until_something(events, wait);
	}
	if (!img_dispatcher.gone)
	{
		await_submits(events);
		img_leases_give_back(true);
	}
	proc_exit(0);
}
