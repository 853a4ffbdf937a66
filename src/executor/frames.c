/*
 * frames.c
 *	  The frames of a picture: one of a still, several of an animation.
 *
 * Runs in imgapi-executor.
 */
#include "executor/decoder.h"

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

/* Turns frames in memory the way their orientation says. */
static bool
turn_upright(ImgPicture *picture)
{
	bool		mirror = orientations[picture->orientation].mirror;
	VipsAngle	turn = orientations[picture->orientation].turn;

	picture->orientation = 1;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image;

		if (mirror)
		{
			if (vips_flip(picture->frame[i], &image, VIPS_DIRECTION_HORIZONTAL, NULL))
				return img_fail_vips(picture, IMG_STAGE_OPERATION);
			img_replace_frame(picture, i, image);
		}
		if (turn != VIPS_ANGLE_D0)
		{
			if (vips_rot(picture->frame[i], &image, turn, NULL))
				return img_fail_vips(picture, IMG_STAGE_OPERATION);
			img_replace_frame(picture, i, image);
		}
	}
	return compute_frames(picture);
}

bool
img_compute(ImgPicture *picture)
{
	if (!img_to_srgb(picture))
		return false;
	return picture->settled || compute_frames(picture);
}

bool
img_settle(ImgPicture *picture)
{
	return img_compute(picture) && (picture->orientation == 1 || turn_upright(picture));
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
