/*
 * source_row.c
 *	  The row of a user's table that holds a picture: found by primary key,
 *	  read, and written if it still holds the same picture.
 *
 * Runs in dispatchers (read, write) and in client backends (primary key), with
 * the rights of the job's owner.
 *
 * "The same picture" is decided without reading it: a value that nobody has
 * written keeps its TOAST pointer through every update of other columns, and a
 * small one is compared byte by byte.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "extension/source_row.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define MAX_KEY		INDEX_MAX_KEYS
#define MAX_PLANS	256

AttrNumber *
img_primary_key(Relation relation, int *count)
{
	Oid			index;
	Relation	index_relation;
	AttrNumber *key;

	/* The index list has to be there before the primary key is known. */
	list_free(RelationGetIndexList(relation));
	index = relation->rd_pkindex;
	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key, by which the worker could find the row again",
						RelationGetRelationName(relation)),
				 errhint("ALTER TABLE %s ADD PRIMARY KEY (…);", RelationGetRelationName(relation))));
	index_relation = index_open(index, AccessShareLock);
	*count = IndexRelationGetNumberOfKeyAttributes(index_relation);
	key = palloc(*count * sizeof(AttrNumber));
	for (int i = 0; i < *count; i++)
		key[i] = index_relation->rd_index->indkey.values[i];
	index_close(index_relation, AccessShareLock);
	return key;
}

Oid
img_column_type(Oid table, const char *column)
{
	AttrNumber	number = get_attnum(table, column);

	return number > 0 ? get_atttype(table, number) : InvalidOid;
}

/* A statement over one table, kept for the life of the process. */
typedef struct KeptPlan
{
	uint32		key;			/* hash of the text */
	char	   *text;
	SPIPlanPtr	plan;
} KeptPlan;

static SPIPlanPtr
prepared(const char *text, int nargs, Oid *types)
{
	static HTAB *plans = NULL;
	uint32		hash = hash_bytes((const unsigned char *) text, strlen(text));
	KeptPlan   *plan;
	bool		found;

	if (plans == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(uint32), .entrysize = sizeof(KeptPlan)};

		plans = hash_create("imgapi source rows", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	plan = hash_search(plans, &hash, HASH_FIND, NULL);
	if (plan != NULL && strcmp(plan->text, text) == 0)
		return plan->plan;
	if (plan != NULL || hash_get_num_entries(plans) >= MAX_PLANS)
		return SPI_prepare(text, nargs, types); /* freed with SPI's memory */

	{
		SPIPlanPtr	fresh = SPI_prepare(text, nargs, types);

		if (fresh == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", text, SPI_result_code_string(SPI_result));
		SPI_keepplan(fresh);
		plan = hash_search(plans, &hash, HASH_ENTER, &found);
		plan->text = MemoryContextStrdup(TopMemoryContext, text);
		plan->plan = fresh;
		return fresh;
	}
}

/* Values of the primary key, parsed from the job's text. */
typedef struct Key
{
	int			count;
	Oid			types[MAX_KEY + 1]; /* one more, for the value of an UPDATE */
	Datum		values[MAX_KEY + 1];
	StringInfoData condition;	/* WHERE t.a = $1 AND t.b = $2 */
	char	   *table;			/* quoted, with schema */
} Key;

/* The operators by which the primary key is unique.  Naming them leaves
 * nothing to search_path, on which somebody may have put an = of his own. */
static void
key_operators(Relation relation, int count, Oid *operators)
{
	Relation	index = index_open(relation->rd_pkindex, AccessShareLock);

	for (int i = 0; i < count; i++)
		operators[i] = get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
										   index->rd_opcintype[i], BTEqualStrategyNumber);
	index_close(index, AccessShareLock);
}

static bool
parse_key(const ImgRowSource *row, Key *key)
{
	Relation	relation = try_relation_open(row->table, AccessShareLock);
	AttrNumber *attributes;
	Datum	   *texts;
	int			ntexts;
	Oid			operators[MAX_KEY];

	if (relation == NULL)
		return false;
	attributes = img_primary_key(relation, &key->count);
	key_operators(relation, key->count, operators);
	key->table = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
											RelationGetRelationName(relation));
	deconstruct_array(DatumGetArrayTypeP(OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(row->key),
														  ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1))),
					  TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &ntexts);
	if (ntexts != key->count)
	{
		relation_close(relation, AccessShareLock);
		return false;
	}
	initStringInfo(&key->condition);
	for (int i = 0; i < key->count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attributes[i] - 1);
		Oid			input;
		Oid			parameter;

		getTypeInputInfo(attribute->atttypid, &input, &parameter);
		key->types[i] = attribute->atttypid;
		key->values[i] = OidInputFunctionCall(input, TextDatumGetCString(texts[i]), parameter, attribute->atttypmod);
		appendStringInfoString(&key->condition, i ? " AND " : " WHERE ");
		generate_operator_clause(&key->condition,
								 psprintf("t.%s", quote_identifier(NameStr(attribute->attname))), attribute->atttypid,
								 operators[i], psprintf("$%d", i + 1), attribute->atttypid);
	}
	relation_close(relation, AccessShareLock);
	return true;
}

