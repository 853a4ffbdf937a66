/*
 * route.c
 *	  Which server does a job for which nobody named one: imgapi.default_servers.
 *
 *	background.remove = claid, restorations = topaz, restorations.polish = claid
 *
 * A key is a key of operations, or the path of one below it; the longest wins.
 * Only what no executor of ours can do is looked up, so a job that can be done
 * here is done here.  Any role may set it, for the right to use a server is
 * asked for as if it had been named in the call.
 *
 * Runs in client backends; the setting is checked in every process.
 */
#include "postgres.h"

#include <ctype.h>

#include "extension/compile.h"
#include "extension/remote_job.h"
#include "extension/route.h"
#include "extension/server.h"
#include "extension/settings.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define EXAMPLE		"SET imgapi.default_servers = 'background.remove = claid, restorations.upscale = topaz';"

/* One pair of the setting: parts of its text, which do not end in '\0'. */
typedef struct Pair
{
	const char *key;
	int			key_length;
	const char *server;
	int			server_length;
} Pair;

/* ------------------------------------------------------------- reading it --- */

static void
trim(const char **text, int *length)
{
	while (*length > 0 && isspace((unsigned char) **text))
		(*text)++, (*length)--;
	while (*length > 0 && isspace((unsigned char) (*text)[*length - 1]))
		(*length)--;
}

/* Takes the next pair from the text; false: there is none.  A key without a
 * server has server_length 0. */
static bool
next_pair(const char **text, Pair *pair)
{
	int			length = strcspn(*text, ",");
	const char *equals;

	if (**text == '\0')
		return false;
	pair->key = *text;
	equals = memchr(*text, '=', length);
	pair->key_length = equals ? equals - *text : length;
	pair->server = equals ? equals + 1 : *text + length;
	pair->server_length = *text + length - pair->server;
	trim(&pair->key, &pair->key_length);
	trim(&pair->server, &pair->server_length);
	*text += length;
	if (**text == ',')
		(*text)++;
	return true;
}

static bool
same(const char *name, const char *text, int length)
{
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

/* The members of an argument, its choices' included, that have that name. */
static const ImgArgument *
find_member(const ImgArgument *arguments, const char *name, int length)
{
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
		if (same(a->name, name, length))
			return a;
	return NULL;
}

static const ImgArgument *
find_below(const ImgArgument *argument, const char *name, int length)
{
	const ImgArgument *found = find_member(argument->members, name, length);

	for (const ImgChoice *c = argument->choices; found == NULL && c != NULL && c->name != NULL; c++)
		found = find_member(c->members, name, length);
	return found;
}

/* Whether operations have such a key, or a path of keys. */
static bool
is_key(const char *key, int length)
{
	const ImgArgument *argument = NULL;
	const ImgOperation *operation = NULL;
	const char *end = key + length;

	for (bool first = true; key <= end; first = false)
	{
		const char *dot = memchr(key, '.', end - key);
		int			part = (dot ? dot : end) - key;

		for (int i = 0; first && i < img_operation_count; i++)
			if (!img_operations[i]->splits && same(img_operations[i]->key, key, part))
				operation = img_operations[i];
		if (!first)
			argument = argument != NULL ? find_below(argument, key, part) :
				find_member(operation->arguments ? operation->arguments :
							operation->value ? operation->value->members : NULL, key, part);
		if (first ? operation == NULL : argument == NULL)
			return false;
		if (dot == NULL)
			return true;
		key = dot + 1;
	}
	return false;
}

/* ------------------------------------------------------------ checking it --- */

static bool
refuse_key(const Pair *pair)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < img_operation_count; i++)
		if (!img_operations[i]->splits)
			appendStringInfo(&known, "%s%s", known.len ? ", " : "", img_operations[i]->key);
	GUC_check_errdetail("\"%.*s\" is not a key of operations.", pair->key_length, pair->key);
	GUC_check_errhint("Keys: %s; or one of what is below them, as in background.remove.", known.data);
	return false;
}

