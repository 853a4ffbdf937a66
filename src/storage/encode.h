/*
 * encode.h
 *	  Bytes as text: percent-encoding, hexadecimal, hashes.
 */
#ifndef IMGAPI_ENCODE_H
#define IMGAPI_ENCODE_H

#include "postgres.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"

#define IMG_SHA256_HEX	(2 * PG_SHA256_DIGEST_LENGTH)

/* Appends text as RFC 3986 and S3 want it: all but letters, digits and "-._~"
 * becomes %XX, and "/" too unless it is kept. */
extern void img_percent_encode(StringInfo out, const char *text, bool keep_slash);

/* Small letters, and a NUL at the end. */
extern void img_hex(const uint8 *bytes, size_t length, char *out);

extern void img_hash(pg_cryptohash_type type, const void *data, size_t length, uint8 *digest, size_t digest_length);
/* Of a stretch of a memfd, which is never in memory as a whole. */
extern void img_hash_memfd(pg_cryptohash_type type, int memfd, uint64 offset, uint64 length, uint8 *digest, size_t digest_length);
extern void img_sha256_hex(const void *data, size_t length, char *out);
extern void img_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length, uint8 *digest);

/* Whether they are the same.  Looks at every byte, wherever the first difference
 * is: how long it takes says nothing. */
extern bool img_same_bytes(const void *a, const void *b, size_t length);

/* "…==" */
extern char *img_base64(const uint8 *bytes, int length);

#endif							/* IMGAPI_ENCODE_H */
