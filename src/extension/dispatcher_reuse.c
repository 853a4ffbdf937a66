/*
 * dispatcher_reuse.c
 *	  Nothing is done twice: a result that is there already is taken over.
 *
 * Runs in a dispatcher, in the transaction that fetches pictures.  A result in
 * img_object says what it was made of (made_of): a hash over everything that
 * has a say in its bytes.  A job of the same owner with the same hash gets a
 * copy, which lives on by itself.
 *
 * Locks nothing and waits for nobody: a result that another job is just about
 * to make is not there yet, and is made a second time.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/settings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static ImgStatement made_before = {
	"SELECT o.job_id FROM $S.img_object o WHERE o.made_of = $1 AND o.owner = $2 AND o.ordinal = 0 "
	"AND o.expires_at > pg_catalog.clock_timestamp() LIMIT 1", 2, {UUIDOID, REGROLEOID}
};

static ImgStatement stored_result = {
	"SELECT * FROM $S.img_stored_result($1)", 1, {UUIDOID}
};

/* Columns of img_stored_result(). */
enum
{
	R_ORDINAL = 1, R_FORMAT, R_WIDTH, R_HEIGHT, R_DATA,
	R_SOURCE_FORMAT, R_SOURCE_WIDTH, R_SOURCE_HEIGHT, R_WARNING
};

/* What a result is made of; the plan follows. */
typedef struct Ingredients
{
	char		version[32];
	uint32		plan_version;
	Oid			owner;
	ImgLimits	limits;			/* a lowered one counts for old results too */
	uint8		source[PG_SHA256_DIGEST_LENGTH];
	uint8		other[PG_SHA256_DIGEST_LENGTH]; /* zeros: none */
} Ingredients;

/* SHA-256 over two parts. */
static void
hash(const void *first, size_t first_length, const void *second, size_t second_length, uint8 *result)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, first, first_length) < 0 ||
		pg_cryptohash_update(context, second, second_length) < 0 ||
		pg_cryptohash_final(context, result, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
}

static void
hash_picture(const bytea *picture, uint8 *result)
{
	hash(VARDATA_ANY(picture), VARSIZE_ANY_EXHDR(picture), "", 0, result);
}

/* Whether the result is stored in img_object, and not in the row. */
static bool
result_is_stored(const ImgJob *job)
{
	if (!OidIsValid(job->row.table) || job->row.target_column == NULL)
		return true;
	switch (img_column_type(job->row.table, job->row.target_column))
	{
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
			return true;
		default:
			return false;
	}
}

static void
find_made_of(ImgJob *job, Datum *picture, const bytea *sha256, const bytea *other)
{
	Ingredients ingredients;
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	memset(&ingredients, 0, sizeof(ingredients));
	strlcpy(ingredients.version, IMG_VERSION, sizeof(ingredients.version));
	ingredients.plan_version = IMG_PLAN_VERSION;
	ingredients.owner = job->owner;
	ingredients.limits = img_limits();
	ingredients.limits.milliseconds = 0;
	if (sha256 != NULL && VARSIZE_ANY_EXHDR(sha256) == PG_SHA256_DIGEST_LENGTH)
		memcpy(ingredients.source, VARDATA_ANY(sha256), PG_SHA256_DIGEST_LENGTH);
	else
	{
		*picture = PointerGetDatum(PG_DETOAST_DATUM_PACKED(*picture));
		hash_picture((bytea *) DatumGetPointer(*picture), ingredients.source);
	}
	if (other != NULL)
		hash_picture(other, ingredients.other);
	hash(&ingredients, sizeof(ingredients), &job->request.plan, img_plan_size(&job->request.plan), digest);
	memcpy(job->made_of.data, digest, UUID_LEN);
}

/* What img_object keeps of the facts of a picture; false: not known. */
static bool
facts_of(HeapTuple row, TupleDesc desc, int first, ImgFacts *facts)
{
	char	   *format = SPI_getvalue(row, desc, first);
	bool		no_width;
	bool		no_height;
	int			index = format ? img_format_index(format) : -1;

	memset(facts, 0, sizeof(*facts));
	facts->format = index;
	facts->width = DatumGetInt32(SPI_getbinval(row, desc, first + 1, &no_width));
	facts->height = DatumGetInt32(SPI_getbinval(row, desc, first + 2, &no_height));
	facts->pages = 1;
	facts->orientation = 1;
	facts->lat = facts->lng = NAN;
	return index >= 0 && !no_width && !no_height;
}

/* One output; false: it is not what it should be. */
static bool
take_output(ImgJob *job, int ordinal, HeapTuple row, TupleDesc desc)
{
	ImgOutput  *output = &job->answer.output[ordinal];
	bool		isnull;
	Datum		data = SPI_getbinval(row, desc, R_DATA, &isnull);

	if (isnull || DatumGetInt32(SPI_getbinval(row, desc, R_ORDINAL, &isnull)) != ordinal ||
		!facts_of(row, desc, R_FORMAT, &output->facts))
		return false;
	output->data = DatumGetByteaPCopy(data);
	output->bytes = VARSIZE(output->data) - VARHDRSZ;
	output->memfd = -1;
	job->reused_bytes += VARSIZE(output->data);
	return true;
}

/* The result of that job becomes the answer; false: not all of it is there. */
static bool
take_result(ImgJob *job, Datum from)
{
	SPITupleTable *rows;
	MemoryContext before;
	int			count;
	bool		whole;

	img_execute(&stored_result, &from, NULL);
	rows = SPI_tuptable;
	count = SPI_processed;
	if (count == 0 || count > IMG_MAX_PIECES)
		return false;

	before = MemoryContextSwitchTo(job->context);
	memset(&job->answer, 0, sizeof(job->answer));
	job->reused_bytes = 0;
	job->reused_warning = SPI_getvalue(rows->vals[0], rows->tupdesc, R_WARNING);
	job->answer.output = palloc0(count * sizeof(ImgOutput));
	whole = facts_of(rows->vals[0], rows->tupdesc, R_SOURCE_FORMAT, &job->answer.reply.source);
	for (int i = 0; i < count && whole; i++)
		whole = take_output(job, i, rows->vals[i], rows->tupdesc);
	job->answer.outputs = count;
	MemoryContextSwitchTo(before);
	SPI_freetuptable(rows);
	return whole;
}

void
img_reuse(ImgJob *job, Datum *picture, bytea *sha256, bytea *other)
{
	Datum		values[2];
	Datum		from;
	bool		isnull;

	job->may_be_reused = imgapi_reuse && result_is_stored(job);
	if (!job->may_be_reused)
		return;
	find_made_of(job, picture, sha256, other);
	values[0] = UUIDPGetDatum(&job->made_of);
	values[1] = ObjectIdGetDatum(job->owner);
	img_execute(&made_before, values, NULL);
	if (SPI_processed == 0)
		return;
	from = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	job->reused_from = *DatumGetUUIDP(from);
	job->reused = take_result(job, UUIDPGetDatum(&job->reused_from));
}
