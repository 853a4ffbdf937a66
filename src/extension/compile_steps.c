/*
 * compile_steps.c
 *	  From the steps of an operation to a plan.
 *
 * Runs in backends and in the dispatcher.  An operation is an array of
 * {"templateOperationId": …, "option": {…}}; the templates are declared in
 * src/templates.  They run in groups: basic, split, composite; within a group
 * in the given order.  No template may occur twice.
 *
 * EXIF goes along unless a resize says otherwise.  Pixels stay as they are
 * stored, with the orientation that EXIF gives them, as long as no step has to
 * know which way is up.
 */
#include "postgres.h"

#include "extension/compile.h"
#include "extension/compile_internal.h"
#include "plan/template.h"

/* More steps than there are templates would repeat one. */
#define MAX_STEPS	16

/* One step, read but not expanded. */
typedef struct Given
{
	const ImgTemplate *template;
	ImgPath		path;
	ImgStep		options;
} Given;

static char example[] =
"[{\"templateOperationId\": \"resize_max_fit\", \"option\": {\"width\": 100, \"height\": 100}}]";

static List *
template_names(void)
{
	List	   *names = NIL;

	for (int i = 0; i < img_template_count; i++)
	{
		names = lappend(names, (void *) img_templates[i]->name);
		if (img_templates[i]->other_name != NULL)
			names = lappend(names, (void *) img_templates[i]->other_name);
	}
	return names;
}

static const ImgTemplate *
find_template(const ImgPath *path, const JsonbValue *name)
{
	for (int i = 0; i < img_template_count; i++)
		if (img_is_word(name, img_templates[i]->name) ||
			(img_templates[i]->other_name != NULL && img_is_word(name, img_templates[i]->other_name)))
			return img_templates[i];
	img_refuse_value(path, name->type == jbvNull ? "must be given" : "is not a known template", name,
					 img_join(template_names(), true), template_names(), example);
}

/* The members of a step. */
static void
read_step(ImgCompiler *compiler, Given *given, JsonbValue *value)
{
	ImgPath    *root = &given->path;
	ImgPath		id = {root, "templateOperationId", strlen("templateOperationId")};
	ImgPath		option = {root, "option", strlen("option")};
	JsonbValue	name = {.type = jbvNull};
	JsonbValue	options = {.type = jbvNull};
	JsonbIterator *iterator;
	JsonbValue	key,
				member;

	if (!img_is_object(value))
		img_refuse_value(root, "must be an object", value,
						 "an object with the keys templateOperationId, option", NIL, example);
	iterator = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &member, true);
		if (img_is_word(&key, "templateOperationId"))
			name = member;
		else if (img_is_word(&key, "option"))
			options = member;
		/* answers have it: what was read may be put again */
		else if (!img_is_word(&key, "jobType"))
			img_refuse_key(root, key.val.string.val, key.val.string.len,
						   list_make2("templateOperationId", "option"), NULL);
	}
	given->template = find_template(&id, &name);
	img_step_defaults(&given->options, given->template->options);
	compiler->step = &given->options;
	if (options.type == jbvNull)
		img_check_required(compiler, &option, given->template->options);
	else if (img_is_object(&options))
		img_compile_members(compiler, &option, options.val.binary.data, given->template->options, NULL);
	else
		img_refuse_value(&option, "must be an object", &options,
						 psprintf("an object with the keys %s", img_join(img_argument_names(given->template->options, NIL), false)),
						 NIL, "{}");
}

static void
refuse_repetition(const Given *given)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s.templateOperationId: \"%s\" occurs twice", given->path.key, given->template->name),
			 errdetail("No step may occur twice in an operation. NHN code: 5006."),
			 errhint("Make a second operation of it.")));
}

static int
read_steps(ImgCompiler *compiler, JsonbContainer *array, Given *given)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbValue	value;
	int			count = 0;

	(void) JsonbIteratorNext(&iterator, &value, true);
	while (JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM)
	{
		char	   *key = psprintf("data[%d]", count);

		if (count == MAX_STEPS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("data: an operation has at most %d steps", MAX_STEPS),
					 errdetail("NHN code: 5001.")));
		given[count].path = (ImgPath) {NULL, key, strlen(key)};
		read_step(compiler, &given[count], &value);
		for (int i = 0; i < count; i++)
			if (given[i].template == given[count].template)
				refuse_repetition(&given[count]);
		count++;
	}
	return count;
}

/* A split and a split of its pieces would be more than a plan can do. */
static void
check_splits(const Given *given, int count)
{
	const Given *first = NULL;

	for (int i = 0; i < count; i++)
	{
		if (given[i].template->group != IMG_GROUP_SPLIT)
			continue;
		if (first != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s: \"%s\" cannot follow \"%s\": a picture is taken apart once",
							given[i].path.key, given[i].template->name, first->template->name),
					 errdetail("NHN code: 5007."),
					 errhint("Make two operations of it, and run the second on the results of the first.")));
		first = &given[i];
	}
}

void
img_compile_steps(Jsonb *data, const char *server_type, ImgCompiled *compiled)
{
	ImgPath		root = {NULL, "data", strlen("data")};
	ImgCompiler compiler = {.server_type = server_type};
	Given		given[MAX_STEPS] = {0};
	ImgExpansion expansion = {&compiled->plan};
	int			count;

	if (!JB_ROOT_IS_ARRAY(data) || JB_ROOT_IS_SCALAR(data) || JB_ROOT_COUNT(data) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of steps", img_path_text(&root)),
				 errdetail("NHN code: 40003."),
				 errhint("Write for example %s.", example)));
	count = read_steps(&compiler, &data->root, given);
	check_splits(given, count);

	img_begin_plan(&compiled->plan);
	compiled->plan.flags = IMG_PLAN_KEEP_EXIF;
	for (int group = IMG_GROUP_BASIC; group <= IMG_GROUP_COMPOSITE; group++)
		for (int i = 0; i < count; i++)
		{
			ImgPath		option = {&given[i].path, "option", strlen("option")};
			ImgProblem	problem = {0};

			if (given[i].template->group == group &&
				!given[i].template->expand(&given[i].options, &expansion, &problem))
				img_refuse_problem(&option, &problem);
		}
	if (!expansion.as_displayed)
		compiled->plan.flags |= IMG_PLAN_AS_STORED;
	img_settle_format(&compiled->plan);
	compiled->other = compiler.other;
	compiled->destination = NULL;
	compiled->needs = NULL;
}
