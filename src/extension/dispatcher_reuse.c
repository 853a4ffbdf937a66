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
 *
 * Most jobs find nothing, so looking must cost next to nothing: submitted
 * pictures bring their hash along, and the rest of what is hashed (the recipe)
 * is that of the job before.
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

/* What a result is made of besides the source. */
typedef struct Ingredients
{
	char		version[32];
	uint32		plan_version;
	Oid			owner;
	ImgLimits	limits;			/* a lowered one counts for old results too */
	uint8		other[PG_SHA256_DIGEST_LENGTH]; /* zeros: none */
	ImgPlan		plan;
} Ingredients;

static pg_cryptohash_ctx *
hash_begin(void)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0)
		elog(ERROR, "could not begin SHA-256: %s", pg_cryptohash_error(context));
	return context;
}

static void
hash_add(pg_cryptohash_ctx *context, const void *data, size_t length)
{
	if (pg_cryptohash_update(context, data, length) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(context));
}

static void
hash_end(pg_cryptohash_ctx *context, uint8 *result)
{
	if (pg_cryptohash_final(context, result, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not end SHA-256: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
}

static void
hash(const void *data, size_t length, uint8 *result)
{
	pg_cryptohash_ctx *context = hash_begin();

	hash_add(context, data, length);
	hash_end(context, result);
}

/* A large one is read piece by piece and stays as it is; any other is replaced
 * by its bytes, which are needed again. */
static void
hash_picture(Datum *picture, uint8 *result)
{
	size_t		length = toast_raw_datum_size(*picture) - VARHDRSZ;
	pg_cryptohash_ctx *context;

	if (length <= IMG_LARGE_PICTURE || !img_can_be_sliced(*picture))
	{
		bytea	   *bytes = DatumGetByteaPP(*picture);

		hash(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), result);
		*picture = PointerGetDatum(bytes);
		return;
	}
	context = hash_begin();
	for (size_t done = 0; done < length; done += IMG_LARGE_PICTURE)
	{
		struct varlena *part = detoast_attr_slice((struct varlena *) DatumGetPointer(*picture), done, IMG_LARGE_PICTURE);

		hash_add(context, VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part));
		pfree(part);
	}
	hash_end(context, result);
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

/* The hash of all that a result is made of besides the source. */
static const uint8 *
recipe_of(const ImgJob *job, const bytea *other)
{
	static uint8 recipe[PG_SHA256_DIGEST_LENGTH];
	static Ingredients last;	/* version "": none */
	Ingredients ingredients;

	memset(&ingredients, 0, sizeof(ingredients));
	strlcpy(ingredients.version, IMG_VERSION, sizeof(ingredients.version));
	ingredients.plan_version = IMG_PLAN_VERSION;
	ingredients.owner = job->owner;
	ingredients.limits = img_limits();
	ingredients.limits.milliseconds = 0;
	if (other != NULL)
		hash(VARDATA_ANY(other), VARSIZE_ANY_EXHDR(other), ingredients.other);
	memcpy(&ingredients.plan, &job->request.plan, img_plan_size(&job->request.plan));
	if (memcmp(&ingredients, &last, sizeof(last)) != 0)
	{
		last.version[0] = '\0';
		hash(&ingredients, sizeof(ingredients), recipe);
		last = ingredients;
	}
	return recipe;
}

static void
find_made_of(ImgJob *job, Datum *picture, const bytea *sha256, const bytea *other)
{
	uint8		both[2][PG_SHA256_DIGEST_LENGTH];
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	memcpy(both[0], recipe_of(job, other), PG_SHA256_DIGEST_LENGTH);
	if (sha256 != NULL && VARSIZE_ANY_EXHDR(sha256) == PG_SHA256_DIGEST_LENGTH)
		memcpy(both[1], VARDATA_ANY(sha256), PG_SHA256_DIGEST_LENGTH);
	else
		hash_picture(picture, both[1]);
	hash(both, sizeof(both), digest);
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
	job->reused_bytes += VARSIZE(output->data);
	return true;
}

/* The result of that job becomes the answer; false: not all of it is there any
 * more, and it is made again. */
static bool
take_result(ImgJob *job)
{
	Datum		from = UUIDPGetDatum(&job->reused_from);
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
	job->answer.output = img_new_outputs(count);
	job->answer.outputs = count;
	whole = facts_of(rows->vals[0], rows->tupdesc, R_SOURCE_FORMAT, &job->answer.reply.source);
	for (int i = 0; i < count && whole; i++)
		whole = take_output(job, i, rows->vals[i], rows->tupdesc);
	MemoryContextSwitchTo(before);
	SPI_freetuptable(rows);
	return whole;
}

void
img_reuse(ImgJob *job, Datum *picture, const bytea *sha256, const bytea *other)
{
	Datum		stored = *picture;
	Datum		values[2];
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
	job->reused_from = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	job->reused = take_result(job);
	if (job->reused && *picture != stored)
		pfree(DatumGetPointer(*picture));
}
