/*
 * png.c
 *	  PNG, 8 and 16 bit.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/decoder.h"
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

#ifdef IMGAPI_EXECUTOR
static bool
sniff(const unsigned char *data, size_t length)
{
	return length >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	/* zlib levels; filters help "best" more than they cost */
	static const struct
	{
		int			level;
		int			filter;
	}			compressions[] = {
		[FAST] = {1, VIPS_FOREIGN_PNG_FILTER_SUB},
		[BEST] = {9, VIPS_FOREIGN_PNG_FILTER_ALL},
		[OPTIMAL] = {6, VIPS_FOREIGN_PNG_FILTER_ALL},
	};
	int			choice = options->value[COMPRESSION];

	return img_call_saver(picture, data, length,
						  "compression", compressions[choice].level,
						  "filter", compressions[choice].filter,
						  NULL);
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
	.sniff = IMG_EXECUTOR_ONLY(sniff),
	.decoder = IMG_EXECUTOR_ONLY(img_png_decoder),
	.loader = "pngload_buffer",
	.saver = "pngsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
