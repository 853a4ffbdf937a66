/*
 * url.c
 *	  The addresses of servers, as options give them.
 *
 * Far stricter than URLs may be, so that there is one way to read them: what is
 * signed, what the address policy judges and what the fetcher connects to are
 * the same host.  Runs in every process that reads options.
 */
#include "extension/url.h"

#include <ctype.h>

#define LETTERS		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS		"0123456789"

bool
img_path_is_plain(const char *path)
{
	while (*path != '\0')
	{
		size_t		length = strcspn(path, "/");

		if ((length == 1 && path[0] == '.') || (length == 2 && strncmp(path, "..", 2) == 0))
			return false;
		path += length;
		path += *path == '/';
	}
	return true;
}

/* The length of a host name or address; 0: there is none. */
static size_t
host_length(const char *text)
{
	size_t		length;

	if (text[0] != '[')
	{
		length = strspn(text, LETTERS DIGITS ".-_");
		return length <= 253 && text[0] != '.' && text[0] != '-' ? length : 0;
	}
	length = strspn(text + 1, DIGITS "abcdefABCDEF:.");
	return length > 1 && text[length + 1] == ']' ? length + 2 : 0;
}

/* Whatever a program may take for an IPv4 address: its last part is a number,
 * decimal or 0x… */
static bool
is_address(const char *host)
{
	const char *last = strrchr(host, '.');

	last = last ? last + 1 : host;
	return host[0] == '[' || isdigit((unsigned char) last[0]) || last[0] == '\0';
}

/* ":80" → 80; 0: there is none, -1: it is none. */
static int
read_port(const char **at)
{
	size_t		digits;
	int			port;

	if (**at != ':')
		return 0;
	digits = strspn(*at + 1, DIGITS);
	if (digits == 0 || digits > 5)
		return -1;
	port = atoi(*at + 1);
	*at += digits + 1;
	return port >= 1 && port <= 65535 ? port : -1;
}

static bool
read_path(const char *at, ImgUrl *url)
{
	size_t		length = strlen(at);

	if (length > 0 && at[0] != '/')
		return false;
	for (const char *p = at; *p != '\0'; p++)
		if ((unsigned char) *p <= ' ' || (unsigned char) *p >= 0x7f || strchr("?#\\\"<>{}|^`", *p) != NULL)
			return false;
	if (!img_path_is_plain(at))
		return false;
	while (length > 0 && at[length - 1] == '/')
		length--;
	url->path = pnstrdup(at, length);
	return true;
}

bool
img_url_parse(const char *text, ImgUrl *url)
{
	bool		secure = pg_strncasecmp(text, "https://", 8) == 0;
	const char *at = text + (secure ? 8 : 7);
	size_t		length;
	int			port;

	if (!secure && pg_strncasecmp(text, "http://", 7) != 0)
		return false;
	length = host_length(at);
	if (length == 0)
		return false;
	url->scheme = secure ? "https" : "http";
	url->host = pnstrdup(at, length);
	for (char *p = url->host; *p != '\0'; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	url->is_address = is_address(url->host);
	at += length;
	port = read_port(&at);
	if (port < 0)
		return false;
	/* A port that goes without saying is not said: it is not signed either. */
	if (port == 0 || port == (secure ? 443 : 80))
		url->authority = url->host;
	else
		url->authority = psprintf("%s:%d", url->host, port);
	return read_path(at, url);
}
