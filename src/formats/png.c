/*
 * png.c
 *	  PNG, 8 and 16 bit.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include <png.h>

#include "executor/decoder.h"
#include "executor/encoder.h"
#endif

enum
{
	COMPRESSION, SLOTS
};

/* Positions in compressions[]. */
enum
{
	FAST, BEST, OPTIMAL
};

static const ImgChoice compressions[] = {
	{"fast"}, {"best"}, {"optimal"}, {NULL}
};

static const ImgArgument options[] = {
	{"compression", IMG_CHOICE, COMPRESSION, .initial = 2, .choices = compressions, .help = "time against size; never loses anything"},
	{NULL}
};

static bool
sniff(const unsigned char *data, size_t length)
{
	return length >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

#ifdef IMGAPI_EXECUTOR
static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	/* zlib levels; filters help more than they cost */
	static const struct
	{
		int			level;
		int			filters;
	}			compressions[] = {
		[FAST] = {1, PNG_FILTER_SUB},
		[BEST] = {9, PNG_ALL_FILTERS},
		[OPTIMAL] = {6, PNG_ALL_FILTERS},
	};
	int			choice = options->value[COMPRESSION];

	if (picture->header != NULL)
		return img_call_saver(picture, data, length, "compression", compressions[choice].level, NULL);
	return img_png_encode(picture, picture->frame[0], compressions[choice].level,
						  compressions[choice].filters, data, length);
}
#endif

const ImgFormat img_format_png = {
	.name = "png",
	.extensions = "png",
	.mime = "image/png",
	.can_animate = false,
	.has_alpha = true,
	.options = options,
	.slots = SLOTS,
	.can_save = true,
	.sniff = sniff,
	.decoder = IMG_EXECUTOR_ONLY(img_png_decoder),
	.loader = "pngload_buffer",
	.saver = "pngsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
