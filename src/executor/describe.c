/*
 * describe.c
 *	  A small version of a picture, and what is said of it.
 *
 * Runs in imgapi-executor.  The picture is loaded and scaled as an edit with one
 * resizing step would do it, so a JPEG is decoded no larger than needed.  Of an
 * animation it is the first frame.
 */
#include <math.h>
#include <stdlib.h>

#include "executor/describe.h"
#include "executor/pipeline.h"

typedef struct Description
{
	ImgRequestType type;
	ImgDescribe describe;
	bool		square;			/* IMG_PHASH_SIDE on either side, whatever the
								 * proportions; otherwise they stay, and what
								 * is smaller than IMG_SMALL_SIDE stays too */
	bool		transparent;	/* alpha counts; otherwise laid on white */
} Description;

static const Description descriptions[] = {
	{IMG_PHASH, img_phash, .square = true},
	{IMG_BLURHASH, img_blurhash},
	{IMG_DOMINANT_COLOR, img_dominant_color, .transparent = true},
};

static const Description *
description_of(const ImgPicture *picture)
{
	for (int i = 0; i < G_N_ELEMENTS(descriptions); i++)
		if (descriptions[i].type == picture->request->type)
			return &descriptions[i];
	return NULL;
}

/* How large the small version is, before anything has been decoded. */
static void
small_size(ImgPicture *picture, bool square)
{
	int			width = picture->source.width;
	int			height = picture->source.height;
	double		scale = (double) IMG_SMALL_SIDE / MAX(width, height);

	if (square)
		width = height = IMG_PHASH_SIDE;
	else if (scale < 1)
	{
		width = MAX(1, (int) rint(width * scale));
		height = MAX(1, (int) rint(height * scale));
	}
	picture->wanted_width = width;
	picture->wanted_height = height;
}

/* frame[0], whatever its bands, as RGBA. */
static void
unpack(const ImgPicture *picture, ImgSmall *small)
{
	VipsImage  *image = picture->frame[0];
	bool		alpha = img_has_alpha(picture);
	bool		grey = image->Bands < 3;
	uint8_t		(*to)[4] = small->rgba;

	small->width = image->Xsize;
	small->height = image->Ysize;
	for (int y = 0; y < image->Ysize; y++)
	{
		const uint8_t *from = VIPS_IMAGE_ADDR(image, 0, y);

		for (int x = 0; x < image->Xsize; x++, from += image->Bands, to++)
		{
			for (int band = 0; band < 3; band++)
				(*to)[band] = from[grey ? 0 : band];
			(*to)[3] = alpha ? from[image->Bands - 1] : 255;
		}
	}
}

static bool
make_small(ImgPicture *picture, const Description *description, ImgSmall *small)
{
	if (!img_open(picture))
		return false;
	small_size(picture, description->square);
	if (!img_load(picture) ||
		!img_scale(picture, picture->wanted_width, picture->wanted_height, NULL) || !img_settle(picture))
		return false;
	/* no surprise here */
	picture->warnings &= ~IMG_WARNING_FIRST_FRAME;
	if (!description->transparent && (!img_lay_on(picture, IMG_WHITE) || !img_settle(picture)))
		return false;
	unpack(picture, small);
	return true;
}

bool
img_describe(ImgPicture *picture, void **data, size_t *length)
{
	const Description *description = description_of(picture);
	ImgSmall	small;

	if (!make_small(picture, description, &small))
		return false;
	*data = malloc(IMG_DESCRIPTION_BYTES);
	if (*data == NULL)
		return img_fail_memory(picture, IMG_DESCRIPTION_BYTES);
	*length = description->describe(&small, *data);
	return true;
}
