/*
 * unchanged.c
 *	  Pictures of which a plan wants nothing that they are not already.
 *
 * Runs in imgapi-executor.  The result of such a plan is the file as it came, if
 * that holds nothing that results leave out.  It is decoded all the same:
 * damaged files are refused, whatever is asked.  JPEG never is its own result,
 * so that its size keeps to the quality that results have.
 */
#include <stdlib.h>
#include <string.h>

#include "executor/decoder.h"

/* Whether the plan leaves pixels, format and metadata alone. */
static bool
wants_nothing(const ImgPlan *plan)
{
	for (int i = 0; i < plan->steps; i++)
		if (img_operations[plan->step[i].operation]->run != NULL || img_operations[plan->step[i].operation]->splits)
			return false;
	return plan->format == IMG_FORMAT_OF_SOURCE && plan->quality == 0 &&
		plan->metadata.value[IMG_METADATA_DPI] == 0 && plan->metadata.value[IMG_METADATA_COLOR_SPACE] == 0;
}

bool
img_stays_unchanged(const ImgPicture *picture)
{
	const ImgDecoder *decoder = picture->decoder;
	uint32_t	side = picture->request->limits.output_side;

	return decoder != NULL && decoder->bare && wants_nothing(&picture->plan) &&
		picture->source.width <= side && picture->source.height <= side;
}

static bool
decode(ImgPicture *picture)
{
	ImgDecoder *decoder = picture->decoder;
	size_t		line = (size_t) decoder->width * decoder->bands;
	unsigned char *pixels = malloc(line);
	bool		done = true;

	if (pixels == NULL)
		return img_fail_memory(picture, line);
	for (int y = 0; done && y < decoder->height; y++)
		done = !img_stopped(picture) && decoder->row(decoder, pixels);
	free(pixels);
	return done && decoder->end(decoder);
}

bool
img_keep_unchanged(ImgPicture *picture, void **data, size_t *length)
{
	if (!decode(picture))
		return false;
	*data = malloc(picture->length);
	if (*data == NULL)
		return img_fail_memory(picture, picture->length);
	memcpy(*data, picture->data, picture->length);
	*length = picture->length;
	picture->result = picture->source;
	return true;
}
