/*
 * callback.c
 *	  callback_url: what is accepted, how callbacks are signed, and who is woken
 *	  when there is one to send.
 *
 * Runs in client backends and in dispatchers.  A signature is the HMAC-SHA256,
 * in hexadecimal, of
 *
 *		SECONDS.BODY
 *
 * with the key of the job's owner, which is text and used as it is written.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "extension/callback.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "extension/url.h"
#include "fmgr.h"
#include "utils/builtins.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* As of inputs. */
#define MAX_URL		4096

PG_FUNCTION_INFO_V1(img_callback_added);
PG_FUNCTION_INFO_V1(img_callback_signature);

/* The port of an address, which URLs of https need not name; 0: it is none. */
static int
port_of(const char *url)
{
	const char *begin = strstr(url, "://");
	ImgUrl		address;
	const char *port;

	if (begin == NULL ||
		!img_url_parse(pnstrdup(url, begin + 3 - url + strcspn(begin + 3, "/?#")), &address))
		return 0;
	port = address.authority + strlen(address.host);
	if (port[0] == ':')
		return atoi(port + 1);
	return strcmp(address.scheme, "https") == 0 ? 443 : 80;
}

bool
img_callback_port_is_allowed(const char *url)
{
	return img_port_is_listed(imgapi_callback_ports, port_of(url));
}

void
img_check_callback_url(const char *url)
{
	int			port = 0;
	bool		plain = true;

	if (strlen(url) > MAX_URL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("callback_url has %zu bytes, more than the %d that are allowed", strlen(url), MAX_URL)));
	for (const char *c = url; *c != '\0'; c++)
		plain = plain && (unsigned char) *c > ' ' && *c != 0x7f;
	if (plain)
		port = port_of(url);
	if (port == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("callback_url is not a URL that can be called"),
				 errdetail("Allowed: http://HOST/…, https://HOST/…, without user name, password and blanks."),
				 errhint("Write it as in callback_url => 'https://example.com/pictures?id=100'.")));
	if (!img_port_is_listed(imgapi_callback_ports, port))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("callback_url has a port that is not allowed"),
				 errdetail("Given: %d. Allowed: %s.", port, imgapi_callback_ports),
				 errhint("An administrator may allow it: ALTER SYSTEM SET imgapi.callback_ports = '%s, %d'; SELECT pg_reload_conf();",
						 imgapi_callback_ports, port)));
}

Datum
img_callback_added(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("img_callback_added() is a trigger of img_callback")));
	img_wake_for_callback();
	PG_RETURN_POINTER(NULL);
}

Datum
img_callback_signature(PG_FUNCTION_ARGS)
{
	text	   *secret = PG_GETARG_TEXT_PP(0);
	int64		signed_at = PG_GETARG_INT64(1);
	bytea	   *body = PG_GETARG_BYTEA_PP(2);
	char	   *time = psprintf(INT64_FORMAT ".", signed_at);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[2 * PG_SHA256_DIGEST_LENGTH + 1] = "";

	if (hmac == NULL ||
		pg_hmac_init(hmac, (uint8 *) VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)) < 0 ||
		pg_hmac_update(hmac, (uint8 *) time, strlen(time)) < 0 ||
		pg_hmac_update(hmac, (uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body)) < 0 ||
		pg_hmac_final(hmac, digest, sizeof(digest)) < 0)
	{
		pg_hmac_free(hmac);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not sign a callback")));
	}
	pg_hmac_free(hmac);
	hex_encode((char *) digest, sizeof(digest), hex);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("t=" INT64_FORMAT ",v1=%s", signed_at, hex)));
}
