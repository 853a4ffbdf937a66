/*
 * source_row.h
 *	  The row of a user's table that holds a picture.
 */
#ifndef IMGAPI_SOURCE_ROW_H
#define IMGAPI_SOURCE_ROW_H

#include "fmgr.h"
#include "utils/rel.h"

typedef struct ImgRowSource
{
	Oid			table;
	char	   *source_column;
	char	   *target_column;	/* or NULL */
	char	   *key;			/* values of the primary key as a text array */
} ImgRowSource;

/* The source column of a row as stored: a TOAST pointer, or the bytes where
 * they are in the row. */
typedef struct ImgRowImage
{
	struct varlena *stored;		/* NULL: not read */
	size_t		size;
} ImgRowImage;

typedef enum ImgRowState
{
	IMG_ROW_FOUND,
	IMG_ROW_GONE,				/* or its picture is NULL */
	IMG_ROW_CHANGED,			/* another picture than the image */
	IMG_ROW_LOCKED				/* by somebody else */
} ImgRowState;

/* Attribute numbers of the primary key; 0A000 with the line to type where a
 * table has none.  *count is filled. */
extern AttrNumber *img_primary_key(Relation relation, int *count);

/*
 * Reads the picture as the current user.  *picture is the value as stored and
 * lives in SPI's memory; *image is a copy in the current context.  Never
 * waits for a lock on the row or on the table.  SPI must be connected.
 */
extern ImgRowState img_row_read(const ImgRowSource *row, Datum *picture, ImgRowImage *image,
								MemoryContext context);

/*
 * Writes the target column as the current user if the row still holds the
 * picture of the image.  value is of the target column's type.
 */
extern ImgRowState img_row_write(const ImgRowSource *row, const ImgRowImage *image, Datum value);

/* Writes the target column as the current user, whatever the row holds. */
extern void img_row_set(const ImgRowSource *row, Datum value);

/* Type of a column; InvalidOid: there is none (any more). */
extern Oid	img_column_type(Oid table, const char *column);

#endif							/* IMGAPI_SOURCE_ROW_H */
