/*
 * kitsu.c
 *	  Servers of Kitsu, the production tracker: previews of its tasks.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"url", IMG_OPTION_URL, .required = true, .help = "where its API is, such as https://kitsu.example.com/api"},
	IMG_NETWORK_OPTIONS("8"),
	{"api_key", IMG_OPTION_TEXT, .required = true, .of_mapping = true,
	.help = "token of a bot or of a login, sent as Authorization: Bearer"},
	{NULL}
};

const ImgServerType img_server_kitsu = {
	.name = "kitsu",
	.help = "Kitsu, the production tracker",
	.needs_mapping = true,
	.options = options,
	.example = "url 'https://kitsu.example.com/api'",
	.mapping_example = "api_key '...'",
};
