/*
 * resizing.c
 *	  Changes the size of a picture; its proportions only if asked to.
 *
 * Contract: resizing of the edit contract.  A side is a number of pixels, a
 * percentage of the source, or "auto".
 *
 *	crop	exactly width × height: scaled to fill, the rest cut off.  A side
 *			that is not given keeps the length of the source.
 *	cover	at least width × height, nothing cut off
 *	bounds	at most width × height
 *	canvas	exactly width × height: as bounds, the rest painted with
 *			background.color
 *	fill	exactly width × height, whatever becomes of the proportions; ours
 *
 * With one side given, the other follows the proportions (but for crop).
 *
 * Ours: scale "down" never enlarges a picture and "up" never reduces one; it is
 * then cut or put on a canvas as it is.  Of "fill" each side is judged by
 * itself.  The templates resize_… of operations use both.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	WIDTH, WIDTH_UNIT,
	HEIGHT, HEIGHT_UNIT,
	FIT,
	CROP,
	SCALE,
	SLOTS
};

/* Positions in fits[]. */
enum
{
	FIT_CROP, FIT_COVER, FIT_BOUNDS, FIT_CANVAS, FIT_OUTPAINT, FIT_FILL
};

/* Positions in crops[]. */
enum
{
	CROP_CENTER, CROP_SMART
};

/* Positions in scales[]. */
enum
{
	SCALE_BOTH, SCALE_DOWN, SCALE_UP
};

static const ImgChoice scales[] = {
	{"both"}, {"down"}, {"up"}, {NULL}
};

static const ImgChoice crops[] = {
	{"center"},
	{"smart"},
	{NULL}
};

static const ImgArgument crop_members[] = {
	{"crop", IMG_CHOICE, CROP, .choices = crops, .help = "which part to keep: the middle, or where the eye goes"},
	{NULL}
};

static const ImgArgument outpaint_members[] = {
	{"feathering", IMG_ANY, .help = "how far the seam is blended, as a percentage (15%)"},
	{"outpaint_by", IMG_ANY, .help = "how much to add, one value or horizontal and vertical, in px or %"},
	{NULL}
};

static const ImgChoice fits[] = {
	{"crop", crop_members},
	{"cover"},
	{"bounds"},
	{"canvas"},
	{"outpaint", outpaint_members, "claid"},
	{"fill"},
	{NULL}
};

static const ImgArgument arguments[] = {
	{"width", IMG_LENGTH, WIDTH, 1, 65500, .help = "pixels, \"NN%\" of the source, or \"auto\""},
	{"height", IMG_LENGTH, HEIGHT, 1, 65500, .help = "pixels, \"NN%\" of the source, or \"auto\""},
	{"fit", IMG_CHOICE, FIT, .choices = fits, .help = "how the picture meets width and height"},
	{"scale", IMG_CHOICE, SCALE, .choices = scales, .help = "whether it may be enlarged and reduced, or only one of them"},
	{NULL}
};

static bool
check(ImgStep *step, ImgProblem *problem)
{
	const double *v = step->value;

	if (v[WIDTH_UNIT] == IMG_AUTO && v[HEIGHT_UNIT] == IMG_AUTO)
	{
		if (!(step->given & IMG_GIVEN(WIDTH)) || !(step->given & IMG_GIVEN(HEIGHT)))
			return true;
		problem->argument = "height";
		snprintf(problem->message, sizeof(problem->message),
				 "width and height cannot both be \"auto\"");
		snprintf(problem->hint, sizeof(problem->hint),
				 "Give one side, as in {\"resizing\": {\"width\": 1000, \"height\": \"auto\"}}, or leave both out to keep the size.");
		return false;
	}
	if (v[WIDTH_UNIT] == IMG_AUTO || v[HEIGHT_UNIT] == IMG_AUTO)
		return true;
	if (v[WIDTH_UNIT] != v[HEIGHT_UNIT])
	{
		problem->argument = "height";
		snprintf(problem->message, sizeof(problem->message),
				 "width and height must both be pixels or both be percentages");
		snprintf(problem->hint, sizeof(problem->hint),
				 "Write both alike, as in {\"width\": 800, \"height\": 600}, or make one \"auto\".");
		return false;
	}
	if (v[WIDTH_UNIT] == IMG_PERCENT && v[WIDTH] != v[HEIGHT])
	{
		problem->argument = "height";
		snprintf(problem->message, sizeof(problem->message),
				 "percentages of width and height must be equal, not %g%% and %g%%",
				 v[WIDTH], v[HEIGHT]);
		snprintf(problem->hint, sizeof(problem->hint),
				 "Write {\"width\": \"%g%%\", \"height\": \"auto\"}.", v[WIDTH]);
		return false;
	}
	return true;
}

#ifdef IMGAPI_EXECUTOR
/* What a step makes of a picture. */
typedef struct Geometry
{
	int			scaled_width;	/* the whole picture is scaled to this, */
	int			scaled_height;
	int			width;			/* then cut or put on a canvas of this */
	int			height;
} Geometry;

