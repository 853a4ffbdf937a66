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

#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#define SECRET_LENGTH		32
#define SIGNATURE_LENGTH	(2 * PG_SHA256_DIGEST_LENGTH)

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

static void
sign(const Link *link, bytea *secret, char signature[SIGNATURE_LENGTH])
{
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (hmac == NULL ||
		pg_hmac_init(hmac, (uint8 *) VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)) < 0 ||
		pg_hmac_update(hmac, (uint8 *) link->text.data, link->text.len) < 0 ||
		pg_hmac_final(hmac, digest, sizeof(digest)) < 0)
	{
		pg_hmac_free(hmac);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not sign a link")));
	}
	pg_hmac_free(hmac);
	hex_encode((char *) digest, sizeof(digest), signature);
}

/* All but letters, digits and what RFC 3986 calls unreserved marks. */
static void
append_encoded(StringInfo url, const char *name)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *) name; *p != '\0'; p++)
	{
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			strchr("-._~", *p) != NULL)
			appendStringInfoChar(url, *p);
		else
		{
			appendStringInfoChar(url, '%');
			appendStringInfoChar(url, digits[*p >> 4]);
			appendStringInfoChar(url, digits[*p & 15]);
		}
	}
}

Datum
img_link_url(PG_FUNCTION_ARGS)
{
	text	   *base = PG_GETARG_TEXT_PP(0);
	int64		expiry = PG_GETARG_INT64(6);
	Link		link;
	char		signature[SIGNATURE_LENGTH];
	StringInfoData url;

	read_link(&link, PG_GETARG_TEXT_PP(3), PG_GETARG_UUID_P(4), PG_GETARG_TEXT_PP(5), expiry);
	sign(&link, PG_GETARG_BYTEA_PP(2), signature);

	initStringInfo(&url);
	append_text(&url, base);
	appendStringInfoString(&url, "/o/");
	appendBinaryStringInfo(&url, link.object, UUID_TEXT);
	appendStringInfoChar(&url, '/');
	append_encoded(&url, link.name);
	appendStringInfo(&url, "?e=" INT64_FORMAT "&k=%d&s=", expiry, PG_GETARG_INT32(1));
	appendBinaryStringInfo(&url, signature, SIGNATURE_LENGTH);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(url.data, url.len));
}

/* Looks at every byte, wherever the first difference is. */
static bool
same_bytes(const uint8 *a, const uint8 *b, size_t length)
{
	volatile uint8 difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

Datum
img_link_proves(PG_FUNCTION_ARGS)
{
	bytea	   *proof = PG_GETARG_BYTEA_PP(5);
	Link		link;
	char		signature[SIGNATURE_LENGTH];
	uint8		expected[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash;
	bool		hashed;

	if (VARSIZE_ANY_EXHDR(proof) != sizeof(expected))
		PG_RETURN_BOOL(false);
	read_link(&link, PG_GETARG_TEXT_PP(1), PG_GETARG_UUID_P(2), PG_GETARG_TEXT_PP(3), PG_GETARG_INT64(4));
	sign(&link, PG_GETARG_BYTEA_PP(0), signature);

	hash = pg_cryptohash_create(PG_SHA256);
	hashed = hash != NULL && pg_cryptohash_init(hash) >= 0 &&
		pg_cryptohash_update(hash, (uint8 *) signature, SIGNATURE_LENGTH) >= 0 &&
		pg_cryptohash_final(hash, expected, sizeof(expected)) >= 0;
	pg_cryptohash_free(hash);
	if (!hashed)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not verify a link")));
	PG_RETURN_BOOL(same_bytes((uint8 *) VARDATA_ANY(proof), expected, sizeof(expected)));
}
