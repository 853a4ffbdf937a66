/*
 * flip.c
 *	  Mirrors a picture.
 *
 * Ours: flip.  "horizontal" changes left and right, "vertical" top and bottom,
 * "both" is a turn by 180 degrees.  Moves pixels and changes none.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	DIRECTION, SLOTS
};

/* Positions in directions[]. */
enum
{
	HORIZONTAL, VERTICAL, BOTH
};

static const ImgChoice directions[] = {
	[HORIZONTAL] = {"horizontal"},
	[VERTICAL] = {"vertical"},
	[BOTH] = {"both"},
	{NULL}
};

static const ImgArgument value[] = {
	{"direction", IMG_CHOICE, DIRECTION, .initial = -1, .choices = directions, .help = "which sides change places"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
run(ImgPicture *picture, const ImgStep *step)
{
	int			direction = step->value[DIRECTION];

	if (direction >= 0)
		img_turn(picture, direction != BOTH, direction == HORIZONTAL ? 0 : 2);
	return true;
}
#endif

const ImgOperation img_operation_flip = {
	.key = "flip",
	.help = "mirror",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
