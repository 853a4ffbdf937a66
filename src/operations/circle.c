/*
 * circle.c
 *	  Keeps a circle of a picture.
 *
 * Ours, and the template circle of operations: gravity says where the circle
 * lies, x and y how far from there (as in crop).  A circle that is larger than
 * the picture becomes the largest that fits, and one that would reach beyond
 * the edge moves inside.  What is cut off is as with round.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	RADIUS, GRAVITY, X, Y, SLOTS
};

static const ImgArgument arguments[] = {
	{"radius", IMG_INTEGER, RADIUS, 1, 32750, .required = true, .help = "pixels"},
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_CENTER, .choices = img_gravities, .help = "where it lies"},
	{"x", IMG_INTEGER, X, -65499, 65499, .help = "pixels from where gravity says"},
	{"y", IMG_INTEGER, Y, -65499, 65499, .help = "pixels from where gravity says"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
run(ImgPicture *picture, const ImgStep *step)
{
	int			width = img_width(picture);
	int			height = img_height(picture);
	int			side = MIN(MIN(width, height), 2 * step->value[RADIUS]);
	ImgBox		box = img_gravity_box(step->value[GRAVITY], width, height, side, side,
									  step->value[X], step->value[Y]);

	box.left = CLAMP(box.left, 0, width - side);
	box.top = CLAMP(box.top, 0, height - side);
	return img_cut(picture, &box) && img_round(picture, side / 2.0, side / 2.0);
}
#endif

const ImgOperation img_operation_circle = {
	.key = "circle",
	.help = "keep a circle",
	.arguments = arguments,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
