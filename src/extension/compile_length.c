/*
 * compile_length.c
 *	  Lengths of arguments: pixels and percentages, one or several.
 *
 * Runs in backends and in the dispatcher.
 */
#include "postgres.h"

#include "extension/compile_internal.h"

/* What a length must be, for the message of an error. */
static const char *
length_problem(const ImgArgument *argument)
{
	if (argument->percent_only)
		return "must be a whole percentage";
	return argument->no_auto ? "must be a whole number of pixels or a whole percentage" :
		"must be a whole number of pixels, a whole percentage or \"auto\"";
}

/* "NN%" or "NNpx" in so many bytes; false if it is neither. */
static bool
scan_length(const char *text, int length, double *number, ImgUnit *unit)
{
	int			digits = 0;

	*number = 0;
	while (digits < length && text[digits] >= '0' && text[digits] <= '9')
		*number = *number * 10 + (text[digits++] - '0');
	*unit = length == digits + 1 && text[digits] == '%' ? IMG_PERCENT : IMG_PIXELS;
	return digits > 0 && (*unit == IMG_PERCENT ||
						  (length == digits + 2 && memcmp(text + digits, "px", 2) == 0));
}

static void
check_length(const ImgPath *path, const ImgArgument *argument, const JsonbValue *value,
			 double number, ImgUnit unit)
{
	double		min = unit == IMG_PERCENT ? img_min_percent(argument) : argument->min;
	double		max = unit == IMG_PERCENT ? img_max_percent(argument) : argument->max;

	if (!(number >= min && number <= max))
		img_refuse_argument(path, argument, unit == IMG_PERCENT && !argument->percent_only ?
							psprintf("is out of range (percentages are %g%% to %g%%)", min, max) :
							"is out of range", value);
}

/* A number of pixels, "NN%", "NNpx" or "auto". */
double
img_read_length(const ImgPath *path, const ImgArgument *argument,
			const JsonbValue *value, ImgUnit *unit)
{
	double		number;

	*unit = IMG_AUTO;
	if (!argument->percent_only && !argument->no_auto && img_is_word(value, "auto"))
		return 0;
	*unit = IMG_PIXELS;
	if (!argument->percent_only && value->type == jbvNumeric)
		return img_read_number(path, argument, value);
	if (value->type != jbvString ||
		!scan_length(value->val.string.val, value->val.string.len, &number, unit) ||
		(argument->percent_only && *unit != IMG_PERCENT))
		img_refuse_argument(path, argument, length_problem(argument), value);
	check_length(path, argument, value, number, *unit);
	return number;
}

/* "10%", "5% 25%" (horizontal, vertical) or top, right, bottom and left. */
void
img_read_sides(const ImgPath *path, const ImgArgument *argument, const JsonbValue *value,
		   double *slots)
{
	static const int source[5][4] = {{0}, {0, 0, 0, 0}, {1, 0, 1, 0}, {0}, {0, 1, 2, 3}};
	const char *text = value->val.string.val;
	int			length = value->type == jbvString ? value->val.string.len : 0;
	double		number[4];
	int			count = 0;
	ImgUnit		unit = IMG_AUTO;

	for (int at = 0; at < length;)
	{
		const char *space = memchr(text + at, ' ', length - at);
		int			end = space ? space - text : length;
		ImgUnit		this_unit;

		if (count == 4 || !scan_length(text + at, end - at, &number[count], &this_unit))
		{
			count = 0;
			break;
		}
		if (count > 0 && this_unit != unit)
			img_refuse_argument(path, argument, "must have all sides in one unit", value);
		unit = this_unit;
		check_length(path, argument, value, number[count++], unit);
		at = end + 1;
		/* a space at the end promises one more */
		if (at == length)
			count = 0;
	}
	if (count == 0 || count == 3)
		img_refuse_argument(path, argument, "must be one, two or four lengths", value);
	for (int i = 0; i < 4; i++)
		slots[i] = number[source[count][i]];
	slots[4] = unit;
}
