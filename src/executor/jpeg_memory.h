/*
 * jpeg_memory.h
 *	  Memory for the coefficients of a JPEG.
 */
#ifndef IMGAPI_EXECUTOR_JPEG_MEMORY_H
#define IMGAPI_EXECUTOR_JPEG_MEMORY_H

/* Behind jpeg_create_…(): coefficients will lie where pixels do. */
extern void img_jpeg_take_memory(j_common_ptr jpeg);

/* Behind jpeg_destroy_…(). */
extern void img_jpeg_free_memory(j_common_ptr jpeg);

#endif							/* IMGAPI_EXECUTOR_JPEG_MEMORY_H */
