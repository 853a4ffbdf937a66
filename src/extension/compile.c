/*
 * compile.c
 *	  From the JSON of a request to a plan.
 *
 * Runs in backends and in the dispatcher.  What is allowed is read from the
 * declarations in src/operations, src/formats and src/plan/metadata.c; only
 * the three keys of the output object are known here.
 *
 * A request for the database's own executors must not ask for what needs a
 * model.  A request for a foreign server may: such values are checked as far as
 * they are declared, and left out of the plan, since no executor of ours will
 * see them.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "extension/compile.h"
#include "extension/compile_internal.h"
#include "utils/memutils.h"

/* Longest storage URI. */
#define MAX_DESTINATION	4096

#define WHITE			0xffffffff

/* Requests that img_compile_cached() remembers, and the longest of them. */
#define CACHE_ENTRIES	32
#define CACHE_BYTES		8192

/* The whole of a jsonb as a value. */
static JsonbValue
whole_value(Jsonb *json)
{
	JsonbValue	value = {.type = jbvNull};

	if (json == NULL || JsonbExtractScalar(&json->root, &value))
		return value;
	value.type = jbvBinary;
	value.val.binary.data = &json->root;
	value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	return value;
}

/* One group of operations; adds a step when it asks for anything. */
static void
compile_operation(ImgCompiler *compiler, const ImgPath *root, int index,
				  JsonbValue *value, ImgPlan *plan)
{
	const ImgOperation *operation = img_operations[index];
	ImgPath		path = {root, operation->key, strlen(operation->key)};
	ImgStep		step = {.operation = index};
	ImgProblem	problem = {0};

	if (operation->servers != NULL && !img_asks_nothing(value, true))
		img_check_place(compiler, &path, NULL, operation->servers);
	if (img_slots_of(operation) == NULL || value->type == jbvNull)
		return;
	if (operation->value == NULL && !img_is_object(value))
		img_refuse_value(&path, "must be an object", value,
						 psprintf("an object with the keys %s",
								  img_join(img_argument_names(operation->arguments, NIL), false)),
						 NIL, img_path_example(&path, "{}"));

	compiler->step = &step;
	img_step_defaults(&step, img_slots_of(operation));
	if (operation->value != NULL)
		img_compile_value(compiler, &path, operation->value, value);
	else
		img_compile_members(compiler, &path, value->val.binary.data, operation->arguments, NULL);
	if (operation->check != NULL && !operation->check(&step, &problem))
		img_refuse_problem(&path, &problem);
	if (step.given == 0)
		return;
	if (plan->steps >= IMG_MAX_STEPS)
		elog(ERROR, "more operations than a plan can hold");
	plan->step[plan->steps++] = step;
}

static List *
operation_names(void)
{
	List	   *names = NIL;

	for (int i = 0; i < img_operation_count; i++)
		names = lappend(names, (void *) img_operations[i]->key);
	return names;
}

static void
refuse_operation(const ImgPath *root, const JsonbValue *key)
{
	char	   *home = NULL;

	for (int i = 0; i < img_operation_count; i++)
	{
		const ImgOperation *operation = img_operations[i];
		ImgPath		path = {root, operation->key, strlen(operation->key)};
		const ImgArgument *argument = img_find_argument(operation->value ? operation->value->members :
														operation->arguments, key);

		if (argument != NULL && home == NULL)
			home = img_path_example(&(ImgPath) {&path, argument->name, strlen(argument->name)},
									"...");
	}
	img_refuse_key(root, key->val.string.val, key->val.string.len,
				   operation_names(), home);
}

static void
compile_operations(ImgCompiler *compiler, JsonbValue *value, ImgPlan *plan)
{
	ImgPath		root = {NULL, "operations", strlen("operations")};
	JsonbIterator *iterator;
	JsonbValue	key;

	if (value->type == jbvNull)
		return;
	if (!img_is_object(value))
		img_refuse_value(&root, "must be an object", value,
						 psprintf("an object with the keys %s", img_join(operation_names(), false)),
						 NIL, "{}");

	iterator = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		JsonbValue	skipped;
		int			i = 0;

		while (i < img_operation_count && !img_is_word(&key, img_operations[i]->key))
			i++;
		if (i == img_operation_count)
			refuse_operation(&root, &key);
		(void) JsonbIteratorNext(&iterator, &skipped, true);
	}

	for (int i = 0; i < img_operation_count; i++)
	{
		JsonbValue	group;

		if (getKeyJsonValueFromContainer(value->val.binary.data, img_operations[i]->key,
										 strlen(img_operations[i]->key), &group) != NULL)
			compile_operation(compiler, &root, i, &group, plan);
	}
}

