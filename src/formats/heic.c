/*
 * heic.c
 *	  HEIC, as cameras write it.  Read only: results are written as JPEG
 *	  unless output.format says otherwise.
 */
#include <string.h>

#include "plan/plan.h"

/*
 * AVIF and HEIC are one container; its brands tell them apart.  The box size
 * covers the major brand, a version, and the compatible brands.
 */
bool
img_sniff_heif(const unsigned char *data, size_t length, bool avif)
{
	static const char *const heic[] = {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"};
	size_t		size;
	bool		is_avif = false;
	bool		is_heic = false;

	if (length < 16 || memcmp(data + 4, "ftyp", 4) != 0)
		return false;
	size = (size_t) data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
	if (size > length)
		size = length;
	for (size_t at = 8; at + 4 <= size; at += 4)
	{
		if (at == 12)
			continue;
		if (memcmp(data + at, "avif", 4) == 0 || memcmp(data + at, "avis", 4) == 0)
			is_avif = true;
		for (size_t i = 0; i < sizeof(heic) / sizeof(heic[0]); i++)
			if (memcmp(data + at, heic[i], 4) == 0)
				is_heic = true;
	}
	return avif ? is_avif : is_heic && !is_avif;
}

static bool
sniff(const unsigned char *data, size_t length)
{
	return img_sniff_heif(data, length, false);
}

const ImgFormat img_format_heic = {
	.name = "heic",
	.extensions = "heic heif",
	.mime = "image/heic",
	.can_animate = false,
	.has_alpha = true,
	.sniff = sniff,
	.loader = "heifload_buffer",
};
