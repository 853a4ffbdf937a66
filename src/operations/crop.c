/*
 * crop.c
 *	  Keeps a part of a picture.
 *
 * Ours: crop {x, y, width, height}, in pixels of the picture as it is displayed
 * (and as rotate and flip have left it).  Without width or height the part
 * reaches to the edge, and so does one that would reach beyond it.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	X, Y, WIDTH, HEIGHT, SLOTS
};

static const ImgArgument arguments[] = {
	{"x", IMG_INTEGER, X, 0, 65499, .help = "left edge, in pixels"},
	{"y", IMG_INTEGER, Y, 0, 65499, .help = "upper edge, in pixels"},
	{"width", IMG_INTEGER, WIDTH, 1, 65500, .help = "pixels; to the right edge when left out"},
	{"height", IMG_INTEGER, HEIGHT, 1, 65500, .help = "pixels; to the lower edge when left out"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
run(ImgPicture *picture, const ImgStep *step)
{
	int			width = img_width(picture);
	int			height = img_height(picture);
	ImgBox		box = {step->value[X], step->value[Y], step->value[WIDTH], step->value[HEIGHT]};

	if (box.left >= width || box.top >= height)
		return img_fail_picture(picture, IMG_MISFIT, IMG_STAGE_OPERATION,
								"crop: the part begins at %d, %d, outside the picture of %d x %d",
								box.left, box.top, width, height);
	if (box.width == 0 || box.width > width - box.left)
		box.width = width - box.left;
	if (box.height == 0 || box.height > height - box.top)
		box.height = height - box.top;
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
