/*
 * server_option.c
 *	  Options of servers and user mappings: what they may be, and what they are.
 *
 * Values of user mappings are secrets: what is said of them never shows them.
 * Runs in every process that uses servers.
 */
#include "postgres.h"

#include "extension/server.h"
#include "extension/spelling.h"
#include "extension/url.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define LETTERS		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS		"0123456789"

/* Characters of a header's name. */
#define TOKEN		LETTERS DIGITS "!#$%&'*+-.^_`|~"

#define MAX_TEXT	4096

static bool
printable(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			return false;
	return *text != '\0' && strlen(text) <= MAX_TEXT;
}

/* Made only of these characters, and starting with a letter or digit. */
static bool
word(const char *text, const char *characters, size_t min, size_t max)
{
	size_t		length = strlen(text);

	return length >= min && length <= max && strspn(text, characters) == length &&
		strchr(LETTERS DIGITS, text[0]) != NULL;
}

/* The number of an integer, time or size. */
static bool
number_in_range(const ImgServerOption *option, const char *text, int *number)
{
	int			unit = option->type == IMG_OPTION_MILLISECONDS ? GUC_UNIT_MS :
		option->type == IMG_OPTION_BYTES ? GUC_UNIT_KB : 0;

	return parse_int(text, number, unit, NULL) && *number >= option->min && *number <= option->max;
}

/* What the client makes itself must not be said twice. */
static bool
reserved_header(const char *name, size_t length)
{
	static const char *const reserved[] = {
		"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "expect", "trailer", NULL
	};

	for (int i = 0; reserved[i] != NULL; i++)
		if (strlen(reserved[i]) == length && pg_strncasecmp(reserved[i], name, length) == 0)
			return true;
	return false;
}

