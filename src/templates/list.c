/*
 * list.c
 *	  The list of templates, and what they are put together with.
 *
 * Compiled into imgapi.so only.
 */
#include <string.h>

#include "plan/template.h"

const ImgTemplate *const img_templates[] = {
	&img_template_resize_fixed,
	&img_template_resize_min_fit,
	&img_template_resize_max_fit,
	&img_template_resize_width_fit,
	&img_template_resize_height_fit,
	&img_template_gray,
	&img_template_rectangle,
	&img_template_slice,
	&img_template_grid,
	&img_template_circle,
	&img_template_watermark,
};
const int	img_template_count = sizeof(img_templates) / sizeof(img_templates[0]);

const ImgChoice img_template_gravities[] = {
	{"NorthWest"}, {"North"}, {"NorthEast"},
	{"West"}, {"Center"}, {"East"},
	{"SouthWest"}, {"South"}, {"SouthEast"},
	{NULL}
};

ImgStep *
img_plan_add(ImgPlan *plan, const char *operation)
{
	ImgStep    *step = &plan->step[plan->steps++];

	memset(step, 0, sizeof(*step));
	step->operation = img_operation_index(operation);
	img_step_defaults(step, img_slots_of(img_operations[step->operation]));
	return step;
}

void
img_step_set(ImgStep *step, const char *argument, double value)
{
	const ImgArgument *a = img_slots_of(img_operations[step->operation]);

	while (strcmp(a->name, argument) != 0)
		a++;
	step->value[a->slot] = value;
	if (a->type == IMG_LENGTH)
		step->value[a->slot + 1] = IMG_PIXELS;
	step->given |= IMG_GIVEN(a->slot);
}
