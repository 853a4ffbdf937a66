/*
 * contract.c
 *	  img_operations_contract(): what requests may say, for programs to read.
 *
 * Runs in backends.  Made from the same declarations that compile.c checks
 * requests by, so that it cannot say anything else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "plan/template.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(img_operations_contract);

typedef JsonbParseState *State;

static void push_arguments(State *state, const char *key,
						   const ImgArgument *arguments, const char *servers);

static void
push_string(State *state, JsonbIteratorToken token, const char *text, int length)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = length;
	pushJsonbValue(state, token, &value);
}

static void
push_key(State *state, const char *key)
{
	push_string(state, WJB_KEY, key, strlen(key));
}

static void
begin_object(State *state, const char *key)
{
	push_key(state, key);
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
}

static JsonbValue *
end_object(State *state)
{
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* Nothing when there is no text. */
static void
push_text(State *state, const char *key, const char *text)
{
	if (text == NULL)
		return;
	push_key(state, key);
	push_string(state, WJB_VALUE, text, strlen(text));
}

static void
push_bool(State *state, const char *key, bool given)
{
	JsonbValue	value = {.type = jbvBool};

	value.val.boolean = given;
	push_key(state, key);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_number(State *state, const char *key, double given)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric,
															Float8GetDatum(given)));
	push_key(state, key);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_null(State *state, const char *key)
{
	JsonbValue	value = {.type = jbvNull};

	push_key(state, key);
	pushJsonbValue(state, WJB_VALUE, &value);
}

