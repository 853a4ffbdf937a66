/*
 * round.c
 *	  Rounds the corners off.
 *
 * Ours: round, the radius in pixels, or a percentage of each side: "50%" makes
 * a circle of a square and an ellipse of anything else.  No radius is longer
 * than half of its side.  What is cut off is transparent, or background.color
 * if that is given or the format has no alpha.
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
	RADIUS, RADIUS_UNIT, SLOTS
};

static const ImgArgument value[] = {
	{"radius", IMG_LENGTH, RADIUS, 0, 65500, .no_auto = true, .max_percent = 50,
	.help = "radius of the corners, in pixels or as a percentage of each side"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* Lines in a pixel on which its coverage is measured. */
#define LINES	8

typedef struct Corners
{
	int			height;
	double		across;			/* radii */
	double		down;
} Corners;

/* How much of pixel x of the row lies inside, 0 to 1; inset[]: how far the
 * edge is from the side on each line of the row. */
static double
coverage(const double *inset, int x)
{
	double		sum = 0;

	for (int i = 0; i < LINES; i++)
		sum += CLAMP(x + 1 - inset[i], 0, 1);
	return sum / LINES;
}

static void
find_insets(const Corners *c, int y, double *inset)
{
	for (int i = 0; i < LINES; i++)
	{
		double		line = y + (i + 0.5) / LINES;
		double		from_edge = fmin(line, c->height - line);
		double		rise = from_edge < c->down ? (c->down - from_edge) / c->down : 0;

		inset[i] = c->across * (1 - sqrt(1 - rise * rise));
	}
}

static void
round_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *context)
{
	const Corners *c = context;
	double		inset[LINES];
	int			reach;

	memcpy(to, from, (size_t) width * bands);
	if (c->down == 0 || (y >= c->down && y + 1 <= c->height - c->down))
		return;
	find_insets(c, y, inset);
	reach = MIN((int) ceil(c->across) + 1, (width + 1) / 2);
	for (int x = 0; x < reach; x++)
	{
		double		covered = coverage(inset, x);
		uint8_t    *left = to + (size_t) x * bands + bands - 1;
		uint8_t    *right = to + (size_t) (width - 1 - x) * bands + bands - 1;

		*left = (uint8_t) (*left * covered + 0.5);
		if (right != left)
			*right = (uint8_t) (*right * covered + 0.5);
	}
}

static VipsImage *
rounded(ImgPicture *picture, VipsImage *image, const Corners *corners)
{
	VipsImage  *with_alpha;
	VipsImage  *result;

	if (vips_image_hasalpha(image))
		return img_map_rows(picture, image, image->Bands, round_row, corners);
	if (vips_addalpha(image, &with_alpha, NULL))
	{
		img_fail_vips(picture, IMG_STAGE_OPERATION);
		return NULL;
	}
	result = img_map_rows(picture, with_alpha, with_alpha->Bands, round_row, corners);
	g_object_unref(with_alpha);
	return result;
}

bool
img_round(ImgPicture *picture, double across, double down)
{
	Corners		corners;

	if (!img_settle(picture))
		return false;
	corners = (Corners) {img_height(picture), across, down};
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = rounded(picture, picture->frame[i], &corners);

		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	return true;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	double		radius = step->value[RADIUS];
	double		width = img_width(picture);
	double		height = img_height(picture);

	if (radius == 0)
		return true;
	if (step->value[RADIUS_UNIT] == IMG_PERCENT)
		return img_round(picture, width * radius / 100, height * radius / 100);
	radius = fmin(radius, fmin(width, height) / 2);
	return img_round(picture, radius, radius);
}
#endif

const ImgOperation img_operation_round = {
	.key = "round",
	.help = "round the corners off",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
