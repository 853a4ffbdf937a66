/*
 * policy.c
 *	  Which addresses may be reached unless the owner allows all.
 *
 * Runs in imgapi-fetcher.  Judged is the binary address that is about to be
 * connected, so that the spelling of a host, what a name resolves to this time,
 * and where a redirect leads make no difference.
 *
 * The ranges are those of IANA's special-purpose address registries.  An IPv6
 * address that carries an IPv4 address to which a translator or tunnel would
 * pass packets on is judged by that one.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fetcher/policy.h"

typedef struct Range
{
	uint8_t		prefix[16];
	uint8_t		bits;
	uint8_t		embedded;		/* offset of an IPv4 address, 0: none */
	uint8_t		mask;			/* with which each of its bytes is xored */
	const char *kind;			/* NULL: public, or as the embedded one */
} Range;

/* The first that matches counts. */
static const Range ipv4[] = {
	{{0, 0, 0, 0}, 8, .kind = "unspecified"},
	{{10}, 8, .kind = "private"},
	{{100, 64}, 10, .kind = "carrier-grade NAT"},
	{{127}, 8, .kind = "loopback"},
	{{169, 254}, 16, .kind = "link-local"},
	{{172, 16}, 12, .kind = "private"},
	{{192, 0, 0}, 24, .kind = "protocol assignment"},
	{{192, 0, 2}, 24, .kind = "documentation"},
	{{192, 88, 99}, 24, .kind = "6to4 relay"},
	{{192, 168}, 16, .kind = "private"},
	{{198, 18}, 15, .kind = "benchmark"},
	{{198, 51, 100}, 24, .kind = "documentation"},
	{{203, 0, 113}, 24, .kind = "documentation"},
	{{224}, 4, .kind = "multicast"},
	{{255, 255, 255, 255}, 32, .kind = "broadcast"},
	{{240}, 4, .kind = "reserved"},
	{{0}, 0, .kind = NULL},
};

static const Range ipv6[] = {
	{{0}, 128, .kind = "unspecified"},
	{{[15] = 1}, 128, .kind = "loopback"},
	{{0}, 96, .embedded = 12, .kind = NULL},	/* IPv4-compatible */
	{{[10] = 0xff, 0xff}, 96, .embedded = 12, .kind = NULL},	/* IPv4-mapped */
	{{[8] = 0xff, 0xff}, 96, .embedded = 12, .kind = NULL}, /* IPv4-translated */
	{{0, 0x64, 0xff, 0x9b}, 96, .embedded = 12, .kind = NULL},	/* NAT64 */
	{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, .kind = "private NAT64"},
	{{1}, 64, .kind = "discard-only"},
	{{0x20, 0x01, 0, 0}, 32, .embedded = 12, .mask = 0xff, .kind = NULL},	/* Teredo */
	{{0x20, 0x01, 0, 2}, 48, .kind = "benchmark"},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, .kind = "documentation"},
	{{0x20, 0x01, 0}, 23, .kind = "protocol assignment"},
	{{0x20, 0x02}, 16, .embedded = 2, .kind = NULL},	/* 6to4 */
	{{0x3f, 0xff, 0}, 20, .kind = "documentation"},
	{{0x20}, 3, .kind = NULL},
	{{0xfc}, 7, .kind = "unique local"},
	{{0xfe, 0x80}, 10, .kind = "link-local"},
	{{0xfe, 0xc0}, 10, .kind = "site-local"},
	{{0xff}, 8, .kind = "multicast"},
	{{0}, 0, .kind = "reserved"},
};

static bool
is_within(const uint8_t *address, const Range *range)
{
	int			bytes = range->bits / 8;
	int			rest = range->bits % 8;

	return memcmp(address, range->prefix, bytes) == 0 &&
		(rest == 0 || ((address[bytes] ^ range->prefix[bytes]) >> (8 - rest)) == 0);
}

static const char *
kind_of_ipv4(const uint8_t *address)
{
	const Range *range = ipv4;

	while (!is_within(address, range))
		range++;
	return range->kind;
}

static const char *
kind_of_ipv6(const uint8_t *address)
{
	const Range *range = ipv6;
	uint8_t		inner[4];

	while (!is_within(address, range))
		range++;
	if (range->embedded == 0)
		return range->kind;
	for (int i = 0; i < 4; i++)
		inner[i] = address[range->embedded + i] ^ range->mask;
	return kind_of_ipv4(inner);
}

const char *
img_address_kind(const struct sockaddr *address)
{
	switch (address->sa_family)
	{
		case AF_INET:
			return kind_of_ipv4((const uint8_t *) &((const struct sockaddr_in *) address)->sin_addr);
		case AF_INET6:
			return kind_of_ipv6((const uint8_t *) &((const struct sockaddr_in6 *) address)->sin6_addr);
		default:
			return "local socket";
	}
}

const char *
img_address_text_kind(const char *text)
{
	uint8_t		address[16];

	if (inet_pton(AF_INET, text, address) == 1)
		return kind_of_ipv4(address);
	if (inet_pton(AF_INET6, text, address) == 1)
		return kind_of_ipv6(address);
	return "unknown";
}

void
img_address_text(const struct sockaddr *address, char *text, socklen_t size)
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *) address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *) address)->sin6_addr;
	if (bytes == NULL || inet_ntop(address->sa_family, bytes, text, size) == NULL)
		text[0] = '\0';
}