/* One "Name: value"; its length without the line's end in *length. */
static bool
header_line(const char *line, size_t *length)
{
	size_t		name = strspn(line, TOKEN);
	const char *value = line + name + 1;

	*length = strcspn(line, "\n");
	if (name == 0 || line[name] != ':' || reserved_header(line, name))
		return false;
	value += strspn(value, " ");
	if (value >= line + *length)
		return false;
	for (const char *p = value; p < line + *length; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			return false;
	return true;
}

static bool
headers(const char *text)
{
	size_t		length;

	if (*text == '\0' || strlen(text) > MAX_TEXT)
		return false;
	for (; *text != '\0'; text += length + (text[length] == '\n'))
		if (!header_line(text, &length))
			return false;
	return true;
}

static bool
folder(const char *text)
{
	return printable(text) && text[0] != '/' && text[strlen(text) - 1] == '/' &&
		strlen(text) <= 512 && img_path_is_plain(text);
}

static bool
acceptable(const ImgServerOption *option, const char *text, int *number)
{
	ImgUrl		url;
	bool		truth;

	switch (option->type)
	{
		case IMG_OPTION_TEXT:
			return printable(text);
		case IMG_OPTION_BOOL:
			if (!parse_bool(text, &truth))
				return false;
			*number = truth;
			return true;
		case IMG_OPTION_INTEGER:
		case IMG_OPTION_MILLISECONDS:
		case IMG_OPTION_BYTES:
			return number_in_range(option, text, number);
		case IMG_OPTION_ORIGIN:
			return strlen(text) <= MAX_TEXT && img_url_parse(text, &url) && url.path[0] == '\0';
		case IMG_OPTION_URL:
			return strlen(text) <= MAX_TEXT && img_url_parse(text, &url);
		case IMG_OPTION_BUCKET:
			return word(text, LETTERS DIGITS ".-_", 3, 255);
		case IMG_OPTION_WORD:
			return word(text, LETTERS DIGITS ".-_", 1, 255);
		case IMG_OPTION_PREFIX:
			return folder(text);
		case IMG_OPTION_HEADERS:
			return headers(text);
	}
	return false;
}

const char *
img_option_parse(const ImgServerOption *option, const char *text, ImgOptionValue *value)
{
	value->text = text;
	value->number = 0;
	if (text == NULL || acceptable(option, text, &value->number))
		return NULL;
	return img_option_allowed(option);
}

char *
img_option_allowed(const ImgServerOption *option)
{
	switch (option->type)
	{
		case IMG_OPTION_TEXT:
			return psprintf("1 to %d printable characters", MAX_TEXT);
		case IMG_OPTION_BOOL:
			return "true or false";
		case IMG_OPTION_INTEGER:
			return psprintf("%d to %d", option->min, option->max);
		case IMG_OPTION_MILLISECONDS:
			return psprintf("%dms to %ds", option->min, option->max / 1000);
		case IMG_OPTION_BYTES:
			return psprintf("%dMB to %dMB", option->min / 1024, option->max / 1024);
		case IMG_OPTION_ORIGIN:
			return "http://HOST or https://HOST, with :PORT if need be, and no path";
		case IMG_OPTION_URL:
			return "http://HOST or https://HOST, with :PORT and /PATH if need be; no user, query or fragment";
		case IMG_OPTION_BUCKET:
			return "3 to 255 letters, digits, \".\", \"-\" and \"_\", a letter or digit first";
		case IMG_OPTION_WORD:
			return "1 to 255 letters, digits, \".\", \"-\" and \"_\", a letter or digit first";
		case IMG_OPTION_PREFIX:
			return "a folder such as \"pictures/\", with \"/\" at its end and not at its beginning";
		case IMG_OPTION_HEADERS:
			return "lines \"Name: value\"; none of Host, Content-Length, Transfer-Encoding, Connection, TE, Upgrade, Expect and Trailer";
	}
	return "";
}

/* ------------------------------------------------------------ unknown names */

static List *
add_names(List *names, const ImgServerType *type, bool of_mapping)
{
	for (const ImgServerOption *o = type->options; o->name != NULL; o++)
	{
		ListCell   *cell;
		bool		known = false;

		foreach(cell, names)
			known = known || strcmp(lfirst(cell), o->name) == 0;
		if (o->of_mapping == of_mapping && !known)
			names = lappend(names, (void *) o->name);
	}
	return names;
}

/* Those of one type, or of all. */
static List *
option_names(const ImgServerType *type, bool of_mapping)
{
	List	   *names = NIL;

	for (int i = 0; i < img_server_type_count; i++)
		if (type == NULL || type == img_server_types[i])
			names = add_names(names, img_server_types[i], of_mapping);
	return names;
}

static bool
contains(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

static char *
join(List *names)
{
	StringInfoData out;
	ListCell   *cell;

	initStringInfo(&out);
	foreach(cell, names)
		appendStringInfo(&out, "%s%s", out.len > 0 ? ", " : "", (char *) lfirst(cell));
	return out.data;
}

/* What to write instead. */
static char *
option_hint(const ImgServerType *type, bool of_mapping, const char *name, List *allowed, const char *server)
{
	const char *meant = img_nearest(name, strlen(name), allowed);

	server = server ? quote_identifier(server) : "NAME";
	if (meant != NULL)
		return psprintf("Did you mean \"%s\"?", meant);
	if (!of_mapping && contains(option_names(type, true), name))
		return psprintf("Everybody can read a server's options. CREATE USER MAPPING FOR CURRENT_USER SERVER %s OPTIONS (%s '...');",
						server, name);
	if (of_mapping && contains(option_names(type, false), name))
		return psprintf("ALTER SERVER %s OPTIONS (ADD %s '...');", server, name);
	return psprintf("SELECT * FROM img_server_options()%s;", type ? psprintf(" WHERE type = '%s'", type->name) : "");
}

void
img_refuse_option(const ImgServerType *type, bool of_mapping, const char *name, const char *server)
{
	List	   *allowed = option_names(type, of_mapping);
	const char *whose = of_mapping ? "user mappings for servers" : "servers";

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 type ? errmsg("\"%s\" is not an option of %s of type %s", name, whose, type->name) :
			 errmsg("\"%s\" is not an option of %s of foreign-data wrapper imgapi", name, whose),
			 allowed == NIL ? errdetail("There are none.") : errdetail("Options: %s.", join(allowed)),
			 errhint("%s", option_hint(type, of_mapping, name, allowed, server))));
}
