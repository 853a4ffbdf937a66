/*
 * compile_argument.c
 *	  The arguments of an operation or format: JSON values to numbers in slots.
 *
 * Runs in backends and in the dispatcher.  A jsonb value can be of any size and
 * depth, but only what is declared is descended into, so a request costs what
 * its known keys cost.
 */
#include "postgres.h"

#include "extension/compile_internal.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* White below the transparency: dropping alpha gives the white background
 * that the contract asks of formats without alpha. */
#define TRANSPARENT		0xffffff00

/* Longest name of another picture. */
#define MAX_REFERENCE	4096

static void compile_argument(ImgCompiler *compiler, const ImgPath *path,
							 const ImgArgument *argument, JsonbValue *value);

bool
img_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

bool
img_is_word(const JsonbValue *value, const char *word)
{
	return value->type == jbvString &&
		value->val.string.len == strlen(word) &&
		memcmp(value->val.string.val, word, value->val.string.len) == 0;
}

/* Whether a value asks for nothing.  A group without a declared type is also
 * empty as {} and 0. */
bool
img_asks_nothing(const JsonbValue *value, bool group)
{
	switch (value->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return !value->val.boolean;
		case jbvNumeric:
			return group &&
				DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												   NumericGetDatum(value->val.numeric))) == 0;
		default:
			return group && img_is_object(value) &&
				JsonContainerSize(value->val.binary.data) == 0;
	}
}

/* Refuses what the chosen place cannot do.  servers as in ImgChoice. */
void
img_check_place(ImgCompiler *compiler, const ImgPath *path, const char *word,
			const char *servers)
{
	const char *type = compiler->server_type;
	int			length;

	if (servers == NULL)
		return;
	if (type != NULL)
	{
		length = strlen(type);
		for (const char *s = servers; *s != '\0'; s += strcspn(s, ", "))
		{
			s += strspn(s, ", ");
			if (strcspn(s, ", ") == length && strncmp(s, type, length) == 0)
				return;
		}
	}
	if (compiler->any_server)
	{
		compiler->needs = compiler->needs == NULL ? img_path_text(path) :
			psprintf("%s\n%s", compiler->needs, img_path_text(path));
		return;
	}
	img_refuse_place(path, word, servers, type);
}

const ImgArgument *
img_find_argument(const ImgArgument *arguments, const JsonbValue *key)
{
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
		if (img_is_word(key, a->name))
			return a;
	return NULL;
}

/* An example with key where it would be right, or NULL.  choices: those of
 * which the object is one, or NULL. */
static char *
home_of_key(const ImgPath *path, const ImgArgument *arguments,
			const ImgChoice *choices, const JsonbValue *key)
{
	for (const ImgChoice *c = choices; c != NULL && c->name != NULL; c++)
	{
		const ImgArgument *m = img_find_argument(c->members, key);

		if (m != NULL)
		{
			ImgPath		here = *path;

			here.type = c->name;
			return img_path_example(&(ImgPath) {&here, m->name, strlen(m->name)}, "...");
		}
	}
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
	{
		ImgPath		below = {path, a->name, strlen(a->name)};
		char	   *found = NULL;

		if (a->members != NULL || a->choices != NULL)
			found = home_of_key(&below, a->members, a->choices, key);
		if (found == NULL && img_find_argument(a->members, key) != NULL)
			found = img_path_example(&(ImgPath) {&below, pnstrdup(key->val.string.val, key->val.string.len),
													 key->val.string.len}, "...");
		if (found != NULL)
			return found;
	}
	return NULL;
}

void
img_check_required(ImgCompiler *compiler, const ImgPath *path, const ImgArgument *arguments)
{
	for (const ImgArgument *a = arguments; a != NULL && a->name != NULL; a++)
		if (a->required && (compiler->step->given & IMG_GIVEN(a->slot)) == 0)
			img_refuse_missing(path, a);
}

/*
 * The members of an object, but for "type" where path->type says that the
 * caller has read it.
 */
