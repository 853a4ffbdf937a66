/*
 * compile_error.c
 *	  How the request compiler says no.
 *
 * Runs in backends.  Only reached when a request is refused, so nothing here
 * needs to be fast; but it shows text that users gave, so all of it is cut to
 * a length that fits a log line.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "extension/compile_internal.h"
#include "extension/spelling.h"
#include "extension/route.h"
#include "servers/server_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* Bytes of a user's text that an error shows. */
#define SHOWN_BYTES		60

/* Containers above this are described, not printed. */
#define SHOWN_CONTAINER	400

/* Appends at most SHOWN_BYTES of a text, as a JSON string when quoted. */
static void
append_clipped(StringInfo out, const char *text, int length, bool quoted)
{
	int			shown = pg_mbcliplen(text, length, SHOWN_BYTES);
	char	   *copy = pnstrdup(text, shown);

	if (quoted)
		escape_json(out, copy);
	else
		appendStringInfoString(out, copy);
	if (shown < length)
		appendStringInfoString(out, "...");
	pfree(copy);
}

/* The value as JSON, cut short. */
static char *
value_text(const JsonbValue *value)
{
	StringInfoData out;
	char	   *text;

	initStringInfo(&out);
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		case jbvString:
			append_clipped(&out, value->val.string.val, value->val.string.len, true);
			return out.data;
		case jbvNumeric:
			text = DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
			break;
		default:
			if (value->type != jbvBinary || value->val.binary.len > SHOWN_CONTAINER)
				return value->type == jbvBinary &&
					JsonContainerIsArray(value->val.binary.data) ?
					"an array" : "an object";
			text = JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	}
	append_clipped(&out, text, strlen(text), false);
	return out.data;
}

static bool
plain_key(const ImgPath *path)
{
	for (int i = 0; i < path->length; i++)
		if (!isalnum((unsigned char) path->key[i]) && path->key[i] != '_')
			return false;
	return path->length > 0;
}

static void
append_path(StringInfo out, const ImgPath *path)
{
	if (path->up != NULL)
		append_path(out, path->up);
	if (path->up == NULL || plain_key(path))
	{
		if (path->up != NULL)
			appendStringInfoChar(out, '.');
		append_clipped(out, path->key, path->length, false);
		return;
	}
	appendStringInfoChar(out, '[');
	append_clipped(out, path->key, path->length, true);
	appendStringInfoChar(out, ']');
}

char *
img_path_text(const ImgPath *path)
{
	StringInfoData out;

	initStringInfo(&out);
	append_path(&out, path);
	return out.data;
}

char *
img_path_example(const ImgPath *path, const char *value)
{
	char	   *text = pstrdup(value);

	for (; path->up != NULL; path = path->up)
	{
		if (path->up->type != NULL)
			text = psprintf("{\"type\": \"%s\", \"%.*s\": %s}", path->up->type,
							path->length, path->key, text);
		else
			text = psprintf("{\"%.*s\": %s}", path->length, path->key, text);
	}
	return text;
}

List *
img_argument_names(const ImgArgument *arguments, List *names)
{
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
		names = lappend(names, (void *) a->name);
	return names;
}

List *
img_choice_names(const ImgChoice *choices)
{
	List	   *names = NIL;

	for (const ImgChoice *c = choices; c->name != NULL; c++)
		names = lappend(names, (void *) c->name);
	return names;
}

char *
img_join(List *names, bool quoted)
{
	StringInfoData out;
	ListCell   *cell;

	initStringInfo(&out);
	foreach(cell, names)
	{
		appendStringInfoString(&out, out.len > 0 ? ", " : "");
		appendStringInfo(&out, quoted ? "\"%s\"" : "%s", (char *) lfirst(cell));
	}
	return out.data;
}

/* Result codes of the operation contract (NHN), for what is wrong. */
enum
{
	BAD_PARAMETER = 5000, OUT_OF_RANGE = 5002, NOT_DEFINED = 5003, NOT_GIVEN = 5004,
	BAD_STEP = 40004
};

/* Behind the detail of an error in the steps of an operation. */
static char *
contract_code(const ImgPath *path, int code)
{
	while (path->up != NULL)
		path = path->up;
	return strncmp(path->key, "data", 4) == 0 ? psprintf(" NHN code: %d.", code) : "";
}

/*
 * Text of the user's ends in these messages, so every string goes through "%s"
 * and none is a format.
 */
