/*
 * registry.c
 *	  The lists of operations and formats, and what can be said of any of them.
 *
 * Compiled into imgapi.so and into imgapi-executor.
 */
#include <math.h>
#include <string.h>

#include "plan/plan.h"
#include "plan/registry.h"

/* The order in which the steps of an edit run; those that split are no part of
 * one. */
const ImgOperation *const img_operations[] = {
	&img_operation_restorations,
	&img_operation_generative,
	&img_operation_topaz,
	&img_operation_privacy,
	&img_operation_rotate,
	&img_operation_flip,
	&img_operation_crop,
	&img_operation_trim,
	&img_operation_resizing,
	&img_operation_adjustments,
	&img_operation_blur,
	&img_operation_gray,
	&img_operation_round,
	&img_operation_circle,
	&img_operation_padding,
	&img_operation_background,
	&img_operation_watermark,
	&img_operation_slice,
	&img_operation_grid,
};
const int	img_operation_count = sizeof(img_operations) / sizeof(img_operations[0]);

const ImgFormat *const img_formats[] = {
	&img_format_jpeg,
	&img_format_png,
	&img_format_webp,
	&img_format_gif,
	&img_format_tiff,
	&img_format_avif,
	&img_format_heic,
};
const int	img_format_count = sizeof(img_formats) / sizeof(img_formats[0]);

int
img_operation_index(const char *key)
{
	for (int i = 0; i < img_operation_count; i++)
		if (strcmp(img_operations[i]->key, key) == 0)
			return i;
	return -1;
}

const ImgChoice img_gravities[] = {
	{"northwest"}, {"north"}, {"northeast"},
	{"west"}, {"center"}, {"east"},
	{"southwest"}, {"south"}, {"southeast"},
	{NULL}
};

/* One axis; place 0: at the beginning, 1: in the middle, 2: at the end. */
static int
gravity_start(int place, int length, int box, int offset)
{
	if (place == 0)
		return offset;
	return place == 1 ? (length - box) / 2 + offset : length - box - offset;
}

ImgBox
img_gravity_box(int gravity, int width, int height, int box_width, int box_height, int x, int y)
{
	return (ImgBox) {
		gravity_start(gravity % 3, width, box_width, x),
		gravity_start(gravity / 3, height, box_height, y),
		box_width, box_height
	};
}

int
img_format_index(const char *name)
{
	for (int i = 0; i < img_format_count; i++)
		if (strcmp(img_formats[i]->name, name) == 0)
			return i;
	return -1;
}

int
img_format_sniff(const unsigned char *data, size_t length)
{
	for (int i = 0; i < img_format_count; i++)
		if (img_formats[i]->sniff(data, length))
			return i;
	return -1;
}

void
img_step_defaults(ImgStep *step, const ImgArgument *arguments)
{
	if (arguments == NULL)
		return;
	for (const ImgArgument *a = arguments; a->name != NULL; a++)
	{
		if (a->type == IMG_ANY)
			continue;
		/* a member may share the slot; its default is not that of the slot */
		img_step_defaults(step, a->members);
		step->value[a->slot] = a->initial;
		if (a->type == IMG_LENGTH)
			step->value[a->slot + 1] = IMG_AUTO;
		for (const ImgChoice *c = a->choices; c != NULL && c->name != NULL; c++)
			img_step_defaults(step, c->members);
	}
}

/* Percentages of the source, where nothing else is declared. */
#define MAX_PERCENT		1000

double
img_max_percent(const ImgArgument *argument)
{
	if (argument->percent_only)
		return argument->max;
	return argument->max_percent > 0 ? argument->max_percent : MAX_PERCENT;
}

double
img_min_percent(const ImgArgument *argument)
{
	return argument->percent_only || argument->min < 1 ? argument->min : 1;
}

static int
choice_count(const ImgArgument *argument)
{
	int			n = 0;

	while (argument->choices[n].name != NULL)
		n++;
	return n;
}

static bool
whole_between(double value, double min, double max)
{
	return isfinite(value) && value == floor(value) && value >= min && value <= max;
}

static bool
length_valid(const ImgArgument *a, double value, double unit)
{
	if (unit == IMG_AUTO)
		return value == 0;
	if (unit == IMG_PIXELS)
		return !a->percent_only && whole_between(value, a->min, a->max);
	return unit == IMG_PERCENT && whole_between(value, img_min_percent(a), img_max_percent(a));
}

static bool
argument_valid(const ImgStep *step, const ImgArgument *a)
{
	double		value = step->value[a->slot];

	switch (a->type)
	{
		case IMG_BOOL:
			return value == 0 || value == 1;
		case IMG_INTEGER:
			return whole_between(value, a->min, a->max) || value == a->initial;
		case IMG_REAL:
			return (isfinite(value) && value >= a->min && value <= a->max) || value == a->initial;
		case IMG_COLOR:
			return whole_between(value, 0, UINT32_MAX);
		case IMG_LENGTH:
			return length_valid(a, value, step->value[a->slot + 1]);
		case IMG_SIDES:
			for (int i = 0; i < 4; i++)
				if (!length_valid(a, step->value[a->slot + i], step->value[a->slot + 4]))
					return false;
			return true;
		case IMG_CHOICE:
			return whole_between(value, 0, choice_count(a) - 1) || value == a->initial;
		case IMG_FORMAT:
			return whole_between(value, -1, img_format_count - 1);
		case IMG_PICTURE:
			return value == 0 || value == 1;
		case IMG_ANY:
			return true;
	}
	return false;
}

bool
img_step_valid(const ImgStep *step, const ImgArgument *arguments)
{
	if (arguments == NULL)
		return true;
	for (const ImgArgument *a = arguments; a->name != NULL; a++)
	{
		if (!argument_valid(step, a) || !img_step_valid(step, a->members))
			return false;
		for (const ImgChoice *c = a->choices; c != NULL && c->name != NULL; c++)
			if (!img_step_valid(step, c->members))
				return false;
	}
	return true;
}
