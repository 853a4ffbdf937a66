/*
 * sniff.c
 *	  Which format a file is in, by its first bytes alone.
 *
 * Runs in imgapi-executor.  Nothing but the loader of the format found here
 * ever sees the file.
 */
#include <string.h>

#include "executor/pipeline.h"

/* What people send that is not read here. */
static const struct
{
	const char *magic;
	size_t		length;
	const char *name;
}			others[] = {
	{"%PDF-", 5, "PDF"},
	{"BM", 2, "BMP"},
	{"8BPS", 4, "PSD"},
	{"\0\0\1\0", 4, "ICO"},
	{"\xff\x0a", 2, "JPEG XL"},
	{"\0\0\0\x0cJXL \r\n\x87\n", 12, "JPEG XL"},
	{"\0\0\0\x0cjP  \r\n\x87\n", 12, "JPEG 2000"},
	{"\xff\x4f\xff\x51", 4, "JPEG 2000"},
	{"%!PS", 4, "PostScript"},
	{"PK\3\4", 4, "a ZIP archive"},
	{"\x1f\x8b", 2, "gzip data"},
	{"\x1a\x45\xdf\xa3", 4, "Matroska or WebM video"},
	{"\x76\x2f\x31\x01", 4, "OpenEXR"},
	{"#?RADIANCE", 10, "Radiance HDR"},
	{"SIMPLE  =", 9, "FITS"},
	{"gimp xcf", 8, "XCF"},
	{"FORM", 4, "IFF"},
};

static bool
is_text(const unsigned char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (data[i] < ' ' && data[i] != '\n' && data[i] != '\r' && data[i] != '\t' && data[i] != '\f')
			return false;
	return true;
}

/* Finds word among the first bytes, whatever the case of its letters. */
static bool
contains(const unsigned char *data, size_t length, const char *word)
{
	size_t		n = strlen(word);

	for (size_t i = 0; i + n <= length; i++)
		if (g_ascii_strncasecmp((const char *) data + i, word, n) == 0)
			return true;
	return false;
}

static const char *
guess(const unsigned char *data, size_t length)
{
	size_t		head = length < 1024 ? length : 1024;

	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		if (length >= others[i].length && memcmp(data, others[i].magic, others[i].length) == 0)
			return others[i].name;
	if (length >= 12 && memcmp(data + 4, "ftyp", 4) == 0)
		return "a video or another ISO media file";
	if (length >= 12 && memcmp(data, "RIFF", 4) == 0)
		return "a RIFF file without WebP in it";
	if (length < 4 || !is_text(data, head))
		return NULL;
	if (contains(data, head, "<svg"))
		return "SVG";
	if (contains(data, head, "<html") || contains(data, head, "<!doctype html"))
		return "HTML";
	if (contains(data, head, "<?xml"))
		return "XML";
	return "text";
}

int
img_sniff(const unsigned char *data, size_t length, const char **looks_like)
{
	int			format = img_format_sniff(data, length);

	*looks_like = format < 0 ? guess(data, length) : NULL;
	return format;
}