void
img_refuse_key(const ImgPath *object, const char *key, int length,
			   List *allowed, char *home)
{
	ImgPath		path = {object, key, length};
	const char *meant = img_nearest(key, length, allowed);

	if (meant != NULL)
		home = psprintf("Did you mean \"%s\"?", meant);
	else if (home != NULL)
		home = psprintf("Write %s.", home);
	else
		home = "SELECT jsonb_pretty(img_operations_contract()) shows all keys.";
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is not a known key", img_path_text(&path)),
			 errdetail("Allowed keys: %s.%s", img_join(allowed, false), contract_code(object, BAD_STEP)),
			 errhint("%s", home)));
}

void
img_refuse_value(const ImgPath *path, const char *problem,
				 const JsonbValue *value, const char *allowed,
				 List *words, char *example)
{
	const char *meant = NULL;
	char	   *hint;

	if (value->type == jbvString)
		meant = img_nearest(value->val.string.val, value->val.string.len, words);
	if (meant != NULL)
		hint = psprintf("Did you mean \"%s\"?", meant);
	else
		hint = psprintf("Write for example %s.", example);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s", img_path_text(path), problem),
			 errdetail("Given: %s. Allowed: %s.%s", value_text(value), allowed,
					   contract_code(path, strcmp(problem, "must be given") == 0 ? NOT_GIVEN : words != NIL ? NOT_DEFINED :
									 strcmp(problem, "is out of range") == 0 ? OUT_OF_RANGE : BAD_PARAMETER)),
			 errhint("%s", hint)));
}

/* What an argument takes, for the detail of an error. */
static char *
allowed_text(const ImgArgument *a)
{
	char	   *text = "";

	switch (a->type)
	{
		case IMG_BOOL:
			text = "true or false";
			break;
		case IMG_INTEGER:
		case IMG_REAL:
			text = psprintf("%.10g to %.10g", a->min, a->max);
			break;
		case IMG_COLOR:
			text = "\"#rgb\", \"#rgba\", \"#rrggbb\", \"#rrggbbaa\" or \"transparent\"";
			break;
		case IMG_LENGTH:
			text = a->percent_only ?
				psprintf("\"%.10g%%\" to \"%.10g%%\"", a->min, a->max) :
				psprintf(a->no_auto ? "%.10g to %.10g, \"%.10g%%\" to \"%.10g%%\"" :
						 "%.10g to %.10g, \"NN%%\" or \"auto\"",
						 a->min, a->max, img_min_percent(a), img_max_percent(a));
			break;
		case IMG_SIDES:
			text = psprintf("\"NNpx\" (%.10g to %.10g) or \"NN%%\" (%.10g to %.10g): for all sides, horizontal and vertical, or top, right, bottom and left",
							a->min, a->max, img_min_percent(a), img_max_percent(a));
			break;
		case IMG_CHOICE:
			text = img_join(img_choice_names(a->choices), true);
			for (const ImgChoice *c = a->choices; c->name != NULL; c++)
				if (c->members != NULL)
					return psprintf("%s or an object such as {\"type\": \"%s\", \"%s\": ...}",
									text, c->name, c->members->name);
			break;
		case IMG_FORMAT:
			text = "a format, such as \"jpg\"";
			break;
		case IMG_PICTURE:
			text = "\"/folder/picture.png\", \"storage://NAME/path\", or the id of a job";
			break;
		case IMG_ANY:
			break;
	}
	if (a->members != NULL)
		text = psprintf("%s, or an object with the keys %s", text,
						img_join(img_argument_names(a->members, NIL), false));
	return text;
}

/* The allowed number that comes nearest to what was given. */
static char *
example_number(const ImgArgument *a, const JsonbValue *value)
{
	double		number = a->initial;

	if (value->type == jbvNumeric)
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
													NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvString && value->val.string.len < SHOWN_BYTES)
	{
		char	   *text = pnstrdup(value->val.string.val, value->val.string.len);
		char	   *end;
		double		given = strtod(text, &end);

		if (end != text && !isnan(given))
			number = given;
	}
	if (a->type != IMG_REAL && isfinite(number))
		number = rint(number);
	return psprintf("%.10g", Max(a->min, Min(a->max, number)));
}

static char *
example_value(const ImgArgument *a, const JsonbValue *value)
{
	unsigned char last = value->type == jbvString && value->val.string.len > 0 ?
		value->val.string.val[value->val.string.len - 1] : 0;

	switch (a->type)
	{
		case IMG_BOOL:
			return a->initial ? "false" : "true";
		case IMG_INTEGER:
		case IMG_REAL:
			return example_number(a, value);
		case IMG_COLOR:
			return "\"#ffffff\"";
		case IMG_LENGTH:
			if (a->percent_only || last == '%')
				return psprintf("\"%.10g%%\"", Min(50, img_max_percent(a)));
			if (value->type == jbvNumeric || isdigit(last))
				return example_number(a, value);
			return a->no_auto ? "20" : "800";
		case IMG_SIDES:
			return "\"10%\"";
		case IMG_CHOICE:
			return psprintf("\"%s\"", a->choices->name);
		case IMG_FORMAT:
			return "\"jpg\"";
		case IMG_PICTURE:
			return "\"/folder/picture.png\"";
		case IMG_ANY:
			break;
	}
	return "null";
}

