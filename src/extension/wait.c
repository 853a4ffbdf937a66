/*
 * wait.c
 *	  img_wait(): sleeps until a job has ended.
 *
 * Runs in client backends.  The dispatcher broadcasts a condition variable
 * after every commit that ended jobs; here we look at the job, sleep, and look
 * again.  Without a dispatcher (no preloading) we look once a second, since
 * only another session can end the job then.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/queue.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_wait);

/* live first: a job that moves to the ended ones in between is then found
 * there, not missed. */
static ImgStatement look = {
	"SELECT l.owner::pg_catalog.oid, (CASE WHEN l.lease_owner IS NULL THEN 'ACCEPTED' ELSE 'PROCESSING' END)::$S.img_job_status, false, l.xmin "
	"FROM $S.img_job_live l WHERE l.id = $1 UNION ALL "
	"SELECT e.owner::pg_catalog.oid, e.status, true, '0'::xid FROM $S.img_job_ended e "
	"WHERE e.id = $1 AND e.expires_at > pg_catalog.clock_timestamp()",
	1, {UUIDOID}
};

/* What an unknown job and somebody else's have in common: both are not there. */
static ImgStatement no_such_job = {
	"SELECT $S.img_no_such_job($1)", 1, {UUIDOID}
};

typedef struct Seen
{
	Datum		status;			/* OID of the enum's label */
	bool		ended;
} Seen;

static Seen
look_at_job(const ImgHome *home, Datum job, Oid who)
{
	ImgIdentity before;
	Seen		seen = {0};
	bool		isnull;
	bool		found;
	TransactionId inserted_by = InvalidTransactionId;

	SPI_connect();
	img_become(home->owner, false, &before);
	img_execute_now(&look, &job, NULL);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		found = img_role_sees(DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull)), who);
		seen.status = SPI_getbinval(row, desc, 2, &isnull);
		seen.ended = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
		inserted_by = DatumGetTransactionId(SPI_getbinval(row, desc, 4, &isnull));
	}
	img_resume(&before);
	if (!found)
		img_execute(&no_such_job, &job, NULL);
	SPI_finish();

	if (!seen.ended && TransactionIdIsValid(inserted_by) &&
		TransactionIdIsCurrentTransactionId(inserted_by))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("waiting here would never end: the job starts when this transaction has committed"),
				 errhint("COMMIT first, then call img_wait() in a statement of its own.")));
	return seen;
}

/* Milliseconds from now to a moment; 0 when it is past. */
static long
milliseconds_until(TimestampTz moment)
{
	return moment == DT_NOEND ? 3600 * 1000L :
		TimestampDifferenceMilliseconds(GetCurrentTimestamp(), moment);
}

static uint32
wait_event(void)
{
	static uint32 cached = 0;

	return img_wait_event(&cached, "ImgapiJob");
}

static void
sleep_a_second(long most)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(most, 1000), wait_event());
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

Datum
img_wait(PG_FUNCTION_ARGS)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	Datum		job = PG_GETARG_DATUM(0);
	Oid			who = GetUserId();
	TimestampTz until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																TimestampTzGetDatum(GetCurrentTimestamp()),
																PG_GETARG_DATUM(1)));
	ImgSlot    *slot = img_slot(MyDatabaseId, false);
	Seen		seen = look_at_job(home, job, who);

	if (!seen.ended)
		img_warn_without_worker();
	if (slot != NULL)
		ConditionVariablePrepareToSleep(&slot->ended);
	for (;;)
	{
		long		left;

		/* Only once we are on the list may we look: see condition_variable.c */
		seen = look_at_job(home, job, who);
		left = milliseconds_until(until);
		if (seen.ended || left <= 0)
			break;
		if (slot != NULL)
			(void) ConditionVariableTimedSleep(&slot->ended, Min(left, 60 * 1000), wait_event());
		else
			sleep_a_second(left);
	}
	ConditionVariableCancelSleep();
	PG_RETURN_DATUM(seen.status);
}
