/*
 * heic.c
 *	  HEIC, as cameras write it.  Read only: results are written as JPEG
 *	  unless output.format says otherwise.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

#ifdef IMGAPI_EXECUTOR
static bool
sniff(const unsigned char *data, size_t length)
{
	return img_sniff_heif(data, length, false);
}
#endif

const ImgFormat img_format_heic = {
	.name = "heic",
	.extensions = "heic heif",
	.mime = "image/heic",
	.can_animate = false,
	.has_alpha = true,
	.sniff = IMG_EXECUTOR_ONLY(sniff),
	.loader = "heifload_buffer",
};
