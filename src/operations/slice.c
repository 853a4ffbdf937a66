/*
 * slice.c
 *	  Takes a picture apart into slices of one size.
 *
 * Contract: template slice of operations.  "vertical" cuts along the height:
 * slices lie one below the other, each "size" pixels high; "horizontal" along
 * the width: side by side, each "size" pixels wide.  (The contract does not say
 * which is which.)  The last slice holds what is left.  Size 0: one slice, the
 * whole picture.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	DIRECTION, SIZE, SLOTS
};

/* Positions in directions[]. */
enum
{
	VERTICAL, HORIZONTAL
};

static const ImgChoice directions[] = {
	{"vertical"}, {"horizontal"}, {NULL}
};

static const ImgArgument arguments[] = {
	{"direction", IMG_CHOICE, DIRECTION, .choices = directions, .help = "slices one below the other, or side by side"},
	{"size", IMG_INTEGER, SIZE, 0, 65500, .help = "height or width of a slice, in pixels; 0: all"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
split(ImgPicture *picture, const ImgStep *step, ImgBox *pieces, int *count)
{
	bool		vertical = step->value[DIRECTION] == VERTICAL;
	int			width = img_width(picture);
	int			height = img_height(picture);
	int			length = vertical ? height : width;
	int			size = step->value[SIZE] > 0 ? step->value[SIZE] : length;

	*count = (length + size - 1) / size;
	if (*count > IMG_MAX_PIECES)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_OPERATION,
								"slice: a picture of %d x %d gives %d slices of %d pixels, more than %d",
								width, height, *count, size, IMG_MAX_PIECES);
	for (int i = 0; i < *count; i++)
	{
		int			start = i * size;
		int			rest = MIN(size, length - start);

		pieces[i] = vertical ? (ImgBox) {0, start, width, rest} : (ImgBox) {start, 0, rest, height};
	}
	return true;
}
#endif

const ImgOperation img_operation_slice = {
	.key = "slice",
	.help = "take apart into slices",
	.arguments = arguments,
	.slots = SLOTS,
	.splits = true,
	.split = IMG_EXECUTOR_ONLY(split),
};
