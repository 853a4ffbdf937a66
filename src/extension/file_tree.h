/*
 * file_tree.h
 *	  Pictures in the file tree, named by their path.
 */
#ifndef IMGAPI_FILE_TREE_H
#define IMGAPI_FILE_TREE_H

#include "postgres.h"

/* Whether the name of a picture is a path of the file tree. */
extern bool img_is_file(const char *name);

/*
 * Whether that role has such a file.  Errors: 02000 it has not, 22023 it is no
 * path, or that of a folder.
 */
extern void img_file_check(const char *path, Oid role);

/*
 * The picture as it is stored, in memory of the current SPI procedure, and its
 * SHA-256; error 02000.  SPI must be connected.
 */
extern Datum img_file_picture(const char *path, Oid role, bytea **sha256);

/* The path of a file's folder, with "/" at its end. */
extern char *img_file_folder(const char *path);

#endif							/* IMGAPI_FILE_TREE_H */