/* The words of a declaration's list, separated by commas or spaces. */
static void
push_words(State *state, const char *key, const char *words)
{
	push_key(state, key);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (words += strspn(words, ", "); *words != '\0'; words += strspn(words, ", "))
	{
		int			length = strcspn(words, ", ");

		push_string(state, WJB_ELEM, words, length);
		words += length;
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* "local", or the types of the servers that can do it. */
static void
push_where(State *state, const char *servers)
{
	if (servers == NULL)
		push_text(state, "where", "local");
	else
		push_words(state, "where", servers);
}

/*
 * Where a group of declarations runs: NULL if any of it runs here, else the
 * longest of its lists of servers, which holds the others.
 */
static const char *
common_servers(const char *found, const char *servers, bool first)
{
	if (!first && found == NULL)
		return NULL;
	if (servers == NULL)
		return NULL;
	return first || strlen(servers) > strlen(found) ? servers : found;
}

static const char *
argument_servers(const ImgArgument *a)
{
	const char *found = NULL;

	if (a->servers != NULL || a->choices == NULL)
		return a->servers;
	for (const ImgChoice *c = a->choices; c->name != NULL; c++)
		found = common_servers(found, c->servers, c == a->choices);
	return found;
}

static const char *
operation_servers(const ImgOperation *operation)
{
	const char *found = NULL;

	if (operation->value != NULL)
		return argument_servers(operation->value);
	if (operation->arguments == NULL)
		return NULL;
	for (const ImgArgument *a = operation->arguments; a->name != NULL; a++)
		found = common_servers(found, argument_servers(a), a == operation->arguments);
	return found;
}

static void
push_choices(State *state, const ImgArgument *a, const char *servers)
{
	begin_object(state, "choices");
	for (const ImgChoice *c = a->choices; c->name != NULL; c++)
	{
		const char *where = c->servers ? c->servers : servers;

		begin_object(state, c->name);
		push_where(state, where);
		if (c->members != NULL)
			push_arguments(state, "members", c->members, where);
		end_object(state);
	}
	end_object(state);
}

/* The value that is taken when the key is left out. */
static void
push_default(State *state, const ImgArgument *a)
{
	uint32		color = (uint32) a->initial;

	switch (a->type)
	{
		case IMG_BOOL:
			push_bool(state, "default", a->initial != 0);
			break;
		case IMG_INTEGER:
		case IMG_REAL:
			/* a default that could not be written is none */
			if (a->initial >= a->min && a->initial <= a->max)
				push_number(state, "default", a->initial);
			else
				push_null(state, "default");
			break;
		case IMG_COLOR:
			push_text(state, "default", (color & 0xff) == 0xff ?
					  psprintf("#%06x", color >> 8) : psprintf("#%08x", color));
			break;
		case IMG_LENGTH:
			if (a->no_auto)
				push_number(state, "default", a->initial);
			else
				push_text(state, "default", "auto");
			break;
		case IMG_CHOICE:
			if (a->initial >= 0)
				push_text(state, "default", a->choices[(int) a->initial].name);
			else
				push_null(state, "default");
			break;
		case IMG_SIDES:
		case IMG_FORMAT:
		case IMG_PICTURE:
		case IMG_ANY:
			push_null(state, "default");
			break;
	}
}

static void
push_argument(State *state, const char *key, const ImgArgument *a, const char *servers)
{
	static const char *const type_names[] = {
		[IMG_BOOL] = "boolean", [IMG_INTEGER] = "integer", [IMG_REAL] = "number",
		[IMG_COLOR] = "color", [IMG_LENGTH] = "length", [IMG_CHOICE] = "choice",
		[IMG_SIDES] = "sides", [IMG_FORMAT] = "format", [IMG_PICTURE] = "picture", [IMG_ANY] = "any"
	};

	if (a->servers != NULL)
		servers = a->servers;
	begin_object(state, key);
	push_text(state, "type", type_names[a->type]);
	push_text(state, "help", a->help);
	push_where(state, servers ? servers : argument_servers(a));
	push_default(state, a);
	if (a->required)
		push_bool(state, "required", true);
	if (a->type == IMG_INTEGER || a->type == IMG_REAL || a->type == IMG_LENGTH || a->type == IMG_SIDES)
	{
		push_number(state, "min", a->min);
		push_number(state, "max", a->max);
	}
	if (a->type == IMG_LENGTH || a->type == IMG_SIDES)
	{
		push_words(state, "units", a->percent_only ? "%" : "px %");
		push_number(state, "max_percent", img_max_percent(a));
	}
	if (a->choices != NULL)
		push_choices(state, a, servers);
	if (a->members != NULL)
		push_arguments(state, "members", a->members, servers);
	end_object(state);
}

static void
push_arguments(State *state, const char *key, const ImgArgument *arguments,
			   const char *servers)
{
	begin_object(state, key);
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
		push_argument(state, a->name, a, servers);
	end_object(state);
}

static void
push_operation(State *state, const ImgOperation *operation, int order)
{
	begin_object(state, operation->key);
	push_text(state, "key", operation->key);
	push_text(state, "help", operation->help);
	push_number(state, "order", order);
	push_where(state, operation_servers(operation));
	if (operation->arguments != NULL)
		push_arguments(state, "arguments", operation->arguments, NULL);
	if (operation->value != NULL)
		push_argument(state, "value", operation->value, NULL);
	end_object(state);
}

static void
push_template(State *state, const ImgTemplate *template, int order)
{
	static const char *const groups[] = {
		[IMG_GROUP_BASIC] = "basic", [IMG_GROUP_SPLIT] = "split", [IMG_GROUP_COMPOSITE] = "composite"
	};

	begin_object(state, template->name);
	push_text(state, "name", template->name);
	push_text(state, "other_name", template->other_name);
	push_text(state, "job_type", template->job_type);
	push_text(state, "help", template->help);
	push_number(state, "order", order);
	push_text(state, "group", groups[template->group]);
	push_arguments(state, "options", template->options, NULL);
	end_object(state);
}

static void
push_format(State *state, const ImgFormat *format)
{
	begin_object(state, format->name);
	push_text(state, "name", format->name);
	push_text(state, "mime", format->mime);
	push_words(state, "extensions", format->extensions);
	push_bool(state, "animated", format->can_animate);
	push_bool(state, "alpha", format->has_alpha);
	push_bool(state, "can_save", format->can_save);
	push_arguments(state, "options", format->options, NULL);
	end_object(state);
}

Datum
img_operations_contract(PG_FUNCTION_ARGS)
{
	State		state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	begin_object(&state, "operations");
	for (int i = 0; i < img_operation_count; i++)
		if (!img_operations[i]->splits)
			push_operation(&state, img_operations[i], i + 1);
	end_object(&state);

	begin_object(&state, "templates");
	for (int i = 0; i < img_template_count; i++)
		push_template(&state, img_templates[i], i + 1);
	end_object(&state);

	begin_object(&state, "output");
	begin_object(&state, "format");
	for (int i = 0; i < img_format_count; i++)
		push_format(&state, img_formats[i]);
	end_object(&state);
	push_arguments(&state, "metadata", img_metadata_arguments, NULL);
	end_object(&state);

	PG_RETURN_JSONB_P(JsonbValueToJsonb(end_object(&state)));
}
