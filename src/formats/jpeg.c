/*
 * jpeg.c
 *	  JPEG.  Never keeps alpha: see background.c.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/decoder.h"
#include "executor/encoder.h"
#endif

enum
{
	QUALITY, PROGRESSIVE, SLOTS
};

static const ImgArgument options[] = {
	{"quality", IMG_INTEGER, QUALITY, 1, 100, 85, .help = "1 to 100"},
	{"progressive", IMG_BOOL, PROGRESSIVE, .initial = 1, .help = "shows coarse first, then fine"},
	{NULL}
};

static bool
sniff(const unsigned char *data, size_t length)
{
	return length >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

#ifdef IMGAPI_EXECUTOR
static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	/* libvips has more to do for CMYK and EXIF */
	if (picture->frame[0]->Bands != 4 && picture->header == NULL)
		return img_jpeg_encode(picture, picture->frame[0], options->value[QUALITY],
							   options->value[PROGRESSIVE] != 0, data, length);
	return img_call_saver(picture, data, length,
						  "Q", (int) options->value[QUALITY],
						  "interlace", options->value[PROGRESSIVE] != 0,
						  "optimize_coding", TRUE,
						  NULL);
}
#endif

const ImgFormat img_format_jpeg = {
	.name = "jpeg",
	.extensions = "jpg jpeg jpe",
	.mime = "image/jpeg",
	.can_animate = false,
	.has_alpha = false,
	.options = options,
	.slots = SLOTS,
	.can_save = true,
	.sniff = sniff,
	.decoder = IMG_EXECUTOR_ONLY(img_jpeg_decoder),
	.loader = "jpegload_buffer",
	.saver = "jpegsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
