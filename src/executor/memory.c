/*
 * memory.c
 *	  Memory for pixels, and how much of it stays.
 *
 * Runs in imgapi-executor.  An edit of a photograph needs several times as much
 * memory as it has pixels, for a moment each.  Linux hands memory out in pages
 * of 4 kB, and an eighth of the time of an edit went into that.  So large blocks
 * come in huge pages, and what is released is kept for the next one that needs
 * as much: in the same request, in the next, but no longer.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "executor/memory.h"

#define ALIGNMENT	64
#define HUGE_PAGE	((size_t) 2 * 1024 * 1024)
#define KEPT_BLOCKS	4

/* Smaller blocks, and those of libraries, lie in the heap of malloc(), of which
 * as much is kept. */
#define LARGE		(4 * HUGE_PAGE)
#define HEAP_MEGABYTES	32

typedef struct Kept
{
	void	   *block;			/* NULL: this place is free */
	size_t		size;
	bool		old;			/* was there before this request */
} Kept;

static Kept kept[KEPT_BLOCKS];

#ifdef __SANITIZE_ADDRESS__
/* It shall see who uses what has been released. */
static const size_t most = 0;
#else
static const size_t most = (size_t) (IMG_KEPT_MEGABYTES - HEAP_MEGABYTES) * 1024 * 1024;
#endif

static void
release(Kept *k)
{
	free(k->block);
	*k = (Kept) {NULL};
}

static void
release_kept(void)
{
	for (int i = 0; i < KEPT_BLOCKS; i++)
		release(&kept[i]);
}

void
img_release_memory(void)
{
	release_kept();
	malloc_trim(0);
}

void
img_tune_memory(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, HEAP_MEGABYTES * 1024 * 1024);
}

void
img_age_memory(void)
{
	for (int i = 0; i < KEPT_BLOCKS; i++)
	{
		if (kept[i].old)
			release(&kept[i]);
		kept[i].old = kept[i].block != NULL;
	}
}

/* The smallest block that is kept and serves, or NULL. */
static void *
take_kept(size_t size)
{
	Kept	   *best = NULL;
	void	   *block;

	for (int i = 0; i < KEPT_BLOCKS; i++)
		if (kept[i].size >= size && kept[i].size / 2 <= size && (best == NULL || kept[i].size < best->size))
			best = &kept[i];
	if (best == NULL)
		return NULL;
	block = best->block;
	*best = (Kept) {NULL};
	return block;
}

static void *
allocate_large(size_t size)
{
	void	   *memory = take_kept(size);

	if (memory != NULL)
		return memory;
	/* this picture needs other blocks than the last one */
	release_kept();
	if (size > SIZE_MAX - HUGE_PAGE)
		return NULL;
	size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	if (posix_memalign(&memory, HUGE_PAGE, size) != 0)
		return NULL;
	/* a hint: nothing depends on it */
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

void *
img_allocate_pixels(size_t size)
{
	void	   *memory;

	if (size >= LARGE)
		return allocate_large(size);
	return posix_memalign(&memory, ALIGNMENT, size) == 0 ? memory : NULL;
}

void
img_free_pixels(void *pixels)
{
	size_t		size = malloc_usable_size(pixels);
	size_t		total = size;
	Kept	   *place = NULL;

	for (int i = 0; i < KEPT_BLOCKS; i++)
	{
		total += kept[i].size;
		if (kept[i].block == NULL)
			place = &kept[i];
	}
	if (size < LARGE || place == NULL || total > most)
		free(pixels);
	else
		*place = (Kept) {pixels, size, false};
}
