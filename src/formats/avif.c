/*
 * avif.c
 *	  AVIF, stills.
 */
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
	{"quality", IMG_INTEGER, QUALITY, 1, 100, 50, .help = "1 to 100"},
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
	return img_sniff_heif(data, length, true);
}

#ifdef IMGAPI_EXECUTOR
static bool
save(ImgPicture *picture, const ImgStep *options, void **data, size_t *length)
{
	bool		lossless = options->value[COMPRESSION] == LOSSLESS;

	/* colours at half the resolution would be a loss */
	return img_call_saver(picture, data, length,
						  "compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1,
						  "Q", (int) options->value[QUALITY],
						  "lossless", lossless,
						  "subsample_mode", lossless ? VIPS_FOREIGN_SUBSAMPLE_OFF : VIPS_FOREIGN_SUBSAMPLE_AUTO,
						  NULL);
}
#endif

const ImgFormat img_format_avif = {
	.name = "avif",
	.extensions = "avif",
	.mime = "image/avif",
	.can_animate = false,
	.has_alpha = true,
	.options = options,
	.slots = SLOTS,
	.can_save = true,
	.sniff = sniff,
	.loader = "heifload_buffer",
	.saver = "heifsave_buffer",
	.save = IMG_EXECUTOR_ONLY(save),
};