void
img_compile_members(ImgCompiler *compiler, const ImgPath *path, JsonbContainer *object,
				const ImgArgument *arguments, const ImgChoice *choices)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue	key,
				value;

	check_stack_depth();
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		const ImgArgument *argument = img_find_argument(arguments, &key);
		ImgPath		at = {path, key.val.string.val, key.val.string.len};

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (argument != NULL)
			compile_argument(compiler, &at, argument, &value);
		else if (path->type == NULL || !img_is_word(&key, "type"))
			img_refuse_key(path, at.key, at.length,
						   img_argument_names(arguments,
											  path->type ? list_make1("type") : NIL),
						   home_of_key(path, arguments, choices, &key));
	}
	img_check_required(compiler, path, arguments);
}

static double
read_bool(const ImgPath *path, const ImgArgument *argument, const JsonbValue *value)
{
	if (value->type != jbvBool)
		img_refuse_argument(path, argument, "must be true or false", value);
	return value->val.boolean;
}

/* A number of any size compares correctly: an integer is checked for a
 * fraction before it becomes a double. */
double
img_read_number(const ImgPath *path, const ImgArgument *argument, const JsonbValue *value)
{
	bool		whole = argument->type != IMG_REAL;
	Datum		given;
	double		number;

	if (value->type != jbvNumeric)
		img_refuse_argument(path, argument,
							whole ? "must be a whole number" : "must be a number", value);
	given = NumericGetDatum(value->val.numeric);
	if (whole &&
		!DatumGetBool(DirectFunctionCall2(numeric_eq, given,
										  DirectFunctionCall2(numeric_trunc, given,
															  Int32GetDatum(0)))))
		img_refuse_argument(path, argument, "must be a whole number", value);
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, given));
	if (!(number >= argument->min && number <= argument->max))
		img_refuse_argument(path, argument, "is out of range", value);
	return number;
}

static double
read_color(const ImgPath *path, const ImgArgument *argument, const JsonbValue *value)
{
	uint32		digits[8] = {0};
	uint32		color = 0;
	int			count = value->type == jbvString ? value->val.string.len - 1 : 0;
	bool		good = count == 3 || count == 4 || count == 6 || count == 8;

	if (img_is_word(value, "transparent"))
		return TRANSPARENT;
	good = good && value->val.string.val[0] == '#';
	for (int i = 0; good && i < count; i++)
	{
		char		c = value->val.string.val[i + 1];

		if (c >= '0' && c <= '9')
			digits[i] = c - '0';
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			digits[i] = (c | 0x20) - 'a' + 10;
		else
			good = false;
	}
	if (!good)
		img_refuse_argument(path, argument, "must be a colour", value);
	for (int i = 0; i < count; i++)
		color = count < 6 ? color << 8 | digits[i] * 0x11 : color << 4 | digits[i];
	if (count == 3 || count == 6)
		color = color << 8 | 0xff;
	return color;
}

/* Whether a text can name a picture; whether there is one is seen later. */
static bool
names_picture(const char *text)
{
	const char *name = text + strlen("storage://");
	const int	uuid_length = 36;

	if (strncmp(text, "storage://", strlen("storage://")) == 0)
		return strchr(name, '/') > name && strchr(name, '/')[1] != '\0';
	return (text[0] == '/' && text[1] != '\0') ||
		(strlen(text) == uuid_length && strspn(text, "0123456789abcdefABCDEF-") == uuid_length);
}

/* Notes which picture has to come along. */
static double
read_picture(ImgCompiler *compiler, const ImgPath *path, const ImgArgument *argument, const JsonbValue *value)
{
	char	   *text = NULL;

	if (value->type == jbvString && value->val.string.len <= MAX_REFERENCE)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	if (text == NULL || !names_picture(text))
		img_refuse_argument(path, argument, "must name a picture", value);
	compiler->other = text;
	return 1;
}

