/*
 * fuzz_sniff.c
 *	  libFuzzer: any bytes at all as a picture: sniffing, the header, and the
 *	  pixels of small ones, made smaller.
 */
#include <stdlib.h>
#include <string.h>

#include "executor/library.h"
#include "executor/pipeline.h"

#define MAX_PIXELS	100000
#define SIDE		16

int			LLVMFuzzerInitialize(int *argc, char ***argv);
int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return img_library_start(false) ? 0 : 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	ImgRequest	request = {.limits = {MAX_PIXELS, 10, 1000, 2000, UINT32_MAX}};
	ImgPicture	picture = {.request = &request, .client = -1, .orientation = 1, .data = data, .length = length};

	picture.deadline = g_get_monotonic_time() + 2 * G_USEC_PER_SEC;
	picture.plan.version = IMG_PLAN_VERSION;
	picture.output_format = img_formats[img_format_index("webp")];
	if (img_open(&picture) && img_load(&picture) && img_scale(&picture, SIDE, SIDE, NULL) &&
		img_settle(&picture) && (img_width(&picture) != SIDE || img_height(&picture) != SIDE))
		abort();
	/* a refusal has a reason, in words */
	if (picture.outcome != IMG_DONE && picture.text[0] == '\0')
		abort();
	img_free_frames(&picture);
	vips_error_clear();
	return 0;
}
