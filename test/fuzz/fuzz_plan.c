/*
 * fuzz_plan.c
 *	  libFuzzer: any bytes at all given to img_plan_valid().
 *
 * The corpus in the tree (the last argument) holds plans as they lie in memory.
 * After a change of IMG_PLAN_VERSION none of them would pass, and what lies
 * behind that check would hardly be reached: so each of them has to be valid.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "plan/plan.h"

int			LLVMFuzzerInitialize(int *argc, char ***argv);
int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void
check_seed(const char *directory, const char *name)
{
	char		path[1024];
	char		bytes[sizeof(ImgPlan) + 1];
	ImgPlan		plan;
	FILE	   *file;
	size_t		length;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	length = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
	if (file == NULL || !img_plan_valid(bytes, length, &plan))
	{
		fprintf(stderr, "%s is no plan of version %d\n", path, IMG_PLAN_VERSION);
		exit(1);
	}
	fclose(file);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *directory = (*argv)[*argc - 1];
	DIR		   *corpus = opendir(directory);
	struct dirent *entry;

	while (corpus != NULL && (entry = readdir(corpus)) != NULL)
		if (entry->d_name[0] != '.')
			check_seed(directory, entry->d_name);
	if (corpus != NULL)
		closedir(corpus);
	return 0;
}

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