/* A word, or an object whose "type" is the word. */
static void
compile_choice(ImgCompiler *compiler, const ImgPath *path,
			   const ImgArgument *argument, JsonbValue *value)
{
	const ImgChoice *choice = argument->choices;
	ImgPath		at = *path;
	ImgPath		below = {path, "type", strlen("type")};
	JsonbValue	type;
	JsonbValue *word = value;

	if (img_is_object(value))
	{
		path = &below;
		word = getKeyJsonValueFromContainer(value->val.binary.data, "type",
											strlen("type"), &type);
	}
	if (word != NULL && word->type != jbvNull)
	{
		if (word->type != jbvString)
			img_refuse_argument(path, argument, "must be a word", word);
		while (choice->name != NULL && !img_is_word(word, choice->name))
			choice++;
		if (choice->name == NULL)
			img_refuse_argument(path, argument, "is not an allowed word", word);
	}

	at.type = choice->name;
	img_check_place(compiler, &at, choice->name, choice->servers);
	if (choice - argument->choices != argument->initial)
		img_check_place(compiler, &at, choice->name, argument->servers);
	if (img_is_object(value))
		img_compile_members(compiler, &at, value->val.binary.data, choice->members,
						argument->choices);
	if (choice->servers == NULL && argument->servers == NULL)
	{
		compiler->step->value[argument->slot] = choice - argument->choices;
		compiler->step->given |= IMG_GIVEN(argument->slot);
	}
}

/* The object form of an argument asks for it, whatever is in it. */
static void
compile_object(ImgCompiler *compiler, const ImgPath *path,
			   const ImgArgument *argument, JsonbValue *value)
{
	ImgStep    *step = compiler->step;

	img_check_place(compiler, path, NULL, argument->servers);
	if (argument->servers == NULL)
	{
		step->value[argument->slot] = argument->type == IMG_BOOL ? 1 : argument->initial;
		step->given |= IMG_GIVEN(argument->slot);
		img_step_defaults(step, argument->members);
	}
	img_compile_members(compiler, path, value->val.binary.data, argument->members, NULL);
}

static void
compile_argument(ImgCompiler *compiler, const ImgPath *path,
				 const ImgArgument *argument, JsonbValue *value)
{
	double		number = argument->initial;
	ImgUnit		unit = IMG_AUTO;

	if (value->type == jbvNull)
		return;
	if (argument->members != NULL && img_is_object(value))
	{
		compile_object(compiler, path, argument, value);
		return;
	}
	switch (argument->type)
	{
		case IMG_BOOL:
			number = read_bool(path, argument, value);
			break;
		case IMG_INTEGER:
		case IMG_REAL:
			number = img_read_number(path, argument, value);
			break;
		case IMG_COLOR:
			number = read_color(path, argument, value);
			break;
		case IMG_LENGTH:
			number = img_read_length(path, argument, value, &unit);
			break;
		case IMG_CHOICE:
			compile_choice(compiler, path, argument, value);
			return;
		case IMG_SIDES:
			img_read_sides(path, argument, value, compiler->step->value + argument->slot);
			compiler->step->given |= IMG_GIVEN(argument->slot);
			return;
		case IMG_FORMAT:
			if (value->type != jbvString || value->val.string.len > 0)
				number = img_read_format(path, value);
			break;
		case IMG_PICTURE:
			number = read_picture(compiler, path, argument, value);
			break;
		case IMG_ANY:
			if (!img_asks_nothing(value, false))
				img_check_place(compiler, path, NULL, argument->servers);
			return;
	}
	if (argument->servers != NULL)
	{
		if (number != argument->initial || unit != IMG_AUTO)
			img_check_place(compiler, path, NULL, argument->servers);
		return;
	}
	compiler->step->value[argument->slot] = number;
	if (argument->type == IMG_LENGTH)
		compiler->step->value[argument->slot + 1] = unit;
	compiler->step->given |= IMG_GIVEN(argument->slot);
}

void
img_compile_value(ImgCompiler *compiler, const ImgPath *path,
				  const ImgArgument *argument, JsonbValue *value)
{
	/* {} asks for nothing, unless it is a form of the value */
	if (argument->members == NULL && img_is_object(value) && img_asks_nothing(value, true))
		return;
	compile_argument(compiler, path, argument, value);
}
