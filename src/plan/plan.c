/*
 * plan.c
 *	  Reading a plan that came over a socket.
 *
 * Compiled into imgapi.so and into imgapi-executor; fuzzed by
 * test/fuzz/fuzz_plan.c.
 */
#include <string.h>

#include "plan/plan.h"

/* One other picture and one split at most; memory is provided for no more. */
static bool
plan_adds_up(const ImgPlan *plan)
{
	int			splits = 0;

	for (int i = 0; i < plan->steps; i++)
		splits += img_operations[plan->step[i].operation]->splits;
	return splits <= 1;
}

bool
img_plan_valid(const void *bytes, size_t length, ImgPlan *plan)
{
	const size_t head = offsetof(ImgPlan, step);

	if (length < head || length > sizeof(ImgPlan))
		return false;
	memcpy(plan, bytes, head);
	if (plan->version != IMG_PLAN_VERSION || plan->steps > IMG_MAX_STEPS ||
		length != img_plan_size(plan) ||
		(plan->flags & ~IMG_PLAN_ALL_FLAGS) != 0 || plan->quality > 100)
		return false;
	memcpy(plan->step, (const char *) bytes + head, length - head);

	if (plan->format != IMG_FORMAT_OF_SOURCE)
	{
		if (plan->format >= img_format_count ||
			plan->output.operation != plan->format ||
			!img_step_valid(&plan->output, img_formats[plan->format]->options))
			return false;
	}
	if (!img_step_valid(&plan->metadata, img_metadata_arguments))
		return false;
	for (int i = 0; i < plan->steps; i++)
	{
		const ImgStep *step = &plan->step[i];

		if (step->operation >= img_operation_count ||
			!img_step_valid(step, img_slots_of(img_operations[step->operation])))
			return false;
	}
	return plan_adds_up(plan);
}
