/*
 * crop.c
 *	  Keeps a part of a picture.
 *
 * Ours: crop {x, y, width, height}, in pixels of the picture as it is displayed
 * (and as rotate and flip have left it).  gravity says from where x and y count:
 * "northwest", unless it is given, from the upper left corner; "southeast" from
 * the lower right one inwards; "center" from where the part lies in the middle.
 * Without width or height the part is as wide or high as the picture; what
 * would reach beyond the picture is left out.
 *
 * The templates rectangle and circle of operations use it.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	X, Y, WIDTH, HEIGHT, GRAVITY, SLOTS
};

static const ImgArgument arguments[] = {
	{"x", IMG_INTEGER, X, -65499, 65499, .help = "pixels from where gravity says; from the left edge"},
	{"y", IMG_INTEGER, Y, -65499, 65499, .help = "pixels from where gravity says; from the upper edge"},
	{"width", IMG_INTEGER, WIDTH, 1, 65500, .help = "pixels; to the right edge when left out"},
	{"height", IMG_INTEGER, HEIGHT, 1, 65500, .help = "pixels; to the lower edge when left out"},
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_NORTHWEST, .choices = img_gravities,
	.help = "edge or corner from which x and y count"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* Leaves out what lies outside 0 to length. */
static void
clip(int *start, int *size, int length)
{
	int			end = *start + *size;

	*start = CLAMP(*start, 0, length);
	*size = CLAMP(end, 0, length) - *start;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	int			width = img_width(picture);
	int			height = img_height(picture);
	bool		given_width = step->value[WIDTH] > 0;
	bool		given_height = step->value[HEIGHT] > 0;
	ImgBox		box = img_gravity_box(step->value[GRAVITY], width, height,
									  given_width ? step->value[WIDTH] : width,
									  given_height ? step->value[HEIGHT] : height,
									  step->value[X], step->value[Y]);
	ImgBox		asked = box;

	clip(&box.left, &box.width, width);
	clip(&box.top, &box.height, height);
	if (box.width == 0 || box.height == 0)
		return img_fail_picture(picture, IMG_MISFIT, IMG_STAGE_OPERATION,
								"crop: the part begins at %d, %d, outside the picture of %d x %d",
								asked.left, asked.top, width, height);
	return img_cut(picture, &box);
}
#endif

const ImgOperation img_operation_crop = {
	.key = "crop",
	.help = "keep a part",
	.arguments = arguments,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
