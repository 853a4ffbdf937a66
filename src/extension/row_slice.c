/*
 * row_slice.c
 *	  img_row_slice(): a part of a picture that is in a row of a user's table.
 *
 * Runs in client backends, for links.  Users' code may run when their tables
 * are read (row security, for one), so it does with the rights of the job's
 * owner and no others, as when the dispatcher reads the row.
 *
 * The version of a picture is its value as stored: a TOAST pointer, which
 * changes when the picture is written and is kept when other columns are; or,
 * of a value that is in the row itself, its hash.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "extension/home.h"
#include "extension/source_row.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "catalog/pg_type.h"

PG_FUNCTION_INFO_V1(img_row_slice);

/* Bytes that are hashed at a time, so that memory is bounded. */
#define STRIDE	(1024 * 1024)

static bytea *
make_bytea(const void *data, size_t length)
{
	bytea	   *made = palloc(VARHDRSZ + length);

	SET_VARSIZE(made, VARHDRSZ + length);
	memcpy(VARDATA(made), data, length);
	return made;
}

static void
hash_step(bool good)
{
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash")));
}

/* SHA-256 of a picture, read piece by piece where it is stored as it is. */
static bytea *
hash_picture(struct varlena *stored, int64 bytes)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	hash_step(hash != NULL && pg_cryptohash_init(hash) >= 0);
	/* Slices of a compressed value would each be decompressed from the start. */
	if (VARATT_IS_COMPRESSED(stored) ||
		(VARATT_IS_EXTERNAL_ONDISK(stored) && toast_datum_size(PointerGetDatum(stored)) != bytes))
		stored = detoast_attr(stored);
	for (int64 at = 0; at < bytes; at += STRIDE)
	{
		struct varlena *piece = detoast_attr_slice(stored, at, STRIDE);

		CHECK_FOR_INTERRUPTS();
		hash_step(pg_cryptohash_update(hash, (uint8 *) VARDATA_ANY(piece), VARSIZE_ANY_EXHDR(piece)) >= 0);
		pfree(piece);
	}
	hash_step(pg_cryptohash_final(hash, digest, sizeof(digest)) >= 0);
	pg_cryptohash_free(hash);
	return make_bytea(digest, sizeof(digest));
}

/* Whether that is how the picture is stored now. */
static bool
is_version(bytea *version, bytea *now)
{
	return VARSIZE_ANY(version) == VARSIZE_ANY(now) &&
		memcmp(VARDATA_ANY(version), VARDATA_ANY(now), VARSIZE_ANY_EXHDR(now)) == 0;
}

static HeapTuple
form_piece(TupleDesc shape, struct varlena *stored, bytea *version, int64 first, int32 length)
{
	int64		bytes = toast_raw_datum_size(PointerGetDatum(stored)) - VARHDRSZ;
	bool		external = VARATT_IS_EXTERNAL_ONDISK(stored);
	bytea	   *sha256 = version == NULL || !external ? hash_picture(stored, bytes) : NULL;
	bytea	   *now = external ? make_bytea(stored, VARSIZE_EXTERNAL(stored)) : sha256;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (version != NULL && !is_version(version, now))
		return NULL;
	values[0] = PointerGetDatum(now);
	values[1] = Int64GetDatum(bytes);
	values[2] = PointerGetDatum(sha256);
	nulls[2] = sha256 == NULL;
	values[3] = PointerGetDatum(detoast_attr_slice(stored, first, length));
	return heap_form_tuple(shape, values, nulls);
}

Datum
img_row_slice(PG_FUNCTION_ARGS)
{
	enum
	{
		OWNER, TABLE, KEY, COLUMN, VERSION, FIRST, LENGTH
	};
	ImgRowSource row;
	ImgRowImage image = {0};
	ImgIdentity before;
	ImgRowState state;
	HeapTuple	piece = NULL;
	TupleDesc	shape;
	Datum		picture;

	for (int i = OWNER; i <= COLUMN; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &shape) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "img_row_slice() must return a row");
	row.table = PG_GETARG_OID(TABLE);
	row.key = text_to_cstring(PG_GETARG_TEXT_PP(KEY));
	row.source_column = text_to_cstring(PG_GETARG_TEXT_PP(COLUMN));
	row.target_column = NULL;
	if (img_column_type(row.table, row.source_column) != BYTEAOID)
		PG_RETURN_NULL();

	SPI_connect();
	img_become(PG_GETARG_OID(OWNER), true, &before);
	state = img_row_read(&row, &picture, &image, CurrentMemoryContext);
	img_resume(&before);
	if (state == IMG_ROW_LOCKED)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("table \"%s\", which has the picture, is locked", get_rel_name(row.table)),
				 errhint("Try again later.")));
	if (state == IMG_ROW_FOUND)
		piece = form_piece(shape, (struct varlena *) DatumGetPointer(picture),
						   PG_ARGISNULL(VERSION) ? NULL : PG_GETARG_BYTEA_PP(VERSION),
						   PG_GETARG_INT64(FIRST), PG_GETARG_INT32(LENGTH));
	if (piece != NULL)
		piece = SPI_copytuple(piece);
	SPI_finish();
	if (piece == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(HeapTupleGetDatum(piece));
}
