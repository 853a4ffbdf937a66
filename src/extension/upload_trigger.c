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
 * the same in every session: see plain_text().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "extension/compile.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/queue.h"
#include "extension/settings.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(img_on_upload);

/* Rows of a statement that are queued together. */
#define BATCH	10000

static ImgStatement insert_jobs = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request, "
	"source_table, source_column, source_key, target_column) "
	"SELECT v.id, $3, $3, $4, 'edit', 0, $5, $6, $7, $8, v.key, $9 "
	"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) v (id, key)",
	9, {UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, REGROLEOID, INT2OID, JSONBOID, REGCLASSOID, TEXTOID, TEXTOID}
};

static ImgStatement cancel_jobs = {
	"SELECT $S.img_cancel_source($1, $2, $3, $4)",
	4, {REGCLASSOID, TEXTARRAYOID, TEXTOID, TEXTOID}
};

/* What a trigger says, checked. */
typedef struct Spec
{
	Relation	relation;
	const char *source_column;
	AttrNumber	source;
	const char *target_column;	/* or NULL */
	Oid			target_type;
	AttrNumber *key;
	int			nkey;
	FmgrInfo	output[INDEX_MAX_KEYS]; /* of the key's types */
	bool		key_varies;		/* its text depends on settings */
	Jsonb	   *request;
} Spec;

/* Rows to queue, or whose jobs to cancel. */
typedef struct Rows
{
	Datum	   *id;
	Datum	   *key;
	int			count;
	int			size;
} Rows;

static const char example[] =
	"CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON photo FOR EACH ROW "
	"EXECUTE FUNCTION img_on_upload('data', '{\"resizing\": {\"width\": 256}}', 'thumb');";

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("img_on_upload() is a trigger function"),
				 errhint("%s", example)));
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must be AFTER INSERT, UPDATE or DELETE", trigger->tg_trigger->tgname),
				 errhint("%s", example)));
	if (trigger->tg_trigger->tgnargs < 2 || trigger->tg_trigger->tgnargs > 4)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\" has %d arguments; img_on_upload() takes 2 to 4",
						trigger->tg_trigger->tgname, trigger->tg_trigger->tgnargs),
				 errdetail("They are: source column, operations as JSON, target column, output as JSON."),
				 errhint("%s", example)));
}

static AttrNumber
find_column(Relation relation, const char *name, const char *which)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s column \"%s\" of table \"%s\" does not exist", which, name, RelationGetRelationName(relation)),
				 errhint("ALTER TABLE %s ADD COLUMN %s bytea;", RelationGetRelationName(relation), name)));
	return number;
}

static void
check_types(Spec *spec)
{
	TupleDesc	desc = RelationGetDescr(spec->relation);

	if (TupleDescAttr(desc, spec->source - 1)->atttypid != BYTEAOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("source column \"%s\" is of type %s, not bytea", spec->source_column,
						format_type_be(TupleDescAttr(desc, spec->source - 1)->atttypid)),
				 errdetail("This version of imgapi takes pictures that are in the row.")));
	if (spec->target_column == NULL)
		return;
	switch (spec->target_type)
	{
		case BYTEAOID:
		case TEXTOID:
		case VARCHAROID:
		case UUIDOID:
			return;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("target column \"%s\" is of type %s", spec->target_column, format_type_be(spec->target_type)),
					 errdetail("Allowed: bytea (the picture), text (its storage URI) or uuid (the job).")));
	}
}

/* 42501, naming the grant that is missing. */
static void
check_privilege(Spec *spec, AttrNumber column, AclMode mode, const char *privilege)
{
	Oid			relid = RelationGetRelid(spec->relation);
	const char *name = get_attname(relid, column, false);

	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, column, GetUserId(), mode) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied: role \"%s\" may not %s column \"%s\" of table \"%s\", which its jobs have to",
					GetUserNameFromId(GetUserId(), false), privilege[0] == 'S' ? "read" : "write",
					name, RelationGetRelationName(spec->relation)),
			 errhint("GRANT %s (%s) ON %s TO %s;", privilege, quote_identifier(name),
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(spec->relation)),
												RelationGetRelationName(spec->relation)),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static Jsonb *
json_argument(const char *text, const char *which, const char *trigger)
{
	if (text[strspn(text, " \t\r\n")] != '{' && text[0] != '"')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("trigger \"%s\": %s must be a JSON object", trigger, which),
				 errdetail("Given: \"%s\". Named operations are not part of this version of imgapi.", text),
				 errhint("%s", example)));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* The request of a trigger, compiled once and kept as long as its text is the same. */
