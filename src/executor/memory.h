/*
 * memory.h
 *	  Memory for pixels.
 */
#ifndef IMGAPI_EXECUTOR_MEMORY_H
#define IMGAPI_EXECUTOR_MEMORY_H

#include <stddef.h>

/* How much may be kept, besides what a picture needs. */
#define IMG_KEPT_MEGABYTES	160

/* First of all. */
extern void img_tune_memory(void);

/* Memory with anything in it, aligned for any instruction, or NULL. */
extern void *img_allocate_pixels(size_t size);
extern void img_free_pixels(void *pixels);

/* After each request: what this one had no use for goes. */
extern void img_age_memory(void);

/* When there is nothing to do: all that is kept goes. */
extern void img_release_memory(void);

#endif							/* IMGAPI_EXECUTOR_MEMORY_H */
