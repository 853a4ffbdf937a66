/*
 * tiff.c
 *	  TIFF; the first page of several.
 */
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
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
	{"compression", IMG_CHOICE, COMPRESSION, .initial = 1, .choices = compressions, .help = "lossy (JPEG inside) or lossless (LZW)"},
	{NULL}
};

static bool
sniff(const unsigned char *data, size_t length)
{
	/* the second of each pair is BigTIFF */
	static const char magic[4][4] = {"II*", "II+", {'M', 'M', 0, '*'}, {'M', 'M', 0, '+'}};

	for (int i = 0; i < 4; i++)
		if (length >= 8 && memcmp(data, magic[i], 4) == 0)
			return true;
	return false;
}

#ifdef IMGAPI_EXECUTOR
/* JPEG inside holds no alpha: libvips would put black behind. */
static bool
without_alpha(ImgPicture *picture)
{
	if (!img_lay_on(picture, IMG_WHITE))
		return false;
	picture->result.has_alpha = false;
	return true;
}

static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	bool		lossless = options->value[COMPRESSION] == LOSSLESS;

	if (!lossless && !without_alpha(picture))
		return false;
	return img_call_saver(picture, data, length,
						  "compression", lossless ?
						  VIPS_FOREIGN_TIFF_COMPRESSION_LZW : VIPS_FOREIGN_TIFF_COMPRESSION_JPEG,
						  "Q", (int) options->value[QUALITY],
						  NULL);
}
#endif

const ImgFormat img_format_tiff = {
	.name = "tiff",
	.extensions = "tif tiff",
	.mime = "image/tiff",
	.can_animate = false,
	.has_alpha = true,
	.options = options,
	.slots = SLOTS,
	.can_save = true,
	.sniff = sniff,
	.loader = "tiffload_buffer",
	.saver = "tiffsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
