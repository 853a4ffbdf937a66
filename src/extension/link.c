/*
 * link.c
 *	  Signing links of pictures in the database, and verifying them.
 *
 * A signature is the HMAC-SHA256, in hexadecimal, of
 *
 *		imgapi link 1\n METHOD \n OBJECT \n EXPIRY \n NAME
 *
 * the name in UTF-8 and last, so that nothing can be moved between fields.
 * Runs in client backends; keys come from img_link_key as arguments and are
 * kept nowhere.
 */
#include "extension/imgapi.h"

#include "mb/pg_wchar.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#define SECRET_LENGTH		32

PG_FUNCTION_INFO_V1(img_new_secret);
PG_FUNCTION_INFO_V1(img_link_url);
PG_FUNCTION_INFO_V1(img_link_proves);

/* What is signed, and where its parts are. */
typedef struct Link
{
	StringInfoData text;
	const char *object;			/* 36 characters of text */
	const char *name;			/* in UTF-8, the end of text */
} Link;

#define UUID_TEXT	36

Datum
img_new_secret(PG_FUNCTION_ARGS)
{
	bytea	   *secret = palloc(VARHDRSZ + SECRET_LENGTH);

	SET_VARSIZE(secret, VARHDRSZ + SECRET_LENGTH);
	if (!pg_strong_random(VARDATA(secret), SECRET_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	PG_RETURN_BYTEA_P(secret);
}

static void
append_text(StringInfo to, const text *from)
{
	appendBinaryStringInfo(to, VARDATA_ANY(from), VARSIZE_ANY_EXHDR(from));
}

static void
read_link(Link *link, text *method, pg_uuid_t *object, text *name, int64 expiry)
{
	char		number[24];
	int			object_at;
	int			name_at;

	initStringInfo(&link->text);
	appendStringInfoString(&link->text, "imgapi link 1\n");
	append_text(&link->text, method);
	appendStringInfoChar(&link->text, '\n');
	object_at = link->text.len;
	appendStringInfoString(&link->text, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(object))));
	appendStringInfoChar(&link->text, '\n');
	appendBinaryStringInfo(&link->text, number, pg_lltoa(expiry, number));
	appendStringInfoChar(&link->text, '\n');
	name_at = link->text.len;
	if (GetDatabaseEncoding() == PG_UTF8)
		append_text(&link->text, name);
	else
		appendStringInfoString(&link->text, pg_server_to_any(text_to_cstring(name), VARSIZE_ANY_EXHDR(name), PG_UTF8));
	link->object = link->text.data + object_at;
	link->name = link->text.data + name_at;
}

/* In hexadecimal, with a NUL at its end. */
static void
sign(const Link *link, bytea *secret, char signature[IMG_SHA256_HEX + 1])
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	img_hmac_sha256(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret), link->text.data, link->text.len, digest);
	img_hex(digest, sizeof(digest), signature);
}

Datum
img_link_url(PG_FUNCTION_ARGS)
{
	text	   *base = PG_GETARG_TEXT_PP(0);
	int64		expiry = PG_GETARG_INT64(6);
	Link		link;
	char		signature[IMG_SHA256_HEX + 1];
	StringInfoData url;

	read_link(&link, PG_GETARG_TEXT_PP(3), PG_GETARG_UUID_P(4), PG_GETARG_TEXT_PP(5), expiry);
	sign(&link, PG_GETARG_BYTEA_PP(2), signature);

	initStringInfo(&url);
	append_text(&url, base);
	appendStringInfoString(&url, "/o/");
	appendBinaryStringInfo(&url, link.object, UUID_TEXT);
	appendStringInfoChar(&url, '/');
	img_percent_encode(&url, link.name, false);
	appendStringInfo(&url, "?e=" INT64_FORMAT "&k=%d&s=", expiry, PG_GETARG_INT32(1));
	appendStringInfoString(&url, signature);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(url.data, url.len));
}

Datum
img_link_proves(PG_FUNCTION_ARGS)
{
	bytea	   *proof = PG_GETARG_BYTEA_PP(5);
	Link		link;
	char		signature[IMG_SHA256_HEX + 1];
	uint8		expected[PG_SHA256_DIGEST_LENGTH];

	if (VARSIZE_ANY_EXHDR(proof) != sizeof(expected))
		PG_RETURN_BOOL(false);
	read_link(&link, PG_GETARG_TEXT_PP(1), PG_GETARG_UUID_P(2), PG_GETARG_TEXT_PP(3), PG_GETARG_INT64(4));
	sign(&link, PG_GETARG_BYTEA_PP(0), signature);
	img_hash(PG_SHA256, signature, IMG_SHA256_HEX, expected, sizeof(expected));
	PG_RETURN_BOOL(img_same_bytes(VARDATA_ANY(proof), expected, sizeof(expected)));
}
