/*
 * upload_trigger.c
 *	  img_on_upload(): a job for every picture that arrives in a table.
 *
 * Runs in client backends.  The picture stays where it is: a job names its row
 * by primary key, and the worker reads it when it gets there.
 *
 * What counts as an upload is a change of the source column, so writing a
 * result to another column of the row never starts a job, however the trigger
 * is declared; and what the worker writes to the row (img_writing) never does.
 *
 * Keys are read from the tuples here, in C: an SQL cast to text would run a
 * cast that some user may have defined, with our rights.  They have to read
 * the same in every session: see upload.c.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/queue.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "extension/upload.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(img_on_upload);

/* Rows of a statement that are queued together. */
#define BATCH	10000

static ImgStatement insert_jobs = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request, "
	"source_table, source_column, source_key, target_column, retention, server) "
	"SELECT v.id, $3, $3, $4, $10::$S.img_job_kind, 0, $5, $6, $7, $8, v.key, $9, $11, $12 "
	"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) v (id, key)",
	12, {UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, REGROLEOID, INT2OID, JSONBOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID, TEXTOID}
};

static ImgStatement cancel_jobs = {
	"SELECT $S.img_cancel_source($1, $2, $3, $4)",
	4, {REGCLASSOID, TEXTARRAYOID, TEXTOID, TEXTOID}
};

/* Rows to queue, or whose jobs to cancel. */
typedef struct Rows
{
	Datum	   *id;
	Datum	   *key;
	int			count;
	int			size;
} Rows;

static void
add_row(Rows *rows, Datum key)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (rows->count == rows->size)
	{
		rows->size = rows->size ? rows->size * 2 : 16;
		rows->id = rows->id ? repalloc(rows->id, rows->size * sizeof(Datum)) : palloc(rows->size * sizeof(Datum));
		rows->key = rows->key ? repalloc(rows->key, rows->size * sizeof(Datum)) : palloc(rows->size * sizeof(Datum));
	}
	img_new_uuid(id);
	rows->id[rows->count] = UUIDPGetDatum(id);
	rows->key[rows->count++] = key;
}

static Datum
text_or_null(const char *text, char *null)
{
	*null = text ? ' ' : 'n';
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static Datum
text_array(const Rows *rows)
{
	return img_array(rows->key, NULL, rows->count, TEXTOID);
}

static void
cancel(const ImgHome *home, ImgUpload *upload, const Rows *rows)
{
	char		nulls[] = "    ";
	Datum		values[] = {
		ObjectIdGetDatum(RelationGetRelid(upload->relation)), text_array(rows),
		CStringGetTextDatum(upload->source_column), text_or_null(upload->target_column, &nulls[3])
	};
	ImgIdentity before;

	if (rows->count == 0)
		return;
	img_become(home->owner, false, &before);
	img_execute(&cancel_jobs, values, nulls);
	img_resume(&before);
	img_wake_for_cancel();
}

static void
submit(const ImgHome *home, ImgUpload *upload, const Rows *rows)
{
	char		nulls[] = "            ";
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = {
		(Datum) 0, (Datum) 0, TimestampTzGetDatum(now), ObjectIdGetDatum(GetUserId()),
		Int16GetDatum(imgapi_max_attempts), JsonbPGetDatum(upload->request),
		ObjectIdGetDatum(RelationGetRelid(upload->relation)), CStringGetTextDatum(upload->source_column),
		text_or_null(upload->target_column, &nulls[8]), CStringGetTextDatum(upload->is_operation ? "operation" : "edit"),
		IntervalPGetDatum(img_job_retention()), text_or_null(upload->server, &nulls[11])
	};
	ImgIdentity before;

	if (rows->count == 0)
		return;
	values[0] = img_array(rows->id, NULL, rows->count, UUIDOID);
	values[1] = text_array(rows);
	img_become(home->owner, false, &before);
	img_execute(&insert_jobs, values, nulls);
	img_resume(&before);
	img_wake_at_commit(now);
	img_warn_without_worker();

	/* A uuid target tells the job right away; with the user's own rights. */
	if (upload->target_column == NULL || upload->target_type != UUIDOID)
		return;
	for (int i = 0; i < rows->count; i++)
	{
		ImgRowSource row = {
			.table = RelationGetRelid(upload->relation), .source_column = (char *) upload->source_column,
			.target_column = (char *) upload->target_column, .key = TextDatumGetCString(rows->key[i])
		};

		img_row_set(&row, rows->id[i]);
	}
}

/* Whether two versions of a row hold the same picture under the same key. */
static bool
same_source(ImgUpload *upload, TupleTableSlot *old, Datum old_key, TupleTableSlot *new, Datum new_key)
{
	bool		old_null;
	bool		new_null;
	Datum		a = slot_getattr(old, upload->source, &old_null);
	Datum		b = slot_getattr(new, upload->source, &new_null);

	if (VARSIZE_ANY(DatumGetPointer(old_key)) != VARSIZE_ANY(DatumGetPointer(new_key)) ||
		memcmp(DatumGetPointer(old_key), DatumGetPointer(new_key), VARSIZE_ANY(DatumGetPointer(old_key))) != 0)
		return false;
	if (old_null || new_null)
		return old_null && new_null;
	return VARSIZE_ANY(DatumGetPointer(a)) == VARSIZE_ANY(DatumGetPointer(b)) &&
		memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE_ANY(DatumGetPointer(a))) == 0;
}

/*
 * A job that has replaced its own picture: for the other triggers on that
 * column this is a new upload, since what they were making is of the old one.
 * The trigger itself is not meant, so there is no loop.
 */
