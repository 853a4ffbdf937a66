/*
 * server_type.c
 *	  The list of server types.
 */
#include "servers/server_type.h"

#include <stddef.h>
#include <string.h>

const ImgServerType *const img_server_types[] = {
	&img_server_claid,
	&img_server_topaz,
	&img_server_nhn,
	&img_server_kitsu,
	&img_server_s3,
	&img_server_http,
};
const int	img_server_type_count = sizeof(img_server_types) / sizeof(img_server_types[0]);

const ImgServerType *
img_server_type(const char *name)
{
	for (int i = 0; i < img_server_type_count; i++)
		if (strcmp(img_server_types[i]->name, name) == 0)
			return img_server_types[i];
	return NULL;
}

const ImgServerOption *
img_server_type_option(const ImgServerType *type, const char *name)
{
	for (const ImgServerOption *o = type->options; o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}
