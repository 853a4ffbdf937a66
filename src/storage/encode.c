/*
 * encode.c
 *	  Bytes as text: percent-encoding, hexadecimal, hashes.
 *
 * Hashes are PostgreSQL's, which are OpenSSL's where it was built with it.  Runs
 * in client backends and in dispatchers.
 */
#include "storage/encode.h"

#include "protocol/wire.h"

#include "common/base64.h"
#include "common/hmac.h"

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

static inline bool
unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

void
img_percent_encode(StringInfo out, const char *text, bool keep_slash)
{
	size_t		length = strlen(text);
	char	   *to;

	enlargeStringInfo(out, 3 * length);
	to = out->data + out->len;
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (unreserved(c) || (c == '/' && keep_slash))
			*to++ = c;
		else
		{
			*to++ = '%';
			*to++ = hex_upper[c >> 4];
			*to++ = hex_upper[c & 15];
		}
	}
	*to = '\0';
	out->len = to - out->data;
}

void
img_hex(const uint8 *bytes, size_t length, char *out)
{
	for (size_t i = 0; i < length; i++)
	{
		*out++ = hex_lower[bytes[i] >> 4];
		*out++ = hex_lower[bytes[i] & 15];
	}
	*out = '\0';
}

static pg_cryptohash_ctx *
begin_hash(pg_cryptohash_type type)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(type);

	if (context == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return context;
}

/* Frees the context; error 58000 if it was no good. */
static void
end_hash(pg_cryptohash_ctx *context, bool good, uint8 *digest, size_t digest_length)
{
	if (!good || pg_cryptohash_final(context, digest, digest_length) < 0)
	{
		const char *reason = pg_cryptohash_error(context);

		pg_cryptohash_free(context);
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not compute a hash: %s", reason)));
	}
	pg_cryptohash_free(context);
}

void
img_hash(pg_cryptohash_type type, const void *data, size_t length, uint8 *digest, size_t digest_length)
{
	pg_cryptohash_ctx *context = begin_hash(type);

	end_hash(context, pg_cryptohash_init(context) >= 0 && pg_cryptohash_update(context, data, length) >= 0,
			 digest, digest_length);
}

void
img_hash_memfd(pg_cryptohash_type type, int memfd, uint64 offset, uint64 length, uint8 *digest, size_t digest_length)
{
	pg_cryptohash_ctx *context = begin_hash(type);
	uint8		buffer[32 * 1024];
	bool		good = pg_cryptohash_init(context) >= 0;

	while (good && length > 0)
	{
		size_t		part = Min(length, sizeof(buffer));

		good = img_read_all(memfd, buffer, part, offset) == 0 && pg_cryptohash_update(context, buffer, part) >= 0;
		offset += part;
		length -= part;
	}
	end_hash(context, good, digest, digest_length);
}

void
img_sha256_hex(const void *data, size_t length, char *out)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	img_hash(PG_SHA256, data, length, digest, sizeof(digest));
	img_hex(digest, sizeof(digest), out);
}

void
img_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length, uint8 *digest)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);

	if (context == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (pg_hmac_init(context, key, key_length) < 0 || pg_hmac_update(context, data, length) < 0 ||
		pg_hmac_final(context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
	{
		const char *reason = pg_hmac_error(context);

		pg_hmac_free(context);
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not compute a signature: %s", reason)));
	}
	pg_hmac_free(context);
}

bool
img_same_bytes(const void *a, const void *b, size_t length)
{
	volatile uint8 difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= ((const uint8 *) a)[i] ^ ((const uint8 *) b)[i];
	return difference == 0;
}

char *
img_base64(const uint8 *bytes, int length)
{
	int			size = pg_b64_enc_len(length);
	char	   *out = palloc(size + 1);

#if PG_VERSION_NUM >= 180000
	int			written = pg_b64_encode(bytes, length, out, size);
#else
	int			written = pg_b64_encode((const char *) bytes, length, out, size);
#endif

	if (written < 0)
		elog(ERROR, "could not encode %d bytes", length);
	out[written] = '\0';
	return out;
}