/* The first column of the only row, as stored; false: no row, or NULL. */
static bool
fetch(const char *text, Key *key, Datum *value)
{
	bool		isnull;

	if (SPI_execute_plan(prepared(text, key->count, key->types), key->values, NULL, false, 1) < 0)
		elog(ERROR, "could not run \"%s\"", text);
	if (SPI_processed == 0)
		return false;
	*value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return !isnull;
}

static bool
same_picture(const ImgRowImage *image, Datum stored)
{
	return image->size == VARSIZE_ANY(DatumGetPointer(stored)) &&
		memcmp(image->stored, DatumGetPointer(stored), image->size) == 0;
}

ImgRowState
img_row_read(const ImgRowSource *row, Datum *picture, ImgRowImage *image, MemoryContext context)
{
	Key			key;

	/* Nor is a lock on the table waited for. */
	if (!ConditionalLockRelationOid(row->table, AccessShareLock))
		return IMG_ROW_LOCKED;
	if (!parse_key(row, &key))
		return IMG_ROW_GONE;
	if (!fetch(psprintf("SELECT t.%s FROM %s t%s", quote_identifier(row->source_column),
						key.table, key.condition.data), &key, picture))
		return IMG_ROW_GONE;
	image->size = VARSIZE_ANY(DatumGetPointer(*picture));
	image->stored = MemoryContextAlloc(context, image->size);
	memcpy(image->stored, DatumGetPointer(*picture), image->size);
	return IMG_ROW_FOUND;
}

/* Sets the target column; false: there is no such row. */
static bool
update(const ImgRowSource *row, Key *key, Datum value)
{
	char	   *text = psprintf("UPDATE %s t SET %s = $%d%s", key->table, quote_identifier(row->target_column),
								key->count + 1, key->condition.data);

	key->types[key->count] = img_column_type(row->table, row->target_column);
	key->values[key->count] = value;
	if (!OidIsValid(key->types[key->count]))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table %s, where the result should go, is gone", row->target_column, key->table)));
	if (SPI_execute_plan(prepared(text, key->count + 1, key->types), key->values, NULL, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", text);
	return SPI_processed > 0;
}

ImgRowState
img_row_write(const ImgRowSource *row, const ImgRowImage *image, Datum value)
{
	Key			key;
	const char *source = quote_identifier(row->source_column);
	Datum		stored;

	if (!ConditionalLockRelationOid(row->table, RowExclusiveLock))
		return IMG_ROW_LOCKED;
	if (!parse_key(row, &key))
		return IMG_ROW_GONE;
	if (!fetch(psprintf("SELECT t.%s FROM %s t%s FOR NO KEY UPDATE SKIP LOCKED", source, key.table, key.condition.data),
			   &key, &stored))
	{
		if (SPI_processed > 0)
			return IMG_ROW_CHANGED;
		return fetch(psprintf("SELECT true FROM %s t%s", key.table, key.condition.data), &key, &stored)
			? IMG_ROW_LOCKED : IMG_ROW_GONE;
	}
	if (!same_picture(image, stored))
		return IMG_ROW_CHANGED;

	return update(row, &key, value) ? IMG_ROW_FOUND : IMG_ROW_GONE;
}

void
img_row_set(const ImgRowSource *row, Datum value)
{
	Key			key;

	if (parse_key(row, &key))
		(void) update(row, &key, value);
}
