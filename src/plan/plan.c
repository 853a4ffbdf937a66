/*
 * plan.c
 *	  Reading a plan that came over a socket.
 *
 * Compiled into imgapi.so and into imgapi-executor; fuzzed by
 * test/fuzz/fuzz_plan.c.
 */
#include <string.h>

#include "plan/plan.h"

bool
img_plan_valid(const void *bytes, size_t length, ImgPlan *plan)
{
	const size_t head = offsetof(ImgPlan, step);

	if (length < head || length > sizeof(ImgPlan))
		return false;
	memcpy(plan, bytes, head);
	if (plan->version != IMG_PLAN_VERSION || plan->steps > IMG_MAX_STEPS ||
		length != img_plan_size(plan))
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
			(i > 0 && step->operation <= plan->step[i - 1].operation) ||
			!img_step_valid(step, img_slots_of(img_operations[step->operation])))
			return false;
	}
	return true;
}
