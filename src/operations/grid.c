/*
 * grid.c
 *	  Takes a picture apart into the fields of a grid.
 *
 * Contract: template grid of operations.  All fields have one size, rounded up;
 * those at the right and lower edge hold what is left, so there may be fewer
 * than asked for: 9 pixels in 4 columns are 3, 3 and 3.  Fields come row by row.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	COLUMNS, ROWS, SLOTS
};

static const ImgArgument arguments[] = {
	{"columns", IMG_INTEGER, COLUMNS, 1, IMG_MAX_PIECES, 1, .help = "fields side by side"},
	{"rows", IMG_INTEGER, ROWS, 1, IMG_MAX_PIECES, 1, .help = "fields one below the other"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
split(ImgPicture *picture, const ImgStep *step, ImgBox *pieces, int *count)
{
	int			width = img_width(picture);
	int			height = img_height(picture);
	int			columns = step->value[COLUMNS];
	int			rows = step->value[ROWS];
	int			across = (width + columns - 1) / columns;
	int			down = (height + rows - 1) / rows;

	columns = (width + across - 1) / across;
	rows = (height + down - 1) / down;
	*count = columns * rows;
	if (*count > IMG_MAX_PIECES)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_OPERATION,
								"grid: %d x %d fields are more than %d", columns, rows, IMG_MAX_PIECES);
	for (int i = 0; i < *count; i++)
	{
		int			left = i % columns * across;
		int			top = i / columns * down;

		pieces[i] = (ImgBox) {left, top, MIN(across, width - left), MIN(down, height - top)};
	}
	return true;
}
#endif

const ImgOperation img_operation_grid = {
	.key = "grid",
	.help = "take apart into a grid",
	.arguments = arguments,
	.slots = SLOTS,
	.splits = true,
	.split = IMG_EXECUTOR_ONLY(split),
};
