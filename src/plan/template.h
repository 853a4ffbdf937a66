/*
 * template.h
 *	  The steps that operations are made of: the operation contract (NHN).
 *
 * One template, or one family of them, is one file in src/templates: its name,
 * its options with types, ranges and defaults, and how it becomes steps of a
 * plan.  Executors know nothing of templates: they run the same steps as for
 * edits.  Only imgapi.so has them.
 */
#ifndef IMGAPI_TEMPLATE_H
#define IMGAPI_TEMPLATE_H

#include "plan/plan.h"

/* Groups run one after the other; within a group the given order holds. */
typedef enum ImgGroup
{
	IMG_GROUP_BASIC,			/* resize, gray, rectangle */
	IMG_GROUP_SPLIT,			/* slice, grid */
	IMG_GROUP_COMPOSITE			/* circle, watermark */
} ImgGroup;

/* What the templates of an operation say together, beside their steps. */
typedef struct ImgExpansion
{
	ImgPlan    *plan;
	bool		as_displayed;	/* some step needs to know which way is up */
} ImgExpansion;

typedef struct ImgTemplate
{
	const char *name;			/* templateOperationId */
	const char *other_name;		/* as newer or older documents spell it, or NULL */
	const char *job_type;		/* jobType of answers */
	const char *help;
	ImgGroup	group;
	const ImgArgument *options;
	int			slots;
	/* Adds the steps; false: the options contradict each other. */
	bool		(*expand) (const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem);
} ImgTemplate;

extern const ImgTemplate *const img_templates[];
extern const int img_template_count;

extern const ImgTemplate img_template_resize_fixed;
extern const ImgTemplate img_template_resize_min_fit;
extern const ImgTemplate img_template_resize_max_fit;
extern const ImgTemplate img_template_resize_width_fit;
extern const ImgTemplate img_template_resize_height_fit;
extern const ImgTemplate img_template_gray;
extern const ImgTemplate img_template_rectangle;
extern const ImgTemplate img_template_circle;
extern const ImgTemplate img_template_slice;
extern const ImgTemplate img_template_grid;
extern const ImgTemplate img_template_watermark;

/* Appends a step of that operation, all its arguments at their defaults. */
extern ImgStep *img_plan_add(ImgPlan *plan, const char *operation);

/* Sets an argument of it: key, a position among choices or a number. */
extern void img_step_set(ImgStep *step, const char *argument, double value);

/* keepAnimation of a template. */
static inline void
img_expand_animation(const ImgExpansion *expansion, double keep)
{
	if (keep == 0)
		expansion->plan->flags |= IMG_PLAN_FIRST_FRAME;
}

/* The nine places, as the contract spells them: same order as img_gravities. */
extern const ImgChoice img_template_gravities[];

#endif							/* IMGAPI_TEMPLATE_H */
