/*
 * home.c
 *	  Where the extension lives, and running its SQL as its owner.
 *
 * Runs in client backends and in dispatchers.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static ImgHome home;

/* Grows when the home changes, which makes prepared statements stale. */
static uint64 generation = 1;

static void
settle(Oid schema, Oid owner)
{
	if (home.schema == schema)
	{
		home.owner = owner;
		return;
	}
	if (home.schema_name != NULL)
		pfree(home.schema_name);
	home.schema_name = MemoryContextStrdup(TopMemoryContext,
										   quote_identifier(get_namespace_name(schema)));
	home.schema = schema;
	home.owner = owner;
	generation++;
}

const ImgHome *
img_home_of_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	settle(form->pronamespace, form->proowner);
	ReleaseSysCache(tuple);
	return &home;
}

/* The row of pg_extension; false: there is none. */
static bool
find_extension(Oid *extension, Oid *schema, Oid *owner)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(IMG_EXTENSION));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);

		*extension = form->oid;
		*schema = form->extnamespace;
		*owner = form->extowner;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

const ImgHome *
img_home_of_extension(void)
{
	static Oid	extension = InvalidOid;
	Oid			found,
				schema,
				owner;

	/* Locked first and looked at second: it may be dropped while we wait. */
	for (;;)
	{
		if (OidIsValid(extension))
			LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
		if (!find_extension(&found, &schema, &owner))
			return NULL;
		if (found == extension)
			break;
		extension = found;
	}
	settle(schema, owner);
	return &home;
}

Oid
img_type(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum(name), ObjectIdGetDatum(home.schema));

	if (!OidIsValid(type))
		elog(ERROR, "type %s is missing from extension %s", name, IMG_EXTENSION);
	return type;
}

Oid
img_table(const char *name)
{
	return get_relname_relid(name, home.schema);
}

Datum
img_array(Datum *elements, bool *nulls, int n, Oid type)
{
	int			lower = 1;
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, type, length, by_value, alignment));
}

/* The types of the arguments; true: they are those of the plan.  Types of the
 * extension are new after DROP and CREATE EXTENSION. */
static bool
same_types(ImgStatement *statement)
{
	bool		same = true;

	for (int i = 0; i < statement->nargs; i++)
	{
		Oid			type;

		if (statement->type_names[i] == NULL)
			continue;
		type = img_type(statement->type_names[i]);
		same = same && type == statement->types[i];
		statement->types[i] = type;
	}
	return same;
}

static void
prepare(ImgStatement *statement)
{
	StringInfoData text;

	if (same_types(statement) && statement->plan != NULL && statement->generation == generation)
		return;
	if (statement->plan != NULL)
		SPI_freeplan(statement->plan);
	statement->plan = NULL;

	initStringInfo(&text);
	for (const char *p = statement->text; *p != '\0'; p++)
	{
		if (p[0] == '$' && p[1] == 'S')
		{
			appendStringInfoString(&text, home.schema_name);
			p++;
		}
		else
			appendStringInfoChar(&text, *p);
	}
	statement->plan = SPI_prepare(text.data, statement->nargs, statement->types);
	if (statement->plan == NULL || SPI_keepplan(statement->plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", text.data, SPI_result_code_string(SPI_result));
	statement->generation = generation;
	pfree(text.data);
}

int
img_execute(ImgStatement *statement, Datum *values, const char *nulls)
{
	int			result;

	prepare(statement);
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "statement failed: %s: %s", statement->text, SPI_result_code_string(result));
	return result;
}

uint64
img_execute_into(ImgStatement *statement, ParamListInfo parameters, DestReceiver *destination)
{
	SPIExecuteOptions options = {.params = parameters, .dest = destination};
	int			result;

	prepare(statement);
	result = SPI_execute_plan_extended(statement->plan, &options);
	if (result < 0)
		elog(ERROR, "statement failed: %s: %s", statement->text, SPI_result_code_string(result));
	return SPI_processed;
}

int
img_execute_now(ImgStatement *statement, Datum *values, const char *nulls)
{
	int			result;

	prepare(statement);
	result = SPI_execute_snapshot(statement->plan, values, nulls, GetLatestSnapshot(),
								  InvalidSnapshot, true, false, 0);
	if (result < 0)
		elog(ERROR, "statement failed: %s: %s", statement->text, SPI_result_code_string(result));
	return result;
}

void
img_become(Oid user, bool untrusted, ImgIdentity *before)
{
	int			context;

	GetUserIdAndSecContext(&before->user, &before->context);
	context = before->context | SECURITY_LOCAL_USERID_CHANGE;
	if (untrusted)
		context |= SECURITY_RESTRICTED_OPERATION;
	/* A search_path that one user's trigger sets must not meet the next user's. */
	before->settings = untrusted ? NewGUCNestLevel() : 0;
	SetUserIdAndSecContext(user, context);
}

void
img_resume(const ImgIdentity *before)
{
	if (before->settings > 0)
		AtEOXact_GUC(false, before->settings);
	SetUserIdAndSecContext(before->user, before->context);
}
