/*
 * compile_output.c
 *	  The output of a request: format, metadata, destination.
 *
 * Runs in backends and in the dispatcher.  What is allowed is read from the
 * declarations in src/formats and src/plan/metadata.c.
 */
#include "postgres.h"

#include "extension/compile_internal.h"
#include "extension/server.h"

/* Longest storage URI. */
#define MAX_DESTINATION	4096

#define WHITE			0xffffffff

/* Where the result goes. */
static void
check_destination(ImgCompiler *compiler, const ImgPath *path, const JsonbValue *value)
{
	ImgStorageUri uri;

	if (value->type == jbvNull)
		return;
	if (value->type != jbvString ||
		value->val.string.len < 1 || value->val.string.len > MAX_DESTINATION)
		img_refuse_value(path, "must be a storage URI", value,
						 psprintf("a string of 1 to %d bytes", MAX_DESTINATION), NIL,
						 "\"storage://NAME/path/file\"");
	compiler->destination = pnstrdup(value->val.string.val, value->val.string.len);
	img_storage_uri_parse(compiler->destination, true, &uri);
}

/* The format of that name or file extension, in any case, or -1. */
static int
find_format(const JsonbValue *word)
{
	const char *text = word->val.string.val;
	int			length = word->val.string.len;

	for (int i = 0; i < img_format_count; i++)
	{
		const char *e = img_formats[i]->extensions;

		if (strlen(img_formats[i]->name) == length &&
			pg_strncasecmp(img_formats[i]->name, text, length) == 0)
			return i;
		for (; *e != '\0'; e += strcspn(e, " "))
		{
			e += strspn(e, " ");
			if (strcspn(e, " ") == length && pg_strncasecmp(e, text, length) == 0)
				return i;
		}
	}
	return -1;
}

int
img_read_format(const ImgPath *path, const JsonbValue *word)
{
	List	   *names = NIL;
	int			format = -1;

	if (word->type == jbvString)
		format = find_format(word);
	if (format >= 0 && img_formats[format]->can_save)
		return format;

	for (int i = 0; i < img_format_count; i++)
		if (img_formats[i]->can_save)
			names = lappend(names, (void *) img_formats[i]->name);
	if (format < 0)
		img_refuse_value(path, word->type == jbvString ? "is not a known format" :
						 word->type == jbvNull ? "must be given" : "must be the name of a format",
						 word, img_join(names, true), names,
						 img_path_example(path, psprintf("\"%s\"", (char *) linitial(names))));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s: %s can be read but not written", img_path_text(path),
					img_formats[format]->name),
			 errdetail("Formats that can be written: %s.", img_join(names, false)),
			 errhint("Leave output.format out, or write %s.",
					 img_path_example(path, psprintf("\"%s\"", (char *) linitial(names))))));
}

/* A name, or an object whose "type" is the name. */
static void
compile_format(ImgCompiler *compiler, ImgPath *path, JsonbValue *value, ImgPlan *plan)
{
	ImgPath		below = {path, "type", strlen("type")};
	JsonbValue	none = {.type = jbvNull};
	JsonbValue	type;
	JsonbValue *word;
	ImgProblem	problem = {0};
	const ImgFormat *format;

	if (value->type == jbvNull)
		return;
	if (img_is_object(value))
	{
		word = getKeyJsonValueFromContainer(value->val.binary.data, "type",
											strlen("type"), &type);
		plan->format = img_read_format(&below, word ? word : &none);
	}
	else
		plan->format = img_read_format(path, value);

	format = img_formats[plan->format];
	path->type = format->name;
	plan->output.operation = plan->format;
	compiler->step = &plan->output;
	img_step_defaults(&plan->output, format->options);
	if (img_is_object(value))
		img_compile_members(compiler, path, value->val.binary.data, format->options, NULL);
	if (format->check != NULL && !format->check(&plan->output, &problem))
		img_refuse_problem(path, &problem);
}

static void
compile_metadata(ImgCompiler *compiler, const ImgPath *path, JsonbValue *value,
				 ImgPlan *plan)
{
	if (value->type == jbvNull)
		return;
	if (!img_is_object(value))
		img_refuse_value(path, "must be an object", value,
						 psprintf("an object with the keys %s",
								  img_join(img_argument_names(img_metadata_arguments, NIL), false)),
						 NIL, img_path_example(path, "{\"dpi\": 300}"));
	compiler->step = &plan->metadata;
	img_compile_members(compiler, path, value->val.binary.data, img_metadata_arguments, NULL);
}

/* An example with a key of metadata, or of a format, where it would be right. */
static char *
home_of_output_key(const ImgPath *root, const JsonbValue *key)
{
	ImgPath		path = {root, "metadata", strlen("metadata")};
	const ImgArgument *argument = img_find_argument(img_metadata_arguments, key);

	for (int i = 0; argument == NULL && i < img_format_count; i++)
	{
		path = (ImgPath) {root, "format", strlen("format"), img_formats[i]->name};
		argument = img_find_argument(img_formats[i]->options, key);
	}
	if (argument == NULL)
		return NULL;
	return img_path_example(&(ImgPath) {&path, argument->name, strlen(argument->name)}, "...");
}

/* A destination, or an object. */
void
img_compile_output(ImgCompiler *compiler, JsonbValue *value, ImgPlan *plan)
{
	ImgPath		root = {NULL, "output", strlen("output")};
	JsonbIterator *iterator;
	JsonbValue	key,
				member;

	if (value->type == jbvNull)
		return;
	if (value->type == jbvString)
	{
		check_destination(compiler, &root, value);
		return;
	}
	if (!img_is_object(value))
		img_refuse_value(&root, "must be an object", value,
						 "an object with the keys format, destination, metadata, or a destination",
						 NIL, psprintf("{\"format\": \"%s\"}", img_formats[0]->name));

	iterator = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		ImgPath		path = {&root, key.val.string.val, key.val.string.len};

		(void) JsonbIteratorNext(&iterator, &member, true);
		if (img_is_word(&key, "format"))
			compile_format(compiler, &path, &member, plan);
		else if (img_is_word(&key, "metadata"))
			compile_metadata(compiler, &path, &member, plan);
		else if (img_is_word(&key, "destination"))
			check_destination(compiler, &path, &member);
		else
			img_refuse_key(&root, path.key, path.length,
						   list_make3("format", "destination", "metadata"),
						   home_of_output_key(&root, &key));
	}
}

/*
 * What a format that was asked for cannot hold; with the format of the source
 * only the executor can tell.  Formats do not declare CMYK, so the media types
 * that have it are named here.
 */
void
img_settle_format(ImgPlan *plan)
{
	const ImgFormat *format;

	if (plan->format == IMG_FORMAT_OF_SOURCE)
		return;
	format = img_formats[plan->format];
	if (plan->metadata.value[IMG_METADATA_COLOR_SPACE] != 0 &&
		strcmp(format->mime, "image/jpeg") != 0 && strcmp(format->mime, "image/tiff") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("output.metadata.color_space: %s cannot hold CMYK", format->name),
				 errhint("Write {\"format\": \"jpeg\", \"metadata\": {\"color_space\": \"CMYK\"}}, or \"tiff\".")));
	if (format->has_alpha)
		return;
	for (int i = 0; i < plan->steps; i++)
	{
		ImgStep    *step = &plan->step[i];
		const ImgArgument *a = img_slots_of(img_operations[step->operation]);

		for (; a->name != NULL; a++)
			if (a->type == IMG_COLOR && ((uint32) step->value[a->slot] & 0xff) == 0)
				step->value[a->slot] = WHITE;
	}
}