static bool
occurs_before(const char *text, const Pair *pair)
{
	Pair		earlier;

	while (next_pair(&text, &earlier) && earlier.key != pair->key)
		if (earlier.key_length == pair->key_length && memcmp(earlier.key, pair->key, pair->key_length) == 0)
			return true;
	return false;
}

bool
img_check_default_servers(char **newval, void **extra, GucSource source)
{
	const char *text = *newval;
	Pair		pair;

	while (next_pair(&text, &pair))
	{
		if (pair.key_length == 0 || pair.server_length == 0)
		{
			GUC_check_errdetail("It must be a list of operation keys with a server each.");
			GUC_check_errhint("%s", EXAMPLE);
			return false;
		}
		if (!is_key(pair.key, pair.key_length))
			return refuse_key(&pair);
		if (pair.server_length >= NAMEDATALEN)
		{
			GUC_check_errdetail("The name of the server for \"%.*s\" is longer than %d bytes.",
								pair.key_length, pair.key, NAMEDATALEN - 1);
			return false;
		}
		if (occurs_before(*newval, &pair))
		{
			GUC_check_errdetail("\"%.*s\" occurs twice.", pair.key_length, pair.key);
			return false;
		}
	}
	return true;
}

/* -------------------------------------------------------------- using it --- */

char *
img_default_server(const char *path)
{
	const char *text = imgapi_default_servers;
	Pair		pair;
	Pair		best = {0};

	if (strncmp(path, "operations.", strlen("operations.")) != 0)
		return NULL;
	path += strlen("operations.");
	while (next_pair(&text, &pair))
		if (pair.key_length > best.key_length && strncmp(path, pair.key, pair.key_length) == 0 &&
			(path[pair.key_length] == '.' || path[pair.key_length] == '\0'))
			best = pair;
	return best.key ? pnstrdup(best.server, best.server_length) : NULL;
}

/* What has been found, for errors. */
typedef struct Route
{
	char	   *server;			/* NULL: none yet */
	char	   *path;			/* that it is for */
} Route;

/* Goes through what our executors lack. */
static void
find_route(const char *needs, Route *route)
{
	for (const char *next; *needs != '\0'; needs = next)
	{
		int			length = strcspn(needs, "\n");
		char	   *path = pnstrdup(needs, length);
		char	   *server = img_default_server(path);

		next = needs[length] == '\n' ? needs + length + 1 : needs + length;
		if (server == NULL)
			continue;
		if (route->server != NULL && strcmp(route->server, server) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a job is done by one server, but imgapi.default_servers has server \"%s\" for %s and \"%s\" for %s",
							route->server, route->path, server, path),
					 errhint("Make two jobs of it, the result of one being the input of the other; or name the server: SELECT img_submit(..., server => '%s').",
							 route->server)));
		route->server = server;
		route->path = path;
	}
}

static void
name_route(void *arg)
{
	Route	   *route = arg;

	errcontext("imgapi.default_servers has server \"%s\" for %s", route->server, route->path);
}

char *
img_route(Jsonb *operations, Jsonb *output, Oid role)
{
	const ImgCompiled *compiled;
	Route		route = {0};
	ErrorContextCallback context = {error_context_stack, name_route, &route};
	const char *problem;
	char	   *line;

	if (imgapi_default_servers[0] == '\0')
		return NULL;
	compiled = img_compile_cached(operations, output, IMG_ANY_SERVER);
	if (compiled->needs == NULL)
		return NULL;
	find_route(compiled->needs, &route);
	if (route.server == NULL)
		return NULL;
	error_context_stack = &context;
	problem = img_server_problem(route.server, role, &line);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s needs a model, which the database's own executors do not have", route.path),
				 errdetail("imgapi.default_servers has server \"%s\" for it: %s.", route.server, problem),
				 errhint("%s", line)));
	(void) img_compile_cached(operations, output, img_remote_job_server(route.server, role)->type->name);
	error_context_stack = context.previous;
	return route.server;
}
