/*
 * claid.c
 *	  Servers that speak Claid's API: edits by models.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"url", IMG_OPTION_URL, .initial = "https://api.claid.ai", .help = "where the API is"},
	IMG_NETWORK_OPTIONS("8"),
	IMG_JOB_OPTIONS("32"),
	{"api_key", IMG_OPTION_TEXT, .required = true, .of_mapping = true,
	.help = "sent as Authorization: Bearer"},
	{"webhook_secret", IMG_OPTION_TEXT, .of_mapping = true,
	.help = "that webhooks are signed with, as set at Claid"},
	{NULL}
};

const ImgServerType img_server_claid = {
	.name = "claid",
	.help = "Claid's API: edits by models",
	.needs_mapping = true,
	.options = options,
	.example = "url 'https://api.claid.ai'",
	.mapping_example = "api_key '...'",
	.operations = " restorations resizing adjustments background padding privacy generative ",
	.source = IMG_SOURCE_BY_URL,
	.authorization = "Authorization: Bearer ",
	.key = "api_key",
};