static Jsonb *
request_of(Trigger *trigger)
{
	static char *last = NULL;
	static Jsonb *last_request = NULL;
	const char *output_text = trigger->tgnargs > 3 ? trigger->tgargs[3] : NULL;
	char	   *text = psprintf("%s\n%s", trigger->tgargs[1], output_text ? output_text : "");
	Jsonb	   *operations;
	Jsonb	   *output;
	Jsonb	   *request;

	if (last != NULL && strcmp(last, text) == 0)
		return last_request;
	operations = json_argument(trigger->tgargs[1], "operations", trigger->tgname);
	output = output_text ? json_argument(output_text, "output", trigger->tgname) : NULL;
	(void) img_compile_cached(operations, output, NULL);
	request = img_request_document(operations, output);
	if (last != NULL)
	{
		pfree(last);
		pfree(last_request);
		last = NULL;
	}
	last_request = MemoryContextAlloc(TopMemoryContext, VARSIZE(request));
	memcpy(last_request, request, VARSIZE(request));
	last = MemoryContextStrdup(TopMemoryContext, text);
	return last_request;
}

/* Whether values of a type read the same whatever the session's settings. */
static bool
reads_the_same(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case OIDOID:
		case BOOLOID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
			return true;
		default:
			return false;
	}
}

/* Settings in which every value reads the same in all sessions and is read
 * back exactly; undone with AtEOXact_GUC(). */
static int
plain_text(void)
{
	static const char *const settings[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "postgres"}, {"timezone", "UTC"},
		{"extra_float_digits", "3"}, {"bytea_output", "hex"}
	};
	int			nest = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nest;
}

static void
read_spec(TriggerData *data, Spec *spec)
{
	Trigger    *trigger = data->tg_trigger;
	TupleDesc	desc = RelationGetDescr(data->tg_relation);

	memset(spec, 0, sizeof(*spec));
	spec->relation = data->tg_relation;
	spec->source_column = trigger->tgargs[0];
	spec->source = find_column(data->tg_relation, spec->source_column, "source");
	if (trigger->tgnargs > 2 && trigger->tgargs[2][0] != '\0')
	{
		AttrNumber	target;

		spec->target_column = trigger->tgargs[2];
		target = find_column(data->tg_relation, spec->target_column, "target");
		spec->target_type = TupleDescAttr(desc, target - 1)->atttypid;
	}
	check_types(spec);
	spec->key = img_primary_key(data->tg_relation, &spec->nkey);
	for (int i = 0; i < spec->nkey; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(TupleDescAttr(desc, spec->key[i] - 1)->atttypid, &function, &is_varlena);
		fmgr_info(function, &spec->output[i]);
		if (!reads_the_same(TupleDescAttr(desc, spec->key[i] - 1)->atttypid))
			spec->key_varies = true;
	}
}

/* What submitting needs beyond cancelling. */
static void
check_submission(TriggerData *data, Spec *spec)
{
	check_privilege(spec, spec->source, ACL_SELECT, "SELECT");
	if (spec->target_column != NULL)
		check_privilege(spec, get_attnum(RelationGetRelid(spec->relation), spec->target_column), ACL_UPDATE, "UPDATE");
	spec->request = request_of(data->tg_trigger);
}

