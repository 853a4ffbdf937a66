/*
 * gray.c
 *	  Takes the colour away.
 *
 * Ours: gray, true or false.  Each pixel becomes its luma, 0.2126 R +
 * 0.7152 G + 0.0722 B of the sRGB values (Rec. 709), so that greys stay what
 * they are.  adjustments.saturation -100 looks the same.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#include "executor/pixels.h"
#endif

enum
{
	GRAY, SLOTS
};

static const ImgArgument value[] = {
	{"gray", IMG_BOOL, GRAY, .help = "take the colour away"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static void
gray_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *unused)
{
	for (int x = 0; x < width; x++, from += bands)
	{
		*to++ = img_luma(from);
		if (bands == 4)
			*to++ = from[3];
	}
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	if (step->value[GRAY] == 0)
		return true;
	if (!img_to_srgb(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];

		if (image->Bands < 3)
			continue;
		image = img_map_rows(picture, image, image->Bands - 2, gray_row, NULL);
		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	return true;
}
#endif

const ImgOperation img_operation_gray = {
	.key = "gray",
	.help = "take the colour away",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
