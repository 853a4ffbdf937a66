/*
 * backdrop.c
 *	  Colours behind and around a picture.
 *
 * Runs in imgapi-executor.
 */
#include "executor/pipeline.h"

/* Red, green, blue and opacity, each 0 to 255. */
typedef double Color[4];

static void
unpack(uint32_t color, Color result)
{
	for (int i = 0; i < 4; i++)
		result[i] = color >> (24 - 8 * i) & 0xff;
}

static bool
is_grey(uint32_t color)
{
	return (color >> 24) == (color >> 16 & 0xff) && (color >> 24) == (color >> 8 & 0xff);
}

/* Grey frames become sRGB where a colour has to go into them. */
static bool
take_color(ImgPicture *picture, uint32_t color)
{
	if (!img_to_srgb(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];

		if (image->Bands > 2 || is_grey(color))
			continue;
		if (vips_colourspace(image, &image, VIPS_INTERPRETATION_sRGB, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}

/* Without alpha: on an opaque colour. */
static VipsImage *
flattened(VipsImage *image, const Color color)
{
	VipsArrayDouble *background = vips_array_double_new(color, image->Bands - 1);
	VipsImage  *result;

	if (vips_flatten(image, &result, "background", background, NULL))
		result = NULL;
	vips_area_unref(VIPS_AREA(background));
	return result;
}

/* With alpha: on a colour that lets something through. */
static VipsImage *
composed(VipsImage *image, const Color color)
{
	VipsImage  *black;
	VipsImage  *plane = NULL;
	VipsImage  *mixed = NULL;
	VipsImage  *result = NULL;
	int			bands = image->Bands;
	double		zero[4] = {0};
	double		value[4];

	for (int i = 0; i < bands; i++)
		value[i] = i == bands - 1 ? color[3] : color[i];
	if (vips_black(&black, image->Xsize, image->Ysize, "bands", bands, NULL))
		return NULL;
	if (vips_linear(black, &plane, zero, value, bands, "uchar", TRUE, NULL) == 0)
	{
		plane->Type = image->Type;
		if (vips_composite2(plane, image, &mixed, VIPS_BLEND_MODE_OVER, NULL) == 0)
			vips_cast(mixed, &result, VIPS_FORMAT_UCHAR, NULL);
	}
	g_object_unref(black);
	g_clear_object(&plane);
	g_clear_object(&mixed);
	return result;
}

bool
img_lay_on(ImgPicture *picture, uint32_t color)
{
	Color		values;

	if (!img_has_alpha(picture) || IMG_OPACITY(color) == 0)
		return true;
	if (!take_color(picture, color))
		return false;
	unpack(color, values);
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = IMG_OPACITY(color) == 0xff ? flattened(picture->frame[i], values) :
			composed(picture->frame[i], values);

		if (image == NULL)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}

/* Alpha for frames that will be seen through around the picture. */
static bool
add_alpha(ImgPicture *picture)
{
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image;

		if (vips_image_hasalpha(picture->frame[i]))
			continue;
		if (vips_addalpha(picture->frame[i], &image, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}

bool
img_put_on_canvas(ImgPicture *picture, int width, int height, uint32_t color)
{
	ImgBox		canvas = {(width - img_width(picture)) / 2, (height - img_height(picture)) / 2, width, height};

	return img_put_at(picture, &canvas, color);
}

bool
img_put_at(ImgPicture *picture, const ImgBox *canvas, uint32_t color)
{
	Color		values;

	if (!img_settle(picture) || !take_color(picture, color) || !img_lay_on(picture, color))
		return false;
	if (IMG_OPACITY(color) != 0xff && !add_alpha(picture))
		return false;
	unpack(color, values);
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];
		VipsArrayDouble *background;

		if (vips_image_hasalpha(image))
			values[image->Bands - 1] = IMG_OPACITY(color);
		background = vips_array_double_new(values, image->Bands);
		if (vips_embed(image, &image, canvas->left, canvas->top, canvas->width, canvas->height,
					   "extend", VIPS_EXTEND_BACKGROUND, "background", background, NULL))
			image = NULL;
		vips_area_unref(VIPS_AREA(background));
		if (image == NULL)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}
