/*
 * dispatcher_unfinished.c
 *	  Jobs that have ended without a result, one by one: failed, cancelled, or
 *	  given back.
 *
 * Runs in a dispatcher, in the transaction that settles jobs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Until a job whose row or table was locked is taken again. */
#define POSTPONE_MS		2000

static ImgStatement fail = {
	"SELECT $S.img_fail($1, $2, $3, $4, $5, $6, $7, $8, pg_catalog.make_interval(secs => $9))",
	9, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, FLOAT8OID}
};
static ImgStatement release = {
	"SELECT $S.img_release($1, ARRAY[$2], $3)", 3, {TEXTOID, UUIDOID, TIMESTAMPTZOID}
};
static ImgStatement abandon = {
	"SELECT $S.img_abandon($1, $2, $3, $4, $5)", 5, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID}
};

static bool
say_failed(ImgJob *job)
{
	const ImgFailure *failure = &job->failure;
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(failure->sqlstate), CStringGetTextDatum(failure->message),
		failure->hint ? CStringGetTextDatum(failure->hint) : (Datum) 0,
		CStringGetTextDatum(failure->stage), BoolGetDatum(failure->transient), Float8GetDatum(failure->retry_after)
	};
	bool		isnull;

	img_execute(&fail, values, failure->hint ? NULL : "     n   ");
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static bool
say_cancelled(ImgJob *job)
{
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(job->failure.message), CStringGetTextDatum(job->failure.stage)
	};
	bool		isnull;

	img_execute(&abandon, values, NULL);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Its result, if it has one, is made again. */
static void
say_postponed(ImgJob *job)
{
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id),
		TimestampTzGetDatum(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), POSTPONE_MS))
	};

	img_execute(&release, values, NULL);
}

bool
img_say_unfinished(ImgJob *job)
{
	if (job->end == IMG_END_FAILED)
		return say_failed(job);
	if (job->end == IMG_END_CANCELLED)
		return say_cancelled(job);
	say_postponed(job);
	return true;
}
