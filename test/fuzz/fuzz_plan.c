/*
 * fuzz_plan.c
 *	  libFuzzer: any bytes at all given to img_plan_valid().
 */
#include <stdlib.h>

#include "plan/plan.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* A plan that passes has only values that its declarations allow. */
static void
check(const ImgPlan *plan)
{
	if (plan->steps > IMG_MAX_STEPS)
		abort();
	for (int i = 0; i < plan->steps; i++)
		if (plan->step[i].operation >= img_operation_count)
			abort();
	if (plan->format != IMG_FORMAT_OF_SOURCE && plan->format >= img_format_count)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	ImgPlan		plan;

	if (img_plan_valid(data, length, &plan))
		check(&plan);
	return 0;
}
