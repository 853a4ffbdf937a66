/*
 * compile.c
 *	  From the JSON of a request to a plan.
 *
 * Runs in backends and in the dispatcher.  What is allowed is read from the
 * declarations in src/operations.
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
#include "servers/server_type.h"
#include "utils/memutils.h"

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

/* Whether servers of that type have it. */
static bool
offers(const char *server_type, const char *operation)
{
	const ImgServerType *type = img_server_type(server_type);

	return type->operations != NULL && strstr(type->operations, psprintf(" %s ", operation)) != NULL;
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
	if (compiler->server_type != NULL && !offers(compiler->server_type, operation->key) && !img_asks_nothing(value, true))
		img_refuse_local(&path, compiler->server_type);
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
		if (!img_operations[i]->splits)
			names = lappend(names, (void *) img_operations[i]->key);
	return names;
}

/* An edit has one result. */
static void
refuse_split(const ImgPath *root, const ImgOperation *operation)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s.%s makes several pictures of one, but an edit has one result", root->key, operation->key),
			 errhint("Make it a named operation, SELECT img_operation_put('tiles', '[{\"templateOperationId\": \"%s\", \"option\": {...}}]'), and run that with img_apply() or img_submit_operation().",
					 operation->key)));
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
		if (img_operations[i]->splits)
			refuse_split(&root, img_operations[i]);
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

void
img_compile(Jsonb *operations, Jsonb *output, const char *server_type, ImgCompiled *compiled)
{
	ImgCompiler compiler = {0};
	ImgPlan    *plan = &compiled->plan;
	JsonbValue	value;

	compiler.any_server = server_type != NULL && strcmp(server_type, IMG_ANY_SERVER) == 0;
	compiler.server_type = compiler.any_server ? NULL : server_type;
	img_begin_plan(plan);
	value = whole_value(operations);
	compile_operations(&compiler, &value, plan);
	value = whole_value(output);
	img_compile_output(&compiler, &value, plan);
	img_settle_format(plan);
	compiled->other = compiler.other;
	compiled->destination = compiler.destination;
	compiled->needs = compiler.needs;
}

void
img_begin_plan(ImgPlan *plan)
{
	memset(plan, 0, sizeof(ImgPlan));
	plan->version = IMG_PLAN_VERSION;
	plan->format = IMG_FORMAT_OF_SOURCE;
	img_step_defaults(&plan->metadata, img_metadata_arguments);
}

Jsonb *
img_request_member(Jsonb *request, const char *key)
{
	JsonbValue	found;

	if (!JB_ROOT_IS_OBJECT(request) ||
		getKeyJsonValueFromContainer(&request->root, key, strlen(key), &found) == NULL ||
		found.type == jbvNull)
		return NULL;
	return JsonbValueToJsonb(&found);
}

void
img_compile_request(Jsonb *request, const char *server_type, ImgCompiled *compiled)
{
	Jsonb	   *data = img_request_member(request, "data");

	if (data != NULL)
		img_compile_steps(data, server_type, compiled);
	else
		img_compile(img_request_member(request, "operations"), img_request_member(request, "output"),
					server_type, compiled);
}

/* One remembered request: its texts one after the other, in bytes. */
typedef struct CacheEntry
{
	Size		operations_size;
	Size		output_size;
	Size		type_size;
	ImgCompiled compiled;
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

static char *
kept(const char *text)
{
	return text ? MemoryContextStrdup(cache_context, text) : NULL;
}

static void
free_entry(CacheEntry *entry)
{
	char	   *texts[] = {entry->compiled.other, entry->compiled.destination, entry->compiled.needs};

	for (int i = 0; i < lengthof(texts); i++)
		if (texts[i] != NULL)
			pfree(texts[i]);
	pfree(entry);
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
		free_entry(cache[oldest]);
	cache[oldest] = entry;
	cache_hash[oldest] = hash;
	oldest = (oldest + 1) % CACHE_ENTRIES;
	return entry;
}

const ImgCompiled *
img_compile_cached(Jsonb *operations, Jsonb *output, const char *server_type)
{
	static ImgCompiled uncached;
	const void *o = operations ? (const void *) operations : "";
	const void *u = output ? (const void *) output : "";
	const char *t = server_type ? server_type : "";
	Size		o_size = operations ? VARSIZE(operations) : 0;
	Size		u_size = output ? VARSIZE(output) : 0;
	Size		t_size = server_type ? strlen(server_type) + 1 : 0;
	uint32		hash;
	ImgCompiled compiled;
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
			return &cache[i]->compiled;

	img_compile(operations, output, server_type, &compiled);
	entry = cache_slot(hash, o_size + u_size + t_size);
	entry->operations_size = o_size;
	entry->output_size = u_size;
	entry->type_size = t_size;
	entry->compiled = compiled;
	entry->compiled.other = kept(compiled.other);
	entry->compiled.destination = kept(compiled.destination);
	entry->compiled.needs = kept(compiled.needs);
	memcpy(entry->bytes, o, o_size);
	memcpy(entry->bytes + o_size, u, u_size);
	memcpy(entry->bytes + o_size + u_size, t, t_size);
	return &entry->compiled;
}
