/*
 * s3.c
 *	  Servers that speak S3: storages.
 *
 * Without an endpoint it is Amazon's of that region.
 */
#include "servers/server_type.h"

#include <stddef.h>

static const ImgServerOption options[] = {
	{"bucket", IMG_OPTION_BUCKET, .required = true, .help = "the bucket, which has to exist"},
	{"endpoint", IMG_OPTION_ORIGIN, .help = "where the server is; https://s3.REGION.amazonaws.com if not given"},
	{"public_endpoint", IMG_OPTION_ORIGIN, .help = "where readers of links reach it; endpoint if not given"},
	{"region", IMG_OPTION_WORD, .initial = "us-east-1", .help = "part of every signature"},
	{"path_style", IMG_OPTION_BOOL, .initial = "false",
	.help = "true: the bucket is in the path; false: in the host name"},
	{"prefix", IMG_OPTION_PREFIX, .help = "folder of the bucket that all keys are in"},
	{"multipart_size", IMG_OPTION_BYTES, 5 * 1024, 1024 * 1024, "64MB",
	.help = "larger pictures are sent in parts of this size"},
	{"tags", IMG_OPTION_TEXT, .help = "of objects that are written, as name=value&...: for a lifecycle rule of the bucket"},
	IMG_NETWORK_OPTIONS("64"),
	{"access_key_id", IMG_OPTION_TEXT, .required = true, .of_mapping = true, .help = "who signs"},
	{"secret_access_key", IMG_OPTION_TEXT, .required = true, .of_mapping = true, .help = "with what; never sent"},
	{"session_token", IMG_OPTION_TEXT, .of_mapping = true, .help = "of temporary keys"},
	{NULL}
};

const ImgServerType img_server_s3 = {
	.name = "s3",
	.help = "a bucket of an S3-compatible storage",
	.is_storage = true,
	.needs_mapping = true,
	.options = options,
	.example = "endpoint 'https://s3.example.com', bucket 'photos', region 'us-east-1', path_style 'true'",
	.mapping_example = "access_key_id '...', secret_access_key '...'",
};
