/*
 * adjustments.c
 *	  Colour and tone.
 *
 * Contract: adjustments of the edit contract.  Its author publishes no
 * formulas; these are ours.  They work on 8 bit sRGB, in this order.  0 changes
 * nothing, more of one does more, nothing that can be told apart becomes white
 * or black, and alpha stays.
 *
 *	exposure e		on linear light x, with g = 2^(e / 50): g x when darker, and
 *					g x / (1 + (g - 1) x) when lighter: shadows gain up to two
 *					stops, white stays white.
 *	contrast c		on each value x: x - c / 100 x (1 - x) (1 - 2 x).  Black, middle
 *					and white stay; the slope is nowhere more than 2, so nothing
 *					falls apart.
 *	saturation s	L + (1 + s / 100) (v - L) around the luma L (see gray.c), less
 *					where a colour would leave the range.
 *	hdr h			local contrast: luma becomes base + detail, where base is the
 *					luma blurred over a thirtieth of the picture and drawn towards
 *					the middle by h / 100 (1/2 - b) b (1 - b), and detail d is what
 *					is left, times 1 + h / 100 exp(-(d / 48)^2): strong edges stay
 *					as they are, so they get no halo.
 *	sharpness s		luma + 1.5 s / 100 (luma - luma blurred by 1 pixel)
 *
 * The last two move the luma of a pixel from L to M, its values v to v M / L
 * when it gets darker and 255 - (255 - v) (255 - M) / (255 - L) when lighter.
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
	HDR, STITCHING, EXPOSURE, SATURATION, CONTRAST, SHARPNESS, SLOTS
};

static const ImgArgument hdr_members[] = {
	{"intensity", IMG_INTEGER, HDR, 0, 100, 100, .help = "as hdr without an object"},
	{"stitching", IMG_BOOL, STITCHING, .help = "for services that work tile by tile; here nothing has to be merged"},
	{NULL}
};

static const ImgArgument arguments[] = {
	{"hdr", IMG_INTEGER, HDR, 0, 100, .members = hdr_members, .help = "local contrast"},
	{"exposure", IMG_INTEGER, EXPOSURE, -100, 100, .help = "darker or lighter"},
	{"saturation", IMG_INTEGER, SATURATION, -100, 100, .help = "greyer or more colourful"},
	{"contrast", IMG_INTEGER, CONTRAST, -100, 100, .help = "flatter or harder"},
	{"sharpness", IMG_INTEGER, SHARPNESS, 0, 100, .help = "sharper"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
#define DETAIL_RANGE	48.0
#define BASE_PART		30
#define SHARP_SIGMA		1.0
#define SHARP_MOST		1.5

/* Exposure, contrast and saturation: each pixel by itself. */
typedef struct Tone
{
	uint8_t		table[256];
	float		saturation;		/* factor */
} Tone;

/* The luma that a pixel gets, by its base and its detail. */
typedef struct Local
{
	VipsImage  *base;			/* luma, blurred */
	float		base_table[256];
	float		detail_table[511];	/* of luma - base + 255 */
} Local;

static double
exposed(double x, double exposure)
{
	double		light = x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
	double		gain = exp2(exposure / 50);

	light = gain < 1 ? gain * light : gain * light / (1 + (gain - 1) * light);
	return light <= 0.0031308 ? light * 12.92 : 1.055 * pow(light, 1 / 2.4) - 0.055;
}

static double
contrasted(double x, double contrast)
{
	return x - contrast / 100 * x * (1 - x) * (1 - 2 * x);
}

static void
fill_tone(Tone *tone, const ImgStep *step)
{
	tone->saturation = 1 + step->value[SATURATION] / 100;
	for (int i = 0; i < 256; i++)
	{
		double		x = i / 255.0;

		if (step->value[EXPOSURE] != 0)
			x = CLAMP(exposed(x, step->value[EXPOSURE]), 0, 1);
		if (step->value[CONTRAST] != 0)
			x = contrasted(x, step->value[CONTRAST]);
		tone->table[i] = (uint8_t) rint(255 * x);
	}
}

static void
saturate(uint8_t *rgb, float factor)
{
	int			luma = img_luma(rgb);
	int			above = MAX(rgb[0], MAX(rgb[1], rgb[2])) - luma;
	int			below = luma - MIN(rgb[0], MIN(rgb[1], rgb[2]));

	if (above * factor > 255 - luma)
		factor = (255.0f - luma) / above;
	if (below * factor > luma)
		factor = (float) luma / below;
	for (int i = 0; i < 3; i++)
		rgb[i] = (uint8_t) (luma + factor * (rgb[i] - luma) + 0.5f);
}

