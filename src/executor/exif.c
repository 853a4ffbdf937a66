/*
 * exif.c
 *	  The few things in EXIF that matter here: which way is up, when, where.
 *
 * Runs in imgapi-executor.  Reads within the bytes it is given and follows no
 * chain of directories; anything odd counts as not there.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "executor/exif.h"

enum
{
	TAG_ORIENTATION = 0x0112,
	TAG_EXIF = 0x8769,
	TAG_GPS = 0x8825,
	TAG_TAKEN_AT = 0x9003,
	GPS_LATITUDE_REFERENCE = 1,
	GPS_LATITUDE = 2,
	GPS_LONGITUDE_REFERENCE = 3,
	GPS_LONGITUDE = 4
};

enum
{
	TYPE_ASCII = 2,
	TYPE_SHORT = 3,
	TYPE_LONG = 4,
	TYPE_RATIONAL = 5,
	TYPE_SIGNED_RATIONAL = 10,
	TYPE_DIRECTORY = 13
};

/* A TIFF file in small. */
typedef struct Exif
{
	const unsigned char *data;
	size_t		length;
	bool		big_endian;
} Exif;

static uint32_t
number(const Exif *exif, size_t at, int bytes)
{
	uint32_t	value = 0;

	if (at > exif->length || (size_t) bytes > exif->length - at)
		return 0;
	for (int i = 0; i < bytes; i++)
		value |= (uint32_t) exif->data[at + i] << 8 * (exif->big_endian ? bytes - 1 - i : i);
	return value;
}

/* Position of the entry of a tag with that type and count; 0: none. */
static size_t
find(const Exif *exif, size_t directory, int tag, int type, uint32_t count)
{
	int			entries = number(exif, directory, 2);

	if (directory == 0)
		return 0;
	for (int i = 0; i < entries; i++)
	{
		size_t		at = directory + 2 + i * 12;

		if (at + 12 > exif->length)
			break;
		if (number(exif, at, 2) == tag && number(exif, at + 2, 2) == type && number(exif, at + 4, 4) >= count)
			return at;
	}
	return 0;
}

static size_t
sub_directory(const Exif *exif, size_t directory, int tag)
{
	size_t		at = find(exif, directory, tag, TYPE_LONG, 1);

	if (at == 0)
		at = find(exif, directory, tag, TYPE_DIRECTORY, 1);
	return at == 0 ? 0 : number(exif, at + 8, 4);
}

/* "2024:05:01 12:00:00" */
static void
read_time(const Exif *exif, size_t directory, char *taken_at)
{
	size_t		entry = find(exif, directory, TAG_TAKEN_AT, TYPE_ASCII, 19);
	size_t		at = entry == 0 ? 0 : number(exif, entry + 8, 4);
	char		text[20];
	int			part[6];

	if (at == 0 || at > exif->length || exif->length - at < 19)
		return;
	memcpy(text, exif->data + at, 19);
	text[19] = '\0';
	for (int i = 0; i < 19; i++)
		if ("dddd:dd:dd dd:dd:dd"[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != "0000:00:00 00:00:00"[i])
			return;
	sscanf(text, "%4d:%2d:%2d %2d:%2d:%2d", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]);
	if (!img_date_valid(part[0], part[1], part[2]) || part[3] > 23 || part[4] > 59 || part[5] > 59)
		return;
	text[4] = text[7] = '-';
	memcpy(taken_at, text, sizeof(text));
}

/* Days that a calendar has: PostgreSQL will be given this. */
bool
img_date_valid(int year, int month, int day)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/*
 * Degrees, minutes and seconds as fractions; NaN: not there.  Phones write them
 * signed, too, and what they leave out as 0/0.
 */
static double
read_angle(const Exif *exif, size_t directory, int tag, int reference_tag, char negative, double max)
{
	static const double unit[] = {1, 60, 3600};
	size_t		entry = find(exif, directory, tag, TYPE_RATIONAL, 3);
	size_t		reference = find(exif, directory, reference_tag, TYPE_ASCII, 1);
	size_t		at;
	double		value = 0;

	if (entry == 0)
		entry = find(exif, directory, tag, TYPE_SIGNED_RATIONAL, 3);
	if (entry == 0 || reference == 0)
		return NAN;
	at = number(exif, entry + 8, 4);
	for (int i = 0; i < 3; i++)
	{
		uint32_t	above = number(exif, at + i * 8, 4);
		uint32_t	below = number(exif, at + i * 8 + 4, 4);

		if (i > 0 && above == 0 && below == 0)
			continue;
		if (below == 0)
			return NAN;
		value += above / (double) below / unit[i];
	}
	if (!(value <= max))
		return NAN;
	return exif->data[reference + 8] == negative ? -value : value;
}

void
img_exif_read(const unsigned char *data, size_t length, ImgExif *result)
{
	Exif		exif = {data, length, false};
	size_t		directory;
	size_t		gps;
	size_t		entry;

	*result = (ImgExif) {.orientation = 1, .lat = NAN, .lng = NAN};
	if (length < 8)
		return;
	exif.big_endian = data[0] == 'M';
	if (memcmp(data, exif.big_endian ? "MM\0*" : "II*\0", 4) != 0)
		return;
	directory = number(&exif, 4, 4);
	entry = find(&exif, directory, TAG_ORIENTATION, TYPE_SHORT, 1);
	if (entry != 0 && number(&exif, entry + 8, 2) >= 1 && number(&exif, entry + 8, 2) <= 8)
		result->orientation = number(&exif, entry + 8, 2);
	read_time(&exif, sub_directory(&exif, directory, TAG_EXIF), result->taken_at);
	gps = sub_directory(&exif, directory, TAG_GPS);
	result->lat = read_angle(&exif, gps, GPS_LATITUDE, GPS_LATITUDE_REFERENCE, 'S', 90);
	result->lng = read_angle(&exif, gps, GPS_LONGITUDE, GPS_LONGITUDE_REFERENCE, 'W', 180);
	if (isnan(result->lat) || isnan(result->lng))
		result->lat = result->lng = NAN;
}
