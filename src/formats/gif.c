/*
 * gif.c
 *	  GIF, still and animated; 256 colours a frame.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

static bool
sniff(const unsigned char *data, size_t length)
{
	return length >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

#ifdef IMGAPI_EXECUTOR
static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	return img_call_saver(picture, data, length, NULL);
}
#endif

const ImgFormat img_format_gif = {
	.name = "gif",
	.extensions = "gif",
	.mime = "image/gif",
	.can_animate = true,
	.has_alpha = true,
	.can_save = true,
	.sniff = sniff,
	.loader = "gifload_buffer",
	.saver = "gifsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
