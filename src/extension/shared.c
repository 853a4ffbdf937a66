/*
 * shared.c
 *	  Shared memory and the waking of dispatchers; see shared.h for the rules.
 *
 * Runs in every PostgreSQL process that loads imgapi.so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

ImgShared  *img_shared = NULL;

static shmem_startup_hook_type previous_startup_hook = NULL;
#if PG_VERSION_NUM >= 150000
static shmem_request_hook_type previous_request_hook = NULL;
#endif

/* When the earliest job of this transaction is due; DT_NOEND: none. */
static TimestampTz due_at_commit = DT_NOEND;

/* This transaction has cancelled jobs, left callbacks to send, or kept a webhook. */
static bool cancelled = false;
static bool called_back = false;
static bool has_webhook = false;

static void
request(void)
{
#if PG_VERSION_NUM >= 150000
	if (previous_request_hook)
		previous_request_hook();
#endif
	RequestAddinShmemSpace(MAXALIGN(sizeof(ImgShared)));
	RequestNamedLWLockTranche("imgapi", 1);
}

static void
startup(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	img_shared = ShmemInitStruct("imgapi", sizeof(ImgShared), &found);
	if (!found)
	{
		memset(img_shared, 0, sizeof(ImgShared));
		img_shared->lock = &GetNamedLWLockTranche("imgapi")->lock;
		for (int i = 0; i < IMG_MAX_DATABASES; i++)
		{
			pg_atomic_init_u64(&img_shared->slot[i].next_due, (uint64) DT_NOEND);
			pg_atomic_init_u32(&img_shared->slot[i].wakes, 0);
			pg_atomic_init_u32(&img_shared->slot[i].cancels, 0);
			pg_atomic_init_u32(&img_shared->slot[i].callbacks, 0);
			pg_atomic_init_u32(&img_shared->slot[i].webhooks, 0);
			ConditionVariableInit(&img_shared->slot[i].ended);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
img_shared_request(void)
{
#if PG_VERSION_NUM >= 150000
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request;
#else
	request();
#endif
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}

static ImgSlot *
find_slot(Oid database)
{
	for (int i = 0; i < IMG_MAX_DATABASES; i++)
		if (img_shared->slot[i].database == database)
			return &img_shared->slot[i];
	return NULL;
}

ImgSlot *
img_slot(Oid database, bool create)
{
	static ImgSlot *own = NULL;
	ImgSlot    *slot;

	if (img_shared == NULL)
		return NULL;
	/* A slot once found is nearly always still there. */
	if (own != NULL && own->database == database)
		return own;
	LWLockAcquire(img_shared->lock, create ? LW_EXCLUSIVE : LW_SHARED);
	slot = find_slot(database);
	if (slot == NULL && create)
	{
		slot = find_slot(InvalidOid);
		if (slot != NULL)
		{
			slot->database = database;
			slot->pid = 0;
			slot->latch = NULL;
			slot->wanted = false;
			slot->not_before = slot->held_until = 0;
			pg_atomic_write_u64(&slot->next_due, (uint64) DT_NOEND);
			memset(&slot->status, 0, sizeof(slot->status));
		}
	}
	LWLockRelease(img_shared->lock);
	if (slot != NULL)
		own = slot;
	return slot;
}

void
img_slot_free(Oid database)
{
	ImgSlot    *slot;

	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot != NULL && slot->pid == 0)
	{
		slot->database = InvalidOid;
		slot->wanted = false;
	}
	LWLockRelease(img_shared->lock);
}

void
img_wake(Oid database, TimestampTz due)
{
	ImgSlot    *slot = img_slot(database, true);
	Latch	   *latch;

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u32(&slot->wakes, 1);
	latch = slot->latch;		/* in this order: see leave() in dispatcher.c */
	if (latch != NULL)
	{
		/*
		 * A dispatcher that will look again before the job is due need not
		 * be woken.  It publishes DT_NOEND before it looks, so that nothing
		 * committed meanwhile is missed.
		 */
		pg_memory_barrier();
		if (due < (TimestampTz) pg_atomic_read_u64(&slot->next_due))
			SetLatch(latch);
		return;
	}
	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	if (slot->database == database)
		slot->wanted = true;
	latch = img_shared->launcher_latch;
	LWLockRelease(img_shared->lock);
	if (latch != NULL)
		SetLatch(latch);
}

static void
count_events(void)
{
	ImgSlot    *slot = img_slot(MyDatabaseId, false);

	if (slot == NULL)
		return;
	if (cancelled)
		pg_atomic_fetch_add_u32(&slot->cancels, 1);
	if (called_back)
		pg_atomic_fetch_add_u32(&slot->callbacks, 1);
	if (has_webhook)
		pg_atomic_fetch_add_u32(&slot->webhooks, 1);
}

/* Runs after the rows of the transaction have become visible. */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (due_at_commit == DT_NOEND)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			count_events();
			img_wake(MyDatabaseId, due_at_commit);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* COMMIT PREPARED wakes too: database_commands.c */
			due_at_commit = DT_NOEND;
			cancelled = called_back = has_webhook = false;
			break;
		default:
			break;
	}
}

void
img_wake_at_commit(TimestampTz due)
{
	static bool registered = false;

	if (img_shared == NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		registered = true;
	}
	if (due < due_at_commit)
		due_at_commit = due;
}

void
img_wake_for_cancel(void)
{
	img_wake_at_commit(DT_NOBEGIN);
	cancelled = img_shared != NULL;
}

void
img_wake_for_callback(void)
{
	img_wake_at_commit(DT_NOBEGIN);
	called_back = img_shared != NULL;
}

void
img_wake_for_webhook(void)
{
	img_wake_at_commit(DT_NOBEGIN);
	has_webhook = img_shared != NULL;
}
