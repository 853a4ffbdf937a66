/*
 * frames.c
 *	  The frames of a picture: one of a still, several of an animation.
 *
 * Runs in imgapi-executor.
 */
#include <string.h>

#include "executor/decoder.h"
#include "executor/memory.h"
#include "executor/rows.h"

/* What each EXIF orientation asks for. */
static const struct
{
	bool		mirror;			/* left and right change places first, */
	VipsAngle	turn;			/* then it is turned clockwise */
}			orientations[] = {
	[1] = {false, VIPS_ANGLE_D0},
	[2] = {true, VIPS_ANGLE_D0},
	[3] = {false, VIPS_ANGLE_D180},
	[4] = {true, VIPS_ANGLE_D180},
	[5] = {true, VIPS_ANGLE_D270},
	[6] = {false, VIPS_ANGLE_D90},
	[7] = {true, VIPS_ANGLE_D90},
	[8] = {false, VIPS_ANGLE_D270},
};

int
img_width(const ImgPicture *picture)
{
	return picture->orientation > 4 ? picture->frame[0]->Ysize : picture->frame[0]->Xsize;
}

int
img_height(const ImgPicture *picture)
{
	return picture->orientation > 4 ? picture->frame[0]->Xsize : picture->frame[0]->Ysize;
}

void
img_full_size(const ImgPicture *picture, int *width, int *height)
{
	bool		lies = picture->orientation > 4;

	*width = img_width(picture);
	*height = img_height(picture);
	if (picture->shrink > 1)
	{
		*width = lies ? picture->full_height : picture->full_width;
		*height = lies ? picture->full_width : picture->full_height;
	}
}

void
img_turn(ImgPicture *picture, bool mirror, int quarters)
{
	static const VipsAngle angles[] = {VIPS_ANGLE_D0, VIPS_ANGLE_D90, VIPS_ANGLE_D180, VIPS_ANGLE_D270};
	bool		mirrored = orientations[picture->orientation].mirror != mirror;
	int			turned = orientations[picture->orientation].turn - VIPS_ANGLE_D0;
	VipsAngle	turn;

	/* a mirror behind a turn is one before the opposite turn */
	turn = angles[((mirror ? -turned : turned) + quarters + 8) % 4];
	picture->orientation = 1;
	while (orientations[picture->orientation].mirror != mirrored ||
		   orientations[picture->orientation].turn != turn)
		picture->orientation++;
}

bool
img_has_alpha(const ImgPicture *picture)
{
	return vips_image_hasalpha(picture->frame[0]);
}

void
img_replace_frame(ImgPicture *picture, int i, VipsImage *image)
{
	g_object_unref(picture->frame[i]);
	picture->frame[i] = image;
	picture->settled = false;
}

void
img_free_frames(ImgPicture *picture)
{
	if (picture->decoder != NULL)
		picture->decoder->close(picture->decoder);
	picture->decoder = NULL;
	for (int i = 0; i < picture->frames; i++)
		g_object_unref(picture->frame[i]);
	g_free(picture->frame);
	picture->frame = NULL;
	picture->frames = 0;
	g_clear_object(&picture->animation);
}

/* Computes the frames as they are. */
static bool
compute_frames(ImgPicture *picture)
{
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *computed = img_evaluate(picture, picture->frame[i]);

		if (computed == NULL)
			return false;
		img_replace_frame(picture, i, computed);
	}
	picture->settled = true;
	return true;
}

/* Pixels move in blocks, so that rows and columns stay in the cache. */
#define BLOCK_SIDE	32

/* Pixels of a result: where the first one comes from, and how many bytes it is
 * from there to those of the next column and of the next row. */
typedef struct Walk
{
	const uint8_t *first;
	ptrdiff_t	column;
	ptrdiff_t	row;
} Walk;

static Walk
make_walk(VipsImage *image, bool mirror, VipsAngle turn)
{
	ptrdiff_t	pixel = VIPS_IMAGE_SIZEOF_PEL(image);
	ptrdiff_t	line = VIPS_IMAGE_SIZEOF_LINE(image);
	ptrdiff_t	across = mirror ? -pixel : pixel;
	const uint8_t *top = VIPS_IMAGE_ADDR(image, mirror ? image->Xsize - 1 : 0, 0);
	ptrdiff_t	right = (image->Xsize - 1) * across;
	ptrdiff_t	down = (image->Ysize - 1) * line;

	switch (turn)
	{
		case VIPS_ANGLE_D90:
			return (Walk) {top + down, -line, across};
		case VIPS_ANGLE_D180:
			return (Walk) {top + down + right, -across, -line};
		case VIPS_ANGLE_D270:
			return (Walk) {top + right, line, -across};
		default:
			return (Walk) {top, across, line};
	}
}

static inline void
move_block(const Walk *walk, uint8_t *to, int width, int x, int y, int columns, int rows, int pixel)
{
	for (int i = y; i < y + rows; i++)
	{
		const uint8_t *from = walk->first + i * walk->row + x * walk->column;
		uint8_t    *target = to + ((size_t) i * width + x) * pixel;

		for (int j = 0; j < columns; j++, from += walk->column, target += pixel)
			memcpy(target, from, pixel);
	}
}

/* The size of a pixel is known to the compiler where it is usual. */
static void
move_pixels(const Walk *walk, uint8_t *to, int width, int x, int y, int columns, int rows, int pixel)
{
	if (pixel == 3)
		move_block(walk, to, width, x, y, columns, rows, 3);
	else if (pixel == 4)
		move_block(walk, to, width, x, y, columns, rows, 4);
	else if (pixel == 1)
		move_block(walk, to, width, x, y, columns, rows, 1);
	else
		move_block(walk, to, width, x, y, columns, rows, pixel);
}

