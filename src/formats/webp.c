/*
 * webp.c
 *	  WebP, still and animated.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/encoder.h"
#endif

enum
{
	COMPRESSION, QUALITY, SLOTS
};

/* Positions in compressions[]. */
enum
{
	LOSSY, LOSSLESS
};

static const ImgArgument lossy_members[] = {
	{"quality", IMG_INTEGER, QUALITY, 1, 100, 75, .help = "1 to 100"},
	{NULL}
};

static const ImgChoice compressions[] = {
	{"lossy", lossy_members}, {"lossless"}, {NULL}
};

static const ImgArgument options[] = {
	{"compression", IMG_CHOICE, COMPRESSION, .choices = compressions, .help = "lossy or lossless"},
	{NULL}
};

static bool
sniff(const unsigned char *data, size_t length)
{
	return length >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

#ifdef IMGAPI_EXECUTOR
static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	if (picture->frames == 1 && picture->header == NULL)
		return img_webp_encode(picture, picture->frame[0], options->value[QUALITY],
							   options->value[COMPRESSION] == LOSSLESS, data, length);
	if (!img_call_saver(picture, data, length,
						"Q", (int) options->value[QUALITY],
						"lossless", options->value[COMPRESSION] == LOSSLESS,
						NULL))
		return false;
	if (picture->header == NULL)
		img_webp_drop_exif(*data, length);
	return true;
}
#endif

const ImgFormat img_format_webp = {
	.name = "webp",
	.extensions = "webp",
	.mime = "image/webp",
	.can_animate = true,
	.has_alpha = true,
	.options = options,
	.slots = SLOTS,
	.can_save = true,
	.sniff = sniff,
	.loader = "webpload_buffer",
	.saver = "webpsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