static int
whole(double side)
{
	return side < 1 ? 1 : (int) fmin(rint(side), INT_MAX);
}

/* One side in pixels; 0: auto */
static double
wanted(const ImgStep *step, int slot, int source)
{
	switch ((ImgUnit) step->value[slot + 1])
	{
		case IMG_PIXELS:
			return step->value[slot];
		case IMG_PERCENT:
			return whole(source * step->value[slot] / 100);
		default:
			return 0;
	}
}

/* Whether a step may scale by this much. */
static bool
may_scale(const ImgStep *step, double by)
{
	int			scale = step->value[SCALE];

	return (by <= 1 || scale != SCALE_DOWN) && (by >= 1 || scale != SCALE_UP);
}

static Geometry
geometry(const ImgStep *step, int width, int height)
{
	int			fit = step->value[FIT];
	double		w = wanted(step, WIDTH, width);
	double		h = wanted(step, HEIGHT, height);
	bool		one_side = w == 0 || h == 0;
	double		scale;
	Geometry	result = {width, height, width, height};

	if (w == 0 && h == 0)
		return result;
	if (fit == FIT_CROP && one_side)
	{
		/* the other side keeps the length of the source */
		w = w == 0 ? width : w;
		h = h == 0 ? height : h;
		one_side = false;
	}
	if (fit == FIT_FILL && !one_side)
	{
		result.scaled_width = result.width = may_scale(step, w / width) ? w : width;
		result.scaled_height = result.height = may_scale(step, h / height) ? h : height;
		return result;
	}
	if (one_side)
		scale = w != 0 ? w / width : h / height;
	else if (fit == FIT_BOUNDS || fit == FIT_CANVAS)
		scale = fmin(w / width, h / height);
	else
		scale = fmax(w / width, h / height);
	if (!may_scale(step, scale))
		scale = 1;
	result.scaled_width = w != 0 && scale == w / width ? w : whole(width * scale);
	result.scaled_height = h != 0 && scale == h / height ? h : whole(height * scale);
	result.width = result.scaled_width;
	result.height = result.scaled_height;
	if (!one_side && fit == FIT_CROP)
	{
		result.width = fmin(w, result.scaled_width);
		result.height = fmin(h, result.scaled_height);
	}
	else if (!one_side && fit == FIT_CANVAS)
	{
		result.width = fmax(w, result.scaled_width);
		result.height = fmax(h, result.scaled_height);
	}
	return result;
}

void
img_resizing_scale(const ImgStep *step, int width, int height, int *scaled_width, int *scaled_height)
{
	Geometry	target = geometry(step, width, height);

	*scaled_width = target.scaled_width;
	*scaled_height = target.scaled_height;
}

static bool
check_size(ImgPicture *picture, const Geometry *target)
{
	uint32_t	side = picture->request->limits.output_side;

	if (target->width > side || target->height > side)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_OPERATION,
								"the result would be %d x %d, more than the %u pixels that a side may have",
								target->width, target->height, side);
	return true;
}

/* The part where the eye goes, as libvips sees it. */
static bool
find_attention(ImgPicture *picture, ImgBox *box)
{
	VipsImage  *part;

	if (!img_settle(picture))
		return false;
	if (vips_smartcrop(picture->frame[0], &part, box->width, box->height,
					   "interesting", VIPS_INTERESTING_ATTENTION, NULL))
		return img_fail_vips(picture, IMG_STAGE_OPERATION);
	box->left = -vips_image_get_xoffset(part);
	box->top = -vips_image_get_yoffset(part);
	g_object_unref(part);
	return true;
}

static bool
scale_and_cut(ImgPicture *picture, const ImgStep *step, const Geometry *target)
{
	ImgBox		box = {
		.left = (target->scaled_width - target->width) / 2,
		.top = (target->scaled_height - target->height) / 2,
		.width = target->width,
		.height = target->height
	};

	if (step->value[CROP] != CROP_SMART)
		return img_scale(picture, target->scaled_width, target->scaled_height, &box);
	return img_scale(picture, target->scaled_width, target->scaled_height, NULL) &&
		find_attention(picture, &box) && img_cut(picture, &box);
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	Geometry	target;
	int			width;
	int			height;

	img_full_size(picture, &width, &height);
	target = geometry(step, width, height);
	if (!check_size(picture, &target))
		return false;
	if (target.width < target.scaled_width || target.height < target.scaled_height)
		return scale_and_cut(picture, step, &target);
	if (!img_scale(picture, target.scaled_width, target.scaled_height, NULL))
		return false;
	if (target.width > target.scaled_width || target.height > target.scaled_height)
		return img_put_on_canvas(picture, target.width, target.height, img_background_color(picture));
	return true;
}
#endif

const ImgOperation img_operation_resizing = {
	.key = "resizing",
	.help = "change the size",
	.arguments = arguments,
	.slots = SLOTS,
	.check = check,
	.run = IMG_EXECUTOR_ONLY(run),
};
