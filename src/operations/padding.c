/*
 * padding.c
 *	  Margins around the picture.
 *
 * Contract: padding of the edit contract.  "10%" is all sides, "5% 25%" left
 * and right, then top and bottom, and four lengths are top, right, bottom and
 * left; percentages are of the width for left and right, of the height for top
 * and bottom.  A margin takes no more than half of its side.
 *
 * The size stays as it was before (resizing decides): the picture shrinks, in
 * proportion, until it fits between the margins, and stands in the middle
 * there.  The margins are painted with background.color.
 */
#include <math.h>

#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	TOP, RIGHT, BOTTOM, LEFT, UNIT, SLOTS
};

static const ImgArgument value[] = {
	{"sides", IMG_SIDES, TOP, 0, 32750, .max_percent = 50,
	.help = "\"10%\", \"5% 25%\" (horizontal, vertical) or \"0px 400px 0px 0px\" (top, right, bottom, left)"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* One margin in pixels, or -1 if it takes more than half of the side. */
static int
margin(const ImgStep *step, int slot, int side)
{
	double		given = step->value[slot];

	if (step->value[UNIT] == IMG_PERCENT)
		return (int) rint(side * given / 100);
	return given <= side / 2.0 ? (int) given : -1;
}

/* All four in pixels. */
static bool
find_margins(ImgPicture *picture, const ImgStep *step, int width, int height, int *side)
{
	for (int i = TOP; i <= LEFT; i++)
	{
		side[i] = margin(step, i, i == TOP || i == BOTTOM ? height : width);
		if (side[i] < 0)
			return img_fail_picture(picture, IMG_MISFIT, IMG_STAGE_OPERATION,
									"padding: a margin of %.0f pixels is more than half of a picture of %d x %d",
									step->value[i], width, height);
	}
	return true;
}

static int
scaled_side(int side, double scale, int space)
{
	return CLAMP((int) rint(side * scale), 1, space);
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	uint32_t	color = img_background_color(picture);
	ImgBox		canvas;			/* where the picture goes, and the whole */
	int			side[4];
	int			space_width;
	int			space_height;
	int			width;
	int			height;
	double		scale;

	if (step->value[UNIT] == IMG_AUTO)
		return true;
	img_full_size(picture, &canvas.width, &canvas.height);
	if (!find_margins(picture, step, canvas.width, canvas.height, side))
		return false;
	if (side[TOP] + side[RIGHT] + side[BOTTOM] + side[LEFT] == 0)
		return true;
	/* margins that leave nothing leave a pixel */
	space_width = MAX(1, canvas.width - side[LEFT] - side[RIGHT]);
	space_height = MAX(1, canvas.height - side[TOP] - side[BOTTOM]);
	scale = fmin((double) space_width / canvas.width, (double) space_height / canvas.height);
	width = scaled_side(canvas.width, scale, space_width);
	height = scaled_side(canvas.height, scale, space_height);
	canvas.left = MIN(side[LEFT], canvas.width - 1) + (space_width - width) / 2;
	canvas.top = MIN(side[TOP], canvas.height - 1) + (space_height - height) / 2;
	return img_scale(picture, width, height, NULL) && img_put_at(picture, &canvas, color);
}
#endif

const ImgOperation img_operation_padding = {
	.key = "padding",
	.help = "margins around the picture, such as \"10%\" or \"5% 25%\"",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