static void
tone_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *context)
{
	const Tone *tone = context;
	int			values = width * bands;

	for (int i = 0; i < values; i++)
		to[i] = tone->table[from[i]];
	if (bands % 2 == 0)
		for (int i = bands - 1; i < values; i += bands)
			to[i] = from[i];
	if (bands > 2 && tone->saturation != 1)
		for (int i = 0; i < values; i += bands)
			saturate(to + i, tone->saturation);
}

static void
luma_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *unused)
{
	for (int x = 0; x < width; x++, from += bands)
	{
		*to++ = img_luma(from);
		if (bands == 4)
			*to++ = from[3];
	}
}

static void
local_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *context)
{
	const Local *local = context;
	const uint8_t *base = VIPS_IMAGE_ADDR(local->base, 0, y);
	int			colors = bands - (bands % 2 == 0);

	for (int x = 0; x < width; x++, from += bands, to += bands, base += local->base->Bands)
	{
		int			luma = colors == 3 ? img_luma(from) : from[0];
		float		wanted = local->base_table[*base] + local->detail_table[luma - *base + 255];

		wanted = CLAMP(wanted, 0, 255);
		for (int i = 0; i < colors; i++)
		{
			float		value = wanted <= luma ? (luma == 0 ? 0 : from[i] * wanted / luma) :
				255 - (255 - from[i]) * (255 - wanted) / (255 - luma);

			to[i] = (uint8_t) (value + 0.5f);
		}
		if (colors < bands)
			to[colors] = from[colors];
	}
}

static bool
adjust_tone(ImgPicture *picture, const ImgStep *step)
{
	Tone		tone;

	if (step->value[EXPOSURE] == 0 && step->value[CONTRAST] == 0 && step->value[SATURATION] == 0)
		return true;
	fill_tone(&tone, step);
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];

		image = img_map_rows(picture, image, image->Bands, tone_row, &tone);
		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	return true;
}

/* The luma of all frames becomes base and detail by the tables of "local". */
static bool
adjust_local(ImgPicture *picture, Local *local, double sigma)
{
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];
		VipsImage  *luma = image->Bands < 3 ? g_object_ref(image) :
			img_map_rows(picture, image, image->Bands - 2, luma_row, NULL);

		local->base = luma ? img_blurred(picture, luma, sigma) : NULL;
		g_clear_object(&luma);
		if (local->base == NULL)
			return false;
		image = img_map_rows(picture, image, image->Bands, local_row, local);
		g_object_unref(local->base);
		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	return true;
}

static bool
adjust_hdr(ImgPicture *picture, double strength)
{
	Local		local;

	if (strength == 0)
		return true;
	if (!img_settle(picture))
		return false;
	for (int i = 0; i < 256; i++)
	{
		double		b = i / 255.0;

		local.base_table[i] = 255 * (b + strength * (0.5 - b) * b * (1 - b));
	}
	for (int i = 0; i < 511; i++)
	{
		double		d = i - 255;

		local.detail_table[i] = d * (1 + strength * exp(-d * d / (DETAIL_RANGE * DETAIL_RANGE)));
	}
	return adjust_local(picture, &local, fmax(1, fmin(img_width(picture), img_height(picture)) / (double) BASE_PART));
}

static bool
sharpen(ImgPicture *picture, double strength)
{
	Local		local;

	if (strength == 0)
		return true;
	if (!img_settle(picture))
		return false;
	/* luma is base + detail */
	for (int i = 0; i < 256; i++)
		local.base_table[i] = i;
	for (int i = 0; i < 511; i++)
		local.detail_table[i] = (i - 255) * (1 + SHARP_MOST * strength);
	return adjust_local(picture, &local, SHARP_SIGMA);
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	bool		nothing = true;

	for (int i = 0; i < SLOTS; i++)
		nothing = nothing && (i == STITCHING || step->value[i] == 0);
	if (nothing)
		return true;
	return img_to_srgb(picture) && adjust_tone(picture, step) &&
		adjust_hdr(picture, step->value[HDR] / 100) && sharpen(picture, step->value[SHARPNESS] / 100);
}
#endif

const ImgOperation img_operation_adjustments = {
	.key = "adjustments",
	.help = "colour and tone",
	.arguments = arguments,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