void
img_refuse_argument(const ImgPath *path, const ImgArgument *argument,
					const char *problem, const JsonbValue *value)
{
	List	   *words = NIL;

	if (argument->type == IMG_CHOICE)
		words = img_choice_names(argument->choices);
	img_refuse_value(path, problem, value, allowed_text(argument), words,
					 img_path_example(path, example_value(argument, value)));
}

void
img_refuse_local(const ImgPath *path, const char *server_type)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not offered by servers of type %s", img_path_text(path), server_type),
			 errhint("The database's own executors have it: SELECT img_submit(...), without server.")));
}

/* Of a list of server types the first that takes jobs, or NULL. */
static const ImgServerType *
server_type_for(const char *servers)
{
	for (const char *s = servers; *s != '\0'; s += strcspn(s, ", "))
	{
		const ImgServerType *type;

		s += strspn(s, ", ");
		type = img_server_type(pnstrdup(s, strcspn(s, ", ")));
		if (type != NULL && type->operations != NULL)
			return type;
	}
	return NULL;
}

/* "background.remove" of operations.background.remove and what is below; NULL:
 * it is not an operation. */
static char *
operation_of(const ImgPath *path)
{
	const ImgPath *below = NULL;

	for (; path->up != NULL && path->up->up != NULL; path = path->up)
		below = path;
	if (path->up == NULL || strcmp(path->up->key, "operations") != 0)
		return NULL;
	return below == NULL ? pnstrdup(path->key, path->length) :
		psprintf("%.*s.%.*s", (int) path->length, path->key, (int) below->length, below->key);
}

/* Where it could be done, for hints. */
static char *
elsewhere(const ImgPath *path, const char *servers)
{
	const ImgServerType *type = server_type_for(servers);
	char	   *operation = operation_of(path);
	bool		named = contract_code(path, BAD_STEP)[0] != '\0';

	if (type == NULL)
		return psprintf("%s. This version of imgapi reaches none yet: leave it out.", servers);
	return psprintf("%s. CREATE SERVER %s TYPE '%s' FOREIGN DATA WRAPPER imgapi OPTIONS (%s); SELECT %s(..., server => '%s');%s",
					servers, type->name, type->name, type->example, named ? "img_submit_operation" : "img_submit", type->name, operation == NULL ? "" :
					psprintf(" or for all jobs SET imgapi.default_servers = '%s = %s';", operation, type->name));
}

void
img_refuse_place(const ImgPath *path, const char *word, const char *servers,
				 const char *server_type)
{
	char	   *what = img_path_text(path);

	if (word != NULL)
		what = psprintf("%s \"%s\"", what, word);
	if (server_type != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s is not offered by servers of type %s", what, server_type),
				 errhint("Send it to a server that has it (server types: %s): SELECT img_submit(..., server => 'NAME').",
						 servers)));
	/* operations are done by models, output by writers of files */
	if (operation_of(path) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s needs a model, which the database's own executors do not have", what),
				 img_default_server(img_path_text(path)) != NULL ?
				 errhint("Submit a job: imgapi.default_servers sends it to server \"%s\".", img_default_server(img_path_text(path))) :
				 errhint("Servers of these types have one: %s", elsewhere(path, servers))));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not offered by the database's own executors", what),
			 errhint("Servers of these types have it: %s", elsewhere(path, servers))));
}

void
img_refuse_missing(const ImgPath *object, const ImgArgument *argument)
{
	JsonbValue	none = {.type = jbvNull};
	ImgPath		path = {object, argument->name, strlen(argument->name)};

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be given", img_path_text(&path)),
			 errdetail("Allowed: %s.%s", allowed_text(argument), contract_code(object, NOT_GIVEN)),
			 errhint("Write for example %s.", img_path_example(&path, example_value(argument, &none)))));
}

void
img_refuse_problem(const ImgPath *path, const ImgProblem *problem)
{
	ImgPath		at = {path, problem->argument};

	at.length = problem->argument ? strlen(problem->argument) : 0;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s: %s", img_path_text(at.length > 0 ? &at : path), problem->message),
			 contract_code(path, BAD_STEP)[0] != '\0' ? errdetail("NHN code: %d.", BAD_STEP) : 0,
			 problem->hint[0] != '\0' ? errhint("%s", problem->hint) : 0));
}
