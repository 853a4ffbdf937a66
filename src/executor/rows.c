/*
 * rows.c
 *	  The rows of an image, from top to bottom.
 *
 * Runs in imgapi-executor.  For those who make something of each row: while it
 * is in the cache, and without memory for all of them.
 */
#include "executor/rows.h"

#define STRIP_LINES		16

void
img_rows_start(ImgRows *rows, ImgPicture *picture, VipsImage *image)
{
	*rows = (ImgRows) {picture, image, vips_region_new(image)};
}

const uint8_t *
img_rows_next(ImgRows *rows)
{
	int			y = rows->next++;

	if (y >= rows->strip.top + rows->strip.height)
	{
		rows->strip = (VipsRect) {0, y, rows->image->Xsize, MIN(STRIP_LINES, rows->image->Ysize - y)};
		if (img_stopped(rows->picture))
			return NULL;
		if (vips_region_prepare(rows->region, &rows->strip))
		{
			if (!img_stopped(rows->picture))
				img_fail_vips(rows->picture, IMG_STAGE_DECODE);
			return NULL;
		}
	}
	return VIPS_REGION_ADDR(rows->region, 0, y);
}

void
img_rows_end(ImgRows *rows)
{
	g_clear_object(&rows->region);
}
