/*
 * rows.h
 *	  The rows of an image, from top to bottom.
 */
#ifndef IMGAPI_EXECUTOR_ROWS_H
#define IMGAPI_EXECUTOR_ROWS_H

#include "executor/pipeline.h"

typedef struct ImgRows
{
	ImgPicture *picture;
	VipsImage  *image;
	VipsRegion *region;
	VipsRect	strip;			/* the rows that region holds */
	int			next;			/* row */
} ImgRows;

extern void img_rows_start(ImgRows *rows, ImgPicture *picture, VipsImage *image);

/* The next row, until the one after that; NULL after img_fail_picture().  Pixels
 * are computed here if they do not lie in memory. */
extern const uint8_t *img_rows_next(ImgRows *rows);
extern void img_rows_end(ImgRows *rows);

#endif							/* IMGAPI_EXECUTOR_ROWS_H */