/* An image in memory, mirrored and turned; NULL after img_fail_picture(). */
static VipsImage *
turned(ImgPicture *picture, VipsImage *image, bool mirror, VipsAngle turn)
{
	bool		lies = turn == VIPS_ANGLE_D90 || turn == VIPS_ANGLE_D270;
	int			width = lies ? image->Ysize : image->Xsize;
	int			height = lies ? image->Xsize : image->Ysize;
	Walk		walk = make_walk(image, mirror, turn);
	uint8_t    *pixels = img_allocate_pixels(VIPS_IMAGE_SIZEOF_IMAGE(image));

	if (pixels == NULL)
	{
		img_fail_memory(picture, VIPS_IMAGE_SIZEOF_IMAGE(image));
		return NULL;
	}
	for (int y = 0; y < height; y += BLOCK_SIDE)
	{
		if (img_stopped(picture))
		{
			img_free_pixels(pixels);
			return NULL;
		}
		for (int x = 0; x < width; x += BLOCK_SIDE)
			move_pixels(&walk, pixels, width, x, y, MIN(BLOCK_SIDE, width - x), MIN(BLOCK_SIDE, height - y),
						VIPS_IMAGE_SIZEOF_PEL(image));
	}
	return img_wrap(picture, pixels, width, height, image->Bands, image->BandFmt, image->Type, image);
}

/* The pixels of a row from right to left. */
static void
mirror_row(const uint8_t *from, uint8_t *to, int width, int pixel)
{
	from += (size_t) (width - 1) * pixel;
	memcpy(to, from, pixel);
	width--, from -= pixel, to += pixel;
	/* Four bytes are moved faster than three: one is of the pixel before, and
	 * overwritten.  There is none at the ends. */
	if (pixel == 3)
		for (; width > 1; width--, from -= 3, to += 3)
			memcpy(to, from, 4);
	for (; width > 0; width--, from -= pixel, to += pixel)
		memcpy(to, from, pixel);
}

/* The same where rows stay rows: while they are computed. */
static VipsImage *
mirrored(ImgPicture *picture, VipsImage *image, bool across, bool down)
{
	size_t		line = VIPS_IMAGE_SIZEOF_LINE(image);
	uint8_t    *pixels = img_allocate_pixels(VIPS_IMAGE_SIZEOF_IMAGE(image));
	const uint8_t *row = NULL;
	ImgRows		rows;

	if (pixels == NULL)
	{
		img_fail_memory(picture, VIPS_IMAGE_SIZEOF_IMAGE(image));
		return NULL;
	}
	img_rows_start(&rows, picture, image);
	for (int y = 0; y < image->Ysize && (row = img_rows_next(&rows)) != NULL; y++)
	{
		uint8_t    *to = pixels + (down ? image->Ysize - 1 - y : y) * line;

		if (across)
			mirror_row(row, to, image->Xsize, VIPS_IMAGE_SIZEOF_PEL(image));
		else
			memcpy(to, row, line);
	}
	img_rows_end(&rows);
	if (row == NULL)
	{
		img_free_pixels(pixels);
		return NULL;
	}
	return img_wrap(picture, pixels, image->Xsize, image->Ysize, image->Bands, image->BandFmt, image->Type, image);
}

/* A frame the way an orientation says. */
static VipsImage *
set_upright(ImgPicture *picture, VipsImage *image, int orientation)
{
	bool		mirror = orientations[orientation].mirror;
	VipsAngle	turn = orientations[orientation].turn;
	VipsImage  *computed;
	VipsImage  *result;

	if (orientation <= 4)
		return mirrored(picture, image, mirror != (turn == VIPS_ANGLE_D180), turn == VIPS_ANGLE_D180);
	computed = img_evaluate(picture, image);
	result = computed ? turned(picture, computed, mirror, turn) : NULL;
	g_clear_object(&computed);
	return result;
}

/* Turns and computes frames. */
static bool
turn_upright(ImgPicture *picture)
{
	int			orientation = picture->orientation;

	picture->orientation = 1;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = set_upright(picture, picture->frame[i], orientation);

		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	picture->settled = true;
	return true;
}

bool
img_compute(ImgPicture *picture)
{
	if (!img_to_srgb(picture))
		return false;
	return picture->settled || compute_frames(picture);
}

bool
img_upright(ImgPicture *picture)
{
	return img_to_srgb(picture) && (picture->orientation == 1 || turn_upright(picture));
}

bool
img_settle(ImgPicture *picture)
{
	return img_upright(picture) && img_compute(picture);
}

ImgBox
img_stored_box(const ImgPicture *picture, int width, int height, const ImgBox *box)
{
	int			left = box->left;
	int			top = box->top;
	int			right = width - box->left - box->width;
	int			bottom = height - box->top - box->height;

	switch (picture->orientation)
	{
		case 2:
			return (ImgBox) {right, top, box->width, box->height};
		case 3:
			return (ImgBox) {right, bottom, box->width, box->height};
		case 4:
			return (ImgBox) {left, bottom, box->width, box->height};
		case 5:
			return (ImgBox) {top, left, box->height, box->width};
		case 6:
			return (ImgBox) {top, right, box->height, box->width};
		case 7:
			return (ImgBox) {bottom, right, box->height, box->width};
		case 8:
			return (ImgBox) {bottom, left, box->height, box->width};
		default:
			return *box;
	}
}

bool
img_cut(ImgPicture *picture, const ImgBox *box)
{
	ImgBox		stored = img_stored_box(picture, img_width(picture), img_height(picture), box);

	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image;

		if (vips_crop(picture->frame[i], &image, stored.left, stored.top,
					  stored.width, stored.height, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}