/* The key of a row as the text of a text array. */
static Datum
key_of(Spec *spec, TupleTableSlot *slot)
{
	Datum		part[INDEX_MAX_KEYS];
	int			nest = spec->key_varies ? plain_text() : 0;

	for (int i = 0; i < spec->nkey; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, spec->key[i], &isnull);

		part[i] = CStringGetTextDatum(OutputFunctionCall(&spec->output[i], value));
	}
	if (nest > 0)
		AtEOXact_GUC(true, nest);
	return CStringGetTextDatum(OidOutputFunctionCall(F_ARRAY_OUT,
													 PointerGetDatum(construct_array(part, spec->nkey, TEXTOID, -1, false, TYPALIGN_INT))));
}

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
	return PointerGetDatum(construct_array(rows->key, rows->count, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
cancel(const ImgHome *home, Spec *spec, const Rows *rows)
{
	char		nulls[] = "    ";
	Datum		values[] = {
		ObjectIdGetDatum(RelationGetRelid(spec->relation)), text_array(rows),
		CStringGetTextDatum(spec->source_column), text_or_null(spec->target_column, &nulls[3])
	};
	ImgIdentity before;

	if (rows->count == 0)
		return;
	img_become(home->owner, false, &before);
	img_execute(&cancel_jobs, values, nulls);
	img_resume(&before);
}

static void
submit(const ImgHome *home, Spec *spec, const Rows *rows)
{
	char		nulls[] = "         ";
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = {
		(Datum) 0, (Datum) 0, TimestampTzGetDatum(now), ObjectIdGetDatum(GetUserId()),
		Int16GetDatum(imgapi_max_attempts), JsonbPGetDatum(spec->request),
		ObjectIdGetDatum(RelationGetRelid(spec->relation)), CStringGetTextDatum(spec->source_column),
		text_or_null(spec->target_column, &nulls[8])
	};
	ImgIdentity before;

	if (rows->count == 0)
		return;
	values[0] = PointerGetDatum(construct_array(rows->id, rows->count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[1] = text_array(rows);
	img_become(home->owner, false, &before);
	img_execute(&insert_jobs, values, nulls);
	img_resume(&before);
	img_wake_at_commit(now);
	img_warn_without_worker();

	/* A uuid target tells the job right away; with the user's own rights. */
	if (spec->target_column == NULL || spec->target_type != UUIDOID)
		return;
	for (int i = 0; i < rows->count; i++)
	{
		ImgRowSource row = {
			.table = RelationGetRelid(spec->relation), .source_column = (char *) spec->source_column,
			.target_column = (char *) spec->target_column, .key = TextDatumGetCString(rows->key[i])
		};

		img_row_set(&row, rows->id[i]);
	}
}

/* Whether two versions of a row hold the same picture under the same key. */
static bool
same_source(Spec *spec, TupleTableSlot *old, Datum old_key, TupleTableSlot *new, Datum new_key)
{
	bool		old_null;
	bool		new_null;
	Datum		a = slot_getattr(old, spec->source, &old_null);
	Datum		b = slot_getattr(new, spec->source, &new_null);

	if (VARSIZE_ANY(DatumGetPointer(old_key)) != VARSIZE_ANY(DatumGetPointer(new_key)) ||
		memcmp(DatumGetPointer(old_key), DatumGetPointer(new_key), VARSIZE_ANY(DatumGetPointer(old_key))) != 0)
		return false;
	if (old_null || new_null)
		return old_null && new_null;
	return VARSIZE_ANY(DatumGetPointer(a)) == VARSIZE_ANY(DatumGetPointer(b)) &&
		memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE_ANY(DatumGetPointer(a))) == 0;
}

/* Whether it is the worker that is changing this row.  Its job may name the
 * table of which this one is a partition. */
static bool
written_by_worker(Spec *spec, Datum key)
{
	Oid			table = RelationGetRelid(spec->relation);

	return img_writing != NULL &&
		(table == img_writing->table ||
		 (spec->relation->rd_rel->relispartition &&
		  list_member_oid(get_partition_ancestors(table), img_writing->table))) &&
		strcmp(TextDatumGetCString(key), img_writing->key) == 0;
}

/* One changed row, old or new of which may be NULL. */
static void
sort_row(Spec *spec, TupleTableSlot *old, TupleTableSlot *new, Rows *cancelled, Rows *submitted)
{
	Datum		old_key = old ? key_of(spec, old) : (Datum) 0;
	Datum		new_key = new ? key_of(spec, new) : (Datum) 0;

	if (old != NULL && new != NULL &&
		(same_source(spec, old, old_key, new, new_key) || written_by_worker(spec, new_key)))
		return;
	if (old != NULL)
		add_row(cancelled, old_key);
	if (new != NULL && !slot_attisnull(new, spec->source))
		add_row(submitted, new_key);
}

static void
flush(const ImgHome *home, TriggerData *data, Spec *spec, Rows *cancelled, Rows *submitted)
{
	if (submitted->count > 0 && spec->request == NULL)
		check_submission(data, spec);
	SPI_connect();
	cancel(home, spec, cancelled);
	submit(home, spec, submitted);
	SPI_finish();
	cancelled->count = submitted->count = 0;
}

static void
for_each_row(const ImgHome *home, TriggerData *data, Spec *spec)
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
	sort_row(spec, old, new, &cancelled, &submitted);
	if (cancelled.count + submitted.count > 0)
		flush(home, data, spec, &cancelled, &submitted);
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
for_each_statement(const ImgHome *home, TriggerData *data, Spec *spec)
{
	Rows		cancelled = {0};
	Rows		submitted = {0};
	Tuplestorestate *old_table = TRIGGER_FIRED_BY_INSERT(data->tg_event) ? NULL : data->tg_oldtable;
	Tuplestorestate *new_table = TRIGGER_FIRED_BY_DELETE(data->tg_event) ? NULL : data->tg_newtable;
	TupleTableSlot *old = MakeSingleTupleTableSlot(RelationGetDescr(spec->relation), &TTSOpsMinimalTuple);
	TupleTableSlot *new = MakeSingleTupleTableSlot(RelationGetDescr(spec->relation), &TTSOpsMinimalTuple);
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
			sort_row(spec, have_old ? old : NULL, have_new ? new : NULL, &cancelled, &submitted);
		if (cancelled.count >= BATCH || submitted.count >= BATCH || !more)
			flush(home, data, spec, &cancelled, &submitted);
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
	Spec		spec;
	ErrorContextCallback context;

	check_call(fcinfo);
	context.previous = error_context_stack;
	context.callback = name_trigger;
	context.arg = data;
	error_context_stack = &context;
	home = img_home_of_function(fcinfo->flinfo->fn_oid);
	read_spec(data, &spec);
	if (TRIGGER_FIRED_FOR_ROW(data->tg_event))
		for_each_row(home, data, &spec);
	else
		for_each_statement(home, data, &spec);
	error_context_stack = context.previous;
	return PointerGetDatum(NULL);
}
