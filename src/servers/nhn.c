/*
 * nhn.c
 *	  Servers that speak the API of NHN Cloud's Image Manager: named operations.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"url", IMG_OPTION_URL, .initial = "https://api-image.cloud.toast.com/image/v2.0", .help = "where the API is, up to its version"},
	IMG_NETWORK_OPTIONS("8"),
	IMG_JOB_OPTIONS("32"),
	IMG_WEBHOOK_OPTION,
	{"appkey", IMG_OPTION_WORD, .required = true, .of_mapping = true, .help = "part of every path"},
	{"secret_key", IMG_OPTION_TEXT, .required = true, .of_mapping = true, .help = "sent as Authorization"},
	{NULL}
};

const ImgServerType img_server_nhn = {
	.name = "nhn",
	.help = "NHN Cloud's Image Manager",
	.needs_mapping = true,
	.options = options,
	.example = "url 'https://api-image.cloud.toast.com/image/v2.0'",
	.mapping_example = "appkey '...', secret_key '...'",
	/* named operations only */
	.operations = "",
	.source = IMG_SOURCE_BY_UPLOAD,
	.authorization = "Authorization: ",
	.key = "secret_key",
	.account_path = "/appkeys/",
	.account = "appkey",
};
