/*
 * failure.c
 *	  Why a picture could not be done, in words for its owner.
 *
 * Runs in imgapi-executor.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "executor/pipeline.h"

bool
img_fail_picture(ImgPicture *picture, ImgOutcome outcome, ImgStage stage,
				 const char *format,...)
{
	va_list		args;

	if (picture->outcome != IMG_DONE)
		return false;
	picture->outcome = outcome;
	picture->stage = stage;
	va_start(args, format);
	vsnprintf(picture->text, sizeof(picture->text), format, args);
	va_end(args);
	return false;
}

bool
img_fail_memory(ImgPicture *picture, size_t bytes)
{
	return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_OPERATION,
							"the picture needs more memory than imgapi.executor_memory allows (%zu bytes at once)", bytes);
}

/*
 * The line of libvips' error text that says most.  It collects a line for each
 * level; the first is the deepest, but for a codec that says nothing else than
 * that it stops.
 */
static void
useful_line(char *line, size_t size)
{
	const char *text = vips_error_buffer();
	size_t		length;

	while (*text == '\n' || *text == ' ')
		text++;
	length = strcspn(text, "\n");
	if (length >= size)
		length = size - 1;
	memcpy(line, text, length);
	line[length] = '\0';
}

bool
img_fail_vips(ImgPicture *picture, ImgStage stage)
{
	const char *text = vips_error_buffer();
	char		line[300];

	useful_line(line, sizeof(line));
	if (strstr(text, "out of memory") != NULL || strstr(text, "unable to allocate") != NULL)
		img_fail_picture(picture, IMG_LIMIT, stage,
						 "the picture needs more memory than imgapi.executor_memory allows (%s)", line);
	else if (stage == IMG_STAGE_HEADER || stage == IMG_STAGE_DECODE)
		img_fail_picture(picture, IMG_BAD_PICTURE, stage,
						 "the picture cannot be read as %s: %s",
						 picture->source_format ? picture->source_format->name : "any format",
						 line[0] ? line : "the file is damaged");
	else
		img_fail_picture(picture, IMG_FAILURE, stage, "%s", line[0] ? line : "libvips failed without a word");
	vips_error_clear();
	return false;
}