static bool
replaced_for(ImgUpload *upload)
{
	return strcmp(img_writing->source_column, img_writing->target_column) == 0 &&
		(upload->target_column == NULL || strcmp(upload->target_column, img_writing->target_column) != 0);
}

/* Whether it is the worker that is changing this row.  Its job may name the
 * table of which this one is a partition. */
static bool
written_by_worker(ImgUpload *upload, Datum key)
{
	Oid			table = RelationGetRelid(upload->relation);

	return img_writing != NULL &&
		(table == img_writing->table ||
		 (upload->relation->rd_rel->relispartition &&
		  list_member_oid(get_partition_ancestors(table), img_writing->table))) &&
		strcmp(TextDatumGetCString(key), img_writing->key) == 0 &&
		!replaced_for(upload);
}

/* One changed row, old or new of which may be NULL. */
static void
sort_row(ImgUpload *upload, TupleTableSlot *old, TupleTableSlot *new, Rows *cancelled, Rows *submitted)
{
	Datum		old_key = old ? img_upload_key(upload, old) : (Datum) 0;
	Datum		new_key = new ? img_upload_key(upload, new) : (Datum) 0;

	if (old != NULL && new != NULL &&
		(same_source(upload, old, old_key, new, new_key) || written_by_worker(upload, new_key)))
		return;
	if (old != NULL)
		add_row(cancelled, old_key);
	if (new != NULL && !slot_attisnull(new, upload->source))
		add_row(submitted, new_key);
}

static void
flush(const ImgHome *home, TriggerData *data, ImgUpload *upload, Rows *cancelled, Rows *submitted)
{
	if (submitted->count > 0 && upload->request == NULL)
		img_upload_check_submission(home, data, upload);
	SPI_connect();
	cancel(home, upload, cancelled);
	submit(home, upload, submitted);
	SPI_finish();
	cancelled->count = submitted->count = 0;
}

static void
for_each_row(const ImgHome *home, TriggerData *data, ImgUpload *upload)
{
	Rows		cancelled = {0};
	Rows		submitted = {0};
	TupleTableSlot *old = NULL;
	TupleTableSlot *new = NULL;

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		new = data->tg_trigslot;
	else
	{
		old = data->tg_trigslot;
		if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
			new = data->tg_newslot;
	}
	sort_row(upload, old, new, &cancelled, &submitted);
	if (cancelled.count + submitted.count > 0)
		flush(home, data, upload, &cancelled, &submitted);
}

static void
check_transition_tables(TriggerData *data)
{
	bool		needs_new = !TRIGGER_FIRED_BY_DELETE(data->tg_event);
	bool		needs_old = !TRIGGER_FIRED_BY_INSERT(data->tg_event);

	if ((needs_new && data->tg_newtable == NULL) || (needs_old && data->tg_oldtable == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" is FOR EACH STATEMENT, but does not name the transition tables",
						data->tg_trigger->tgname),
				 errhint("Write REFERENCING%s%s before FOR EACH STATEMENT.",
						 needs_old ? " OLD TABLE AS old_rows" : "", needs_new ? " NEW TABLE AS new_rows" : "")));
}

static bool
next_row(Tuplestorestate *store, TupleTableSlot *slot)
{
	return store != NULL && tuplestore_gettupleslot(store, true, false, slot);
}

static void
for_each_statement(const ImgHome *home, TriggerData *data, ImgUpload *upload)
{
	Rows		cancelled = {0};
	Rows		submitted = {0};
	Tuplestorestate *old_table = TRIGGER_FIRED_BY_INSERT(data->tg_event) ? NULL : data->tg_oldtable;
	Tuplestorestate *new_table = TRIGGER_FIRED_BY_DELETE(data->tg_event) ? NULL : data->tg_newtable;
	TupleTableSlot *old = MakeSingleTupleTableSlot(RelationGetDescr(upload->relation), &TTSOpsMinimalTuple);
	TupleTableSlot *new = MakeSingleTupleTableSlot(RelationGetDescr(upload->relation), &TTSOpsMinimalTuple);
	bool		more = true;

	check_transition_tables(data);
	if (old_table != NULL)
		tuplestore_rescan(old_table);
	if (new_table != NULL)
		tuplestore_rescan(new_table);
	while (more)
	{
		/* Both tables list the rows of an UPDATE in the same order. */
		bool		have_old = next_row(old_table, old);
		bool		have_new = next_row(new_table, new);

		more = have_old || have_new;
		if (more)
			sort_row(upload, have_old ? old : NULL, have_new ? new : NULL, &cancelled, &submitted);
		if (cancelled.count >= BATCH || submitted.count >= BATCH || !more)
			flush(home, data, upload, &cancelled, &submitted);
	}
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
}

static void
name_trigger(void *arg)
{
	TriggerData *data = arg;

	errcontext("trigger \"%s\" on table \"%s\"", data->tg_trigger->tgname,
			   RelationGetRelationName(data->tg_relation));
}

Datum
img_on_upload(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	const ImgHome *home;
	ImgUpload	upload;
	ErrorContextCallback context;

	img_upload_check_call(fcinfo);
	context.previous = error_context_stack;
	context.callback = name_trigger;
	context.arg = data;
	error_context_stack = &context;
	home = img_home_of_function(fcinfo->flinfo->fn_oid);
	img_upload_read(data, &upload);
	if (TRIGGER_FIRED_FOR_ROW(data->tg_event))
		for_each_row(home, data, &upload);
	else
		for_each_statement(home, data, &upload);
	error_context_stack = context.previous;
	return PointerGetDatum(NULL);
}
