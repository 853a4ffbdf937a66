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

/*
 * The smallest area that holds all four corners, with the picture in its
 * middle.  (vips_rotate() turns around the middle of the upper left pixel, which
 * moves the picture by up to a pixel and cuts a row off.)
 */
static VipsImage *
turned_around_middle(VipsImage *image, double degrees, const double *color)
{
	VipsInterpolate *bicubic = vips_interpolate_new("bicubic");
	double		c = cos(VIPS_RAD(degrees));
	double		s = sin(VIPS_RAD(degrees));
	double		w = image->Xsize;
	double		h = image->Ysize;
	int			width = (int) rint(w * fabs(c) + h * fabs(s));
	int			height = (int) rint(w * fabs(s) + h * fabs(c));
	VipsArrayInt *area = vips_array_int_newv(4, 0, 0, width, height);
	VipsArrayDouble *background = vips_array_double_new(color, image->Bands);
	VipsImage  *result;

	if (vips_affine(image, &result, c, -s, s, c, "interpolate", bicubic, "oarea", area, "background", background,
					"idx", 0.5, "idy", 0.5,
					"odx", (width - c * w + s * h) / 2 - 0.5,
					"ody", (height - s * w - c * h) / 2 - 0.5, NULL))
		result = NULL;
	vips_area_unref(VIPS_AREA(area));
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(bicubic);
	return result;
}

/* What nothing shows through becomes what nothing shows through. */
static VipsImage *
turned_on_color(ImgPicture *picture, VipsImage *image, double degrees, uint32_t color)
{
	const double values[] = {color >> 24, color >> 16 & 0xff, color >> 8 & 0xff};
	VipsImage  *lazy = turned_around_middle(image, degrees, values);
	VipsImage  *result = lazy ? img_evaluate_tiles(picture, lazy) : NULL;

	g_clear_object(&lazy);
	return result;
}

/* Colours count as much as they show, or the edges would be seen. */
static VipsImage *
turned_with_alpha(ImgPicture *picture, VipsImage *image, double degrees)
{
	static const double nothing[4] = {0};
	VipsImage  *with_alpha;
	VipsImage  *premultiplied;
	VipsImage  *lazy = NULL;
	VipsImage  *tiles = NULL;
	VipsImage  *result = NULL;

	if (vips_image_hasalpha(image))
		with_alpha = g_object_ref(image);
	else if (vips_addalpha(image, &with_alpha, NULL))
		with_alpha = NULL;
	premultiplied = with_alpha ? img_map_rows(picture, with_alpha, with_alpha->Bands, img_premultiply_row, NULL) : NULL;
	if (premultiplied != NULL &&
		(lazy = turned_around_middle(premultiplied, degrees, nothing)) != NULL &&
		(tiles = img_evaluate_tiles(picture, lazy)) != NULL)
		result = img_map_rows(picture, tiles, tiles->Bands, img_unpremultiply_row, NULL);
	g_clear_object(&with_alpha);
	g_clear_object(&premultiplied);
	g_clear_object(&lazy);
	g_clear_object(&tiles);
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
	if (!img_settle(picture))
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
