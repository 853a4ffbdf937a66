/*
 * trim.c
 *	  Cuts plain edges off.
 *
 * Ours: trim, true or {"threshold": 0 to 255}.  What differs from the upper
 * left pixel by more than the threshold, in any of its colours or in opacity,
 * is kept, with all that lies between; colours count as much as they show.
 * All frames of an animation are cut alike.  A picture that is plain all over
 * stays as it is.
 */
#include <stdlib.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	TRIM, THRESHOLD, SLOTS
};

static const ImgArgument members[] = {
	{"threshold", IMG_INTEGER, THRESHOLD, 0, 255, 10, .help = "largest difference that is still plain"},
	{NULL}
};

static const ImgArgument value[] = {
	{"trim", IMG_BOOL, TRIM, .members = members, .help = "cut plain edges off"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* Whether two pixels look different; both have the same bands. */
static bool
differs(const uint8_t *a, const uint8_t *b, int bands, bool alpha, int threshold)
{
	int			colors = alpha ? bands - 1 : bands;

	if (alpha && abs(a[colors] - b[colors]) > threshold)
		return true;
	for (int band = 0; band < colors; band++)
	{
		int			x = alpha ? a[band] * a[colors] / 255 : a[band];
		int			y = alpha ? b[band] * b[colors] / 255 : b[band];

		if (abs(x - y) > threshold)
			return true;
	}
	return false;
}

/* Widens the edges, from and to, by what is not plain in a frame. */
static bool
widen(ImgPicture *picture, VipsImage *image, int threshold, VipsRect *kept)
{
	const uint8_t *corner = VIPS_IMAGE_ADDR(image, 0, 0);
	bool		alpha = vips_image_hasalpha(image);
	int			bands = image->Bands;

	for (int y = 0; y < image->Ysize; y++)
	{
		const uint8_t *row = VIPS_IMAGE_ADDR(image, 0, y);
		int			left = 0;
		int			right = image->Xsize - 1;
		VipsRect	part;

		if (y % 64 == 0 && img_stopped(picture))
			return false;
		while (left <= right && !differs(row + left * bands, corner, bands, alpha, threshold))
			left++;
		if (left > right)
			continue;
		while (!differs(row + right * bands, corner, bands, alpha, threshold))
			right--;
		part = (VipsRect) {left, y, right - left + 1, 1};
		vips_rect_unionrect(kept, &part, kept);
	}
	return true;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	VipsRect	kept = {0, 0, 0, 0};
	ImgBox		box;

	if (step->value[TRIM] == 0)
		return true;
	if (!img_settle(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
		if (!widen(picture, picture->frame[i], step->value[THRESHOLD], &kept))
			return false;
	if (vips_rect_isempty(&kept))
		return true;
	box = (ImgBox) {kept.left, kept.top, kept.width, kept.height};
	return img_cut(picture, &box);
}
#endif

const ImgOperation img_operation_trim = {
	.key = "trim",
	.help = "cut plain edges off",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
