/*
 * unpack.c
 *	  The files in an archive.
 *
 * Runs in imgapi-executor: an archive comes from the same strangers as a
 * picture.  Only zip is tried, and nothing that a header says is believed: what
 * comes out is counted, however little went in.  Nothing is written anywhere;
 * names are passed on as they are, for the caller to judge.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "executor/unpack.h"

/* What is read at a time. */
#define CHUNK	(256 * 1024)

typedef struct Unpacking
{
	ImgPicture *picture;
	struct archive *archive;
	char	   *data;			/* malloc'd */
	size_t		length;
	size_t		size;
	int			entries;
} Unpacking;

/* Names in archives are UTF-8; in the C locale they would be lost. */
void
img_unpack_warm(void)
{
	(void) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool
fail_archive(Unpacking *unpacking)
{
	const char *text = archive_error_string(unpacking->archive);

	return img_fail_picture(unpacking->picture, IMG_BAD_PICTURE, IMG_STAGE_DECODE,
							"the archive is broken: %s", text ? text : "it cannot be read");
}

/* Room for so many bytes more. */
static bool
make_room(Unpacking *unpacking, size_t bytes)
{
	size_t		needed = unpacking->length + bytes;
	size_t		size = MAX(unpacking->size, CHUNK);
	char	   *larger;

	if (needed > IMG_MAX_UNPACKED)
		return img_fail_picture(unpacking->picture, IMG_LIMIT, IMG_STAGE_DECODE,
								"the files in the archive have more than the %d bytes that are allowed", IMG_MAX_UNPACKED);
	if (needed <= unpacking->size)
		return true;
	while (size < needed)
		size *= 2;
	larger = realloc(unpacking->data, size);
	if (larger == NULL)
		return img_fail_memory(unpacking->picture, size);
	unpacking->data = larger;
	unpacking->size = size;
	return true;
}

static bool
append(Unpacking *unpacking, const void *bytes, size_t length)
{
	if (!make_room(unpacking, length))
		return false;
	memcpy(unpacking->data + unpacking->length, bytes, length);
	unpacking->length += length;
	return true;
}

/* The bytes of a file; *length is their number. */
static bool
append_contents(Unpacking *unpacking, uint64_t *length)
{
	for (;;)
	{
		la_ssize_t	got;

		if (img_stopped(unpacking->picture) || !make_room(unpacking, CHUNK))
			return false;
		got = archive_read_data(unpacking->archive, unpacking->data + unpacking->length, CHUNK);
		if (got < 0)
			return fail_archive(unpacking);
		if (got == 0)
			return true;
		unpacking->length += got;
		*length += got;
	}
}

static bool
append_file(Unpacking *unpacking, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	ImgEntry	head = {0};
	size_t		at = unpacking->length;

	if (archive_entry_is_encrypted(entry))
		return img_fail_picture(unpacking->picture, IMG_UNSUPPORTED, IMG_STAGE_DECODE, "the archive is encrypted");
	if (name == NULL)
		return img_fail_picture(unpacking->picture, IMG_BAD_PICTURE, IMG_STAGE_DECODE,
								"a file in the archive has a name that cannot be read");
	if (++unpacking->entries > IMG_MAX_ENTRIES)
		return img_fail_picture(unpacking->picture, IMG_LIMIT, IMG_STAGE_DECODE,
								"there are more files in the archive than the %d that are allowed", IMG_MAX_ENTRIES);
	head.name_length = strlen(name);
	if (!append(unpacking, &head, sizeof(head)) || !append(unpacking, name, head.name_length) ||
		!append_contents(unpacking, &head.length))
		return false;
	memcpy(unpacking->data + at, &head, sizeof(head));
	return true;
}

/* Folders and links are left out. */
static bool
append_files(Unpacking *unpacking)
{
	struct archive_entry *entry;
	int			status;

	while ((status = archive_read_next_header(unpacking->archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN)
		if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL &&
			!append_file(unpacking, entry))
			return false;
	return status == ARCHIVE_EOF || fail_archive(unpacking);
}

bool
img_unpack(ImgPicture *picture, void **data, size_t *length)
{
	Unpacking	unpacking = {.picture = picture};
	bool		done = false;

	if (picture->length < 4 || memcmp(picture->data, "PK", 2) != 0)
		return img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_HEADER, "this is not a zip archive");
	unpacking.archive = archive_read_new();
	if (unpacking.archive == NULL)
		return img_fail_memory(picture, sizeof(unpacking));
	if (archive_read_support_format_zip(unpacking.archive) != ARCHIVE_OK ||
		archive_read_open_memory(unpacking.archive, picture->data, picture->length) != ARCHIVE_OK)
		fail_archive(&unpacking);
	else
		done = append_files(&unpacking);
	archive_read_free(unpacking.archive);
	if (!done)
	{
		free(unpacking.data);
		return false;
	}
	*data = unpacking.data;
	*length = unpacking.length;
	return true;
}
