/*
 * http.c
 *	  Web servers that pictures may be read from, with headers of their own.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"url", IMG_OPTION_URL, .required = true, .help = "what paths are added to"},
	{"headers", IMG_OPTION_HEADERS, .help = "sent with every request, one a line; everybody can read them here"},
	IMG_NETWORK_OPTIONS("16"),
	{"secret_headers", IMG_OPTION_HEADERS, .of_mapping = true, .help = "likewise, such as Authorization"},
	{NULL}
};

const ImgServerType img_server_http = {
	.name = "http",
	.help = "a web server that pictures are read from",
	.is_storage = true,
	.options = options,
	.example = "url 'https://images.example.com/originals'",
	.mapping_example = "secret_headers 'Authorization: Bearer ...'",
};
