/*
 * watermark.c
 *	  Lays another picture over the picture.
 *
 * Ours, and the template watermark of operations: image names the other picture
 * (the compiler has seen to it that it comes along), gravity where it lies, x
 * and y how far from there (as in crop).  scale is its width as a percentage of
 * the picture's; without it the watermark keeps its own size.  tile repeats it
 * over the whole picture, beginning where the one would lie.  Runs last: after
 * background, so that nothing lies over it.
 *
 * Only the first frame of an animated watermark is used, on every frame of the
 * picture.  Where the picture is transparent, the watermark is what is seen.
 */
#include <math.h>
#include <string.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#include "executor/pixels.h"
#endif

enum
{
	PICTURE, GRAVITY, X, Y, SCALE, OPACITY, TILE, SLOTS
};

static const ImgArgument arguments[] = {
	{"image", IMG_PICTURE, PICTURE, .required = true, .help = "the watermark: \"/folder/picture.png\", \"storage://NAME/path\", or the id of the job whose output it is"},
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_CENTER, .choices = img_gravities, .help = "where it lies"},
	{"x", IMG_INTEGER, X, -65499, 65499, .help = "pixels from where gravity says"},
	{"y", IMG_INTEGER, Y, -65499, 65499, .help = "pixels from where gravity says"},
	{"scale", IMG_INTEGER, SCALE, 1, 100, 0, .help = "its width, in percent of the picture's; its own size when left out"},
	{"opacity", IMG_INTEGER, OPACITY, 0, 100, 100, .help = "0 to 100"},
	{"tile", IMG_BOOL, TILE, .help = "repeat it over the whole picture"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* What the rows are made with. */
typedef struct Layer
{
	VipsImage  *image;			/* the watermark, RGBA in memory */
	ImgBox		box;			/* where it lies */
	int			opacity;		/* 0 to 255 */
	bool		tile;
	bool		grey;			/* the picture is, and so is the watermark */
} Layer;

/* One pixel over another, whose last band is alpha if there is one. */
static void
blend(uint8_t *below, int bands, const uint8_t *over, const Layer *layer)
{
	bool		has_alpha = bands == 2 || bands == 4;
	int			colors = has_alpha ? bands - 1 : bands;
	int			alpha = (over[3] * layer->opacity + 127) / 255;
	int			under = has_alpha ? below[colors] : 255;
	int			rest = (under * (255 - alpha) + 127) / 255;
	int			sum = alpha + rest;

	if (alpha == 0 || sum == 0)
		return;
	for (int i = 0; i < colors; i++)
		below[i] = (over[i] * alpha + below[i] * rest + sum / 2) / sum;
	if (has_alpha)
		below[colors] = sum;
}

/* The remainder that is never negative. */
static int
wrap(int value, int length)
{
	value %= length;
	return value < 0 ? value + length : value;
}

static void
watermark_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *context)
{
	const Layer *layer = context;
	const ImgBox *box = &layer->box;
	int			line = y - box->top;
	int			first = layer->tile ? 0 : MAX(box->left, 0);
	int			end = layer->tile ? width : MIN(box->left + box->width, width);
	const uint8_t *over;

	memcpy(to, from, (size_t) width * bands);
	if (!layer->tile && (line < 0 || line >= box->height))
		return;
	over = VIPS_IMAGE_ADDR(layer->image, 0, wrap(line, box->height));
	for (int x = first; x < end; x++)
		blend(to + (size_t) x * bands, bands, over + (size_t) wrap(x - box->left, box->width) * 4, layer);
}

static bool
is_grey(VipsImage *image)
{
	for (int y = 0; y < image->Ysize; y++)
	{
		const uint8_t *p = VIPS_IMAGE_ADDR(image, 0, y);

		for (int x = 0; x < image->Xsize; x++, p += 4)
			if (p[3] != 0 && (p[0] != p[1] || p[1] != p[2]))
				return false;
	}
	return true;
}

/* Grey or colour, with alpha or not: RGBA in memory. */
static VipsImage *
as_rgba(ImgPicture *picture, VipsImage *image)
{
	VipsImage  *color = NULL;
	VipsImage  *alpha = NULL;
	VipsImage  *result = NULL;

	if (vips_colourspace(image, &color, VIPS_INTERPRETATION_sRGB, NULL) == 0 &&
		(vips_image_hasalpha(color) ? vips_copy(color, &alpha, NULL) : vips_addalpha(color, &alpha, NULL)) == 0)
		result = img_evaluate(picture, alpha);
	else
		img_fail_vips(picture, IMG_STAGE_OPERATION);
	g_clear_object(&color);
	g_clear_object(&alpha);
	return result;
}

/* How large the watermark is going to be. */
static bool
scale(ImgPicture *other, const ImgPicture *picture, const ImgStep *step)
{
	int			width;
	int			height;
	double		wanted = rint(img_width(picture) * step->value[SCALE] / 100);

	if (step->value[SCALE] == 0)
		return true;
	img_full_size(other, &width, &height);
	wanted = MAX(wanted, 1);
	height = MAX(rint(height * wanted / width), 1);
	if (height > picture->request->limits.output_side)
		return img_fail_picture(other, IMG_LIMIT, IMG_STAGE_OPERATION,
								"it would be %.0f x %d, more than the %u pixels that a side may have",
								wanted, height, picture->request->limits.output_side);
	return img_scale(other, wanted, height, NULL);
}

/* Reads the watermark; NULL after img_fail_picture(). */
static VipsImage *
load_watermark(ImgPicture *picture, const ImgStep *step)
{
	ImgPicture	other = {
		.request = picture->request, .client = picture->client, .deadline = picture->deadline,
		.data = picture->other, .length = picture->other_length, .orientation = 1
	};
	VipsImage  *image = NULL;

	if (img_open(&other) && img_load(&other) && scale(&other, picture, step) && img_settle(&other))
		image = as_rgba(&other, other.frame[0]);
	img_free_frames(&other);
	if (image == NULL)
		img_fail_picture(picture, other.outcome, other.stage, "watermark: %s", other.text);
	return image;
}

static bool
add_to_frame(ImgPicture *picture, int i, const Layer *layer)
{
	VipsImage  *image = picture->frame[i];
	VipsImage  *color = NULL;

	if (image->Bands < 3 && !layer->grey)
	{
		if (vips_colourspace(image, &color, VIPS_INTERPRETATION_sRGB, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		image = color;
	}
	image = img_map_rows(picture, image, image->Bands, watermark_row, layer);
	g_clear_object(&color);
	if (image == NULL)
		return false;
	img_replace_frame(picture, i, image);
	return true;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	Layer		layer = {.opacity = rint(step->value[OPACITY] * 2.55), .tile = step->value[TILE] != 0};
	bool		done;

	if (picture->other == NULL)
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_READ, "the watermark did not come along");
	if (!img_settle(picture))
		return false;
	layer.image = load_watermark(picture, step);
	if (layer.image == NULL)
		return false;
	layer.grey = is_grey(layer.image);
	layer.box = img_gravity_box(step->value[GRAVITY], img_width(picture), img_height(picture),
								layer.image->Xsize, layer.image->Ysize, step->value[X], step->value[Y]);
	done = true;
	for (int i = 0; i < picture->frames && done; i++)
		done = add_to_frame(picture, i, &layer);
	g_object_unref(layer.image);
	return done;
}
#endif

const ImgOperation img_operation_watermark = {
	.key = "watermark",
	.help = "lay another picture over it",
	.arguments = arguments,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
