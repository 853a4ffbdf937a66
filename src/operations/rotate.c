/*
 * rotate.c
 *	  Turns a picture clockwise.
 *
 * Ours: rotate, a number of degrees.  Right angles move pixels and change none.
 * Other angles make the picture larger, so that its corners stay inside; what
 * is new there is painted with background.color.
 */
#include <math.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#include "executor/pixels.h"
#endif

enum
{
	DEGREES, SLOTS
};

static const ImgArgument value[] = {
	{"degrees", IMG_REAL, DEGREES, -360, 360, .help = "degrees clockwise"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
int
img_rotate_quarters(const ImgStep *step)
{
	double		quarters = step->value[DEGREES] / 90;

	return quarters == rint(quarters) ? ((int) quarters + 4) % 4 : -1;
}

/* What nothing shows through becomes what nothing shows through. */
static VipsImage *
turned_on_color(ImgPicture *picture, VipsImage *image, double degrees, uint32_t color)
{
	const uint8_t values[] = {color >> 24, color >> 16 & 0xff, color >> 8 & 0xff};

	return img_rotated(picture, image, degrees, values);
}

/* Colours count as much as they show, or the edges would be seen. */
static VipsImage *
turned_with_alpha(ImgPicture *picture, VipsImage *image, double degrees)
{
	static const uint8_t nothing[4] = {0};
	VipsImage  *with_alpha;
	VipsImage  *premultiplied;
	VipsImage  *turned = NULL;
	VipsImage  *result = NULL;

	if (vips_image_hasalpha(image))
		with_alpha = g_object_ref(image);
	else if (vips_addalpha(image, &with_alpha, NULL))
		with_alpha = NULL;
	premultiplied = with_alpha ? img_map_rows(picture, with_alpha, with_alpha->Bands, img_premultiply_row, NULL) : NULL;
	if (premultiplied != NULL && (turned = img_rotated(picture, premultiplied, degrees, nothing)) != NULL)
		result = img_map_rows(picture, turned, turned->Bands, img_unpremultiply_row, NULL);
	g_clear_object(&with_alpha);
	g_clear_object(&premultiplied);
	g_clear_object(&turned);
	return result;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	uint32_t	color;
	int			quarters = img_rotate_quarters(step);

	if (quarters >= 0)
	{
		img_turn(picture, false, quarters);
		return true;
	}
	color = img_background_color(picture);
	if (!img_upright(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];

		image = image->Bands == 3 && IMG_OPACITY(color) == 0xff ?
			turned_on_color(picture, image, step->value[DEGREES], color) :
			turned_with_alpha(picture, image, step->value[DEGREES]);
		if (image == NULL)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return img_lay_on(picture, color);
}
#endif

const ImgOperation img_operation_rotate = {
	.key = "rotate",
	.help = "turn clockwise; angles that are not right enlarge the picture",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