/* Where the result goes. */
static void
check_destination(ImgCompiler *compiler, const ImgPath *path, const JsonbValue *value)
{
	if (value->type == jbvNull)
		return;
	if (value->type != jbvString ||
		value->val.string.len < 1 || value->val.string.len > MAX_DESTINATION)
		img_refuse_value(path, "must be a storage URI", value,
						 psprintf("a string of 1 to %d bytes", MAX_DESTINATION), NIL,
						 "\"storage://NAME/path/file\"");
	if (compiler->server_type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output.destination cannot be used yet: results are stored in the database"),
				 errhint("Leave it out and read the result with img_output(job).")));
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

static int
read_format(const ImgPath *path, const JsonbValue *word)
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
		plan->format = read_format(&below, word ? word : &none);
	}
	else
		plan->format = read_format(path, value);

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
static void
compile_output(ImgCompiler *compiler, JsonbValue *value, ImgPlan *plan)
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
static void
settle_format(ImgPlan *plan)
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

void
img_compile(Jsonb *operations, Jsonb *output, const char *server_type, ImgPlan *plan)
{
	ImgCompiler compiler = {.server_type = server_type};
	JsonbValue	value;

	memset(plan, 0, sizeof(ImgPlan));
	plan->version = IMG_PLAN_VERSION;
	plan->format = IMG_FORMAT_OF_SOURCE;
	img_step_defaults(&plan->metadata, img_metadata_arguments);

	value = whole_value(operations);
	compile_operations(&compiler, &value, plan);
	value = whole_value(output);
	compile_output(&compiler, &value, plan);
	settle_format(plan);
}

/* One remembered request: its texts one after the other, in bytes. */
typedef struct CacheEntry
{
	Size		operations_size;
	Size		output_size;
	Size		type_size;
	ImgPlan		plan;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} CacheEntry;

static MemoryContext cache_context;
static CacheEntry *cache[CACHE_ENTRIES];
static uint32 cache_hash[CACHE_ENTRIES];

static uint32
hash_part(uint32 hash, const void *part, Size size)
{
	return size == 0 ? hash :
		hash_combine(hash, hash_bytes((const unsigned char *) part, size));
}

static bool
entry_matches(const CacheEntry *entry, const void *operations, Size operations_size,
			  const void *output, Size output_size, const void *type, Size type_size)
{
	const char *bytes = entry->bytes;

	return entry->operations_size == operations_size &&
		entry->output_size == output_size &&
		entry->type_size == type_size &&
		memcmp(bytes, operations, operations_size) == 0 &&
		memcmp(bytes + operations_size, output, output_size) == 0 &&
		memcmp(bytes + operations_size + output_size, type, type_size) == 0;
}

/* Takes the place of the oldest entry. */
static CacheEntry *
cache_slot(uint32 hash, Size size)
{
	static int	oldest = 0;
	CacheEntry *entry;

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "imgapi compiled requests",
											  ALLOCSET_DEFAULT_SIZES);
	entry = MemoryContextAlloc(cache_context, offsetof(CacheEntry, bytes) + size);
	if (cache[oldest] != NULL)
		pfree(cache[oldest]);
	cache[oldest] = entry;
	cache_hash[oldest] = hash;
	oldest = (oldest + 1) % CACHE_ENTRIES;
	return entry;
}

const ImgPlan *
img_compile_cached(Jsonb *operations, Jsonb *output, const char *server_type)
{
	static ImgPlan uncached;
	const void *o = operations ? (const void *) operations : "";
	const void *u = output ? (const void *) output : "";
	const char *t = server_type ? server_type : "";
	Size		o_size = operations ? VARSIZE(operations) : 0;
	Size		u_size = output ? VARSIZE(output) : 0;
	Size		t_size = server_type ? strlen(server_type) + 1 : 0;
	uint32		hash;
	ImgPlan		plan;
	CacheEntry *entry;

	if (o_size + u_size + t_size > CACHE_BYTES)
	{
		img_compile(operations, output, server_type, &uncached);
		return &uncached;
	}
	hash = hash_part(hash_part(hash_part(0, o, o_size), u, u_size), t, t_size);
	for (int i = 0; i < CACHE_ENTRIES; i++)
		if (cache[i] != NULL && cache_hash[i] == hash &&
			entry_matches(cache[i], o, o_size, u, u_size, t, t_size))
			return &cache[i]->plan;

	img_compile(operations, output, server_type, &plan);
	entry = cache_slot(hash, o_size + u_size + t_size);
	entry->operations_size = o_size;
	entry->output_size = u_size;
	entry->type_size = t_size;
	entry->plan = plan;
	memcpy(entry->bytes, o, o_size);
	memcpy(entry->bytes + o_size, u, u_size);
	memcpy(entry->bytes + o_size + u_size, t, t_size);
	return &entry->plan;
}
