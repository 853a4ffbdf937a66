/*
 * trust.c
 *	  Which certificates are trusted.
 *
 * Runs in imgapi-fetcher.  The bundle is read and parsed once: libcurl would do
 * it again for each connection, which takes longer than the handshake, and
 * it would need the file after the sandbox has closed.
 */
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "fetcher/trust.h"

static X509_STORE *store;

bool
img_trust_load(const char *file, const char **problem)
{
	const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
	CURL	   *easy = curl_easy_init();
	char	   *usual = NULL;

	if (version->ssl_version == NULL || strncmp(version->ssl_version, "OpenSSL/", 8) != 0)
		*problem = "libcurl is not built with OpenSSL";
	else if (easy == NULL || (store = X509_STORE_new()) == NULL)
		*problem = "out of memory";
	else
	{
		curl_easy_getinfo(easy, CURLINFO_CAINFO, &usual);
		if (file == NULL)
			file = usual;
		X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
		/* a machine without any can still fetch by http */
		if (file != NULL && X509_STORE_load_locations(store, file, NULL) != 1 && file != usual)
			*problem = "the file of trusted certificates cannot be read";
	}
	curl_easy_cleanup(easy);
	return *problem == NULL;
}

static CURLcode
use_store(CURL *easy, void *context, void *data)
{
	SSL_CTX_set1_cert_store(context, store);
	return CURLE_OK;
}

bool
img_trust(CURL *easy)
{
	return curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_store) == CURLE_OK;
}
