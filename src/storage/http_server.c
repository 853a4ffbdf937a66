/*
 * http_server.c
 *	  Servers of type http: the URL of a path, and the headers to send.
 *
 * Runs in client backends and in dispatchers.
 */
#include "postgres.h"

#include "extension/server.h"
#include "extension/url.h"
#include "storage/encode.h"

char *
img_http_url(const ImgServer *server, const char *path)
{
	StringInfoData out;
	ImgUrl		url;

	img_storage_path_check(path, path);
	if (!img_url_parse(img_server_text(server, "url"), &url))
		elog(ERROR, "url of server \"%s\" is not valid", server->name);
	initStringInfo(&out);
	appendStringInfo(&out, "%s://%s%s/", url.scheme, url.authority, url.path);
	img_percent_encode(&out, path, true);
	return out.data;
}

/* Options have been checked: one header a line. */
static List *
add_lines(List *headers, const char *text)
{
	while (text != NULL && *text != '\0')
	{
		size_t		length = strcspn(text, "\n");

		if (length > 0)
			headers = lappend(headers, pnstrdup(text, length));
		text += length;
		text += *text == '\n';
	}
	return headers;
}

List *
img_http_headers(const ImgServer *server)
{
	return add_lines(add_lines(NIL, img_server_text(server, "headers")), img_server_text(server, "secret_headers"));
}
