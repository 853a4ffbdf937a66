/*
 * topaz.c
 *	  Servers that speak Topaz' Image API: enhancement by models.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"url", IMG_OPTION_URL, .initial = "https://api.topazlabs.com/image/v1", .help = "where the API is"},
	IMG_NETWORK_OPTIONS("8"),
	IMG_JOB_OPTIONS("32"),
	IMG_WEBHOOK_OPTION,
	{"api_key", IMG_OPTION_TEXT, .required = true, .of_mapping = true,
	.help = "sent as X-API-Key"},
	{NULL}
};

const ImgServerType img_server_topaz = {
	.name = "topaz",
	.help = "Topaz' Image API: enhancement by models",
	.needs_mapping = true,
	.options = options,
	.example = "url 'https://api.topazlabs.com/image/v1'",
	.mapping_example = "api_key '...'",
	.operations = " restorations resizing background topaz ",
	.source = IMG_SOURCE_BY_EITHER,
	.authorization = "X-API-Key: ",
	.key = "api_key",
};
