/*
 * wire.h
 *	  How PostgreSQL processes and executors talk.
 *
 * One SOCK_SEQPACKET message is one request or one reply.  Bytes of a picture
 * travel inline up to IMG_INLINE_INPUT and IMG_INLINE_OUTPUT; larger ones lie
 * at offset 0 of a memfd.
 *
 * Two ways to meet:
 *
 *	- A dispatcher owns its executors.  Each has one socketpair (descriptor 3 of
 *	  the executor) and answers its requests in order.  The memfds of its slots
 *	  are handed over once, with ImgHello, and used again and again: a
 *	  slot's memfd belongs to the executor from the request to the reply.
 *	- The pool: executors accept connections on one listening socket (descriptor
 *	  3); a connection carries one request and one reply at a time and may be
 *	  used again.  A large input comes as a memfd with the request
 *	  (SCM_RIGHTS), and a large output returns in the same memfd; a request
 *	  with inline input that may have a large output brings an empty one.
 *
 * An executor that is ready says so with an ImgReply of id 0 and outcome
 * IMG_DONE, whose text names what confines it ("seccomp", "landlock" or "off");
 * with another outcome the text says why it cannot start, and it ends.  An
 * owned executor sends this on descriptor 3.  One of a pool has a socketpair to
 * its supervisor as descriptor 4 for it; it carries nothing else, and when the
 * supervisor closes its end, the executor ends.  A connection to the pool that
 * asks nothing for 200 ms is closed.
 *
 * PostgreSQL processes pread() and pwrite() memfds and never map them: an
 * executor that has been taken over could truncate one under their feet.  For
 * the same reason every length in a reply is checked against what was agreed,
 * and text in a reply is made printable before anyone sees it.
 *
 * Both ends are one build on one machine, so integers are native.
 */
#ifndef IMGAPI_WIRE_H
#define IMGAPI_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan/plan.h"

#define IMG_WIRE_MAGIC		0x696d6731	/* "img1" */
#define IMG_WIRE_VERSION	2
#define IMG_WIRE_FD			3			/* an executor's socket */
#define IMG_CONTROL_FD		4			/* pool: the supervisor's end is the other */
#define IMG_MAX_SLOT_FDS	16
#define IMG_INLINE_INPUT	(16 * 1024)
#define IMG_INLINE_OUTPUT	(48 * 1024)
#define IMG_MAX_MESSAGE		(64 * 1024) /* any packet */
#define IMG_MAX_TEXT		512
#define IMG_MAX_FORMATS		16

/* What an executor is told when it starts, by argv[1] */
#define IMG_MODE_OWNED		"owned"
#define IMG_MODE_POOL		"pool"

typedef enum ImgRequestType
{
	IMG_HELLO = 1,				/* owned only: carries the slots' memfds */
	IMG_EDIT,					/* run a plan */
	IMG_INFO,					/* read the header only */
	IMG_FORMATS,				/* what can be loaded and saved */
	IMG_PHASH,					/* the output is a native uint64_t, */
	IMG_BLURHASH,				/* text of 28 characters, */
	IMG_DOMINANT_COLOR,			/* text as "#rrggbb", or nothing */
	IMG_UNPACK					/* the input is an archive, the output one
								 * ImgEntry after the other */
} ImgRequestType;

/* Where the bytes of a picture are. */
typedef enum ImgPlace
{
	IMG_NOWHERE,
	IMG_INLINE,					/* behind the header (and the plan) */
	IMG_MEMFD					/* the slot's, or the one that came along */
} ImgPlace;

/* Every limit is checked on the header of a picture, before a pixel. */
typedef struct ImgLimits
{
	uint64_t	source_pixels;	/* width × height × frames */
	uint32_t	frames;
	uint32_t	output_side;	/* px, either side of a result */
	uint32_t	milliseconds;	/* 0: none */
	uint32_t	formats;		/* bit n: img_formats[n] may be read */
} ImgLimits;

typedef struct ImgRequest
{
	uint32_t	magic;
	uint16_t	version;
	uint16_t	type;			/* ImgRequestType */
	uint64_t	id;				/* comes back in the reply */
	ImgLimits	limits;
	uint16_t	place;			/* ImgPlace of the input */
	uint16_t	slot;			/* owned: whose memfd */
	uint32_t	plan_length;	/* the plan follows the header */
	uint64_t	input_length;	/* inline input follows the plan */
	uint64_t	other_length;	/* the end of the input is another picture, the
								 * plan's IMG_PICTURE; 0: none */
} ImgRequest;

/* How a request ended; maps to SQLSTATEs in src/extension/executor_error.c */
typedef enum ImgOutcome
{
	IMG_DONE,
	IMG_BAD_PICTURE,			/* the codec refuses it: 22000 */
	IMG_UNSUPPORTED,			/* format or operation not here: 0A000 */
	IMG_LIMIT,					/* larger than a setting allows: 54000 */
	IMG_TIMEOUT,				/* limits.milliseconds are over: 54000 */
	IMG_BAD_PLAN,				/* not a plan of this build: XX000 */
	IMG_FAILURE,				/* anything else: 58000 */
	IMG_MISFIT					/* this picture is not for this plan: 22023 */
} ImgOutcome;

/* Where it failed: img_job.stage */
typedef enum ImgStage
{
	IMG_STAGE_NONE,
	IMG_STAGE_READ,				/* protocol, memfd */
	IMG_STAGE_HEADER,			/* sniffing, header, limits */
	IMG_STAGE_DECODE,
	IMG_STAGE_OPERATION,
	IMG_STAGE_ENCODE
} ImgStage;

/* What a user should know of a result that is not an error. */
typedef enum ImgWarning
{
	IMG_WARNING_FIRST_FRAME = 1,	/* animated source, still format: only the
									 * first frame was used */
	IMG_WARNING_PROFILE = 2			/* the ICC profile was unusable */
} ImgWarning;

/* Facts of one picture; sides as displayed, after orientation. */
typedef struct ImgFacts
{
	uint16_t	format;			/* position in img_formats[]; UINT16_MAX: none */
	uint8_t		has_alpha;
	uint8_t		has_icc;
	uint32_t	width;			/* px; one frame of an animation */
	uint32_t	height;
	uint32_t	pages;
	uint32_t	orientation;	/* 1..8 as stored; 1 where there is none */
	uint32_t	unused;
	double		lat;			/* NaN: not there */
	double		lng;
	char		color_space[16];	/* "srgb", "cmyk", "grey", "rgb16" … */
	char		taken_at[24];	/* "2024-05-01 12:00:00", or empty */
} ImgFacts;

typedef struct ImgReply
{
	uint32_t	magic;
	uint16_t	version;
	uint16_t	outcome;		/* ImgOutcome */
	uint64_t	id;
	uint16_t	stage;			/* ImgStage of a failure */
	uint16_t	place;			/* ImgPlace of the output */
	uint32_t	text_length;	/* error message, then the output if inline */
	uint64_t	output_length;
	int64_t		started_at;		/* µs since 1970 (CLOCK_REALTIME) */
	uint32_t	microseconds;	/* wall time of the work */
	uint32_t	warnings;		/* bits of ImgWarning */
	uint32_t	outputs;		/* if more than one, the output is that many
								 * ImgPiece and then their bytes */
	uint32_t	unused;
	ImgFacts	source;
	ImgFacts	output;
} ImgReply;

/* One of several outputs. */
typedef struct ImgPiece
{
	uint64_t	length;
	ImgFacts	facts;
} ImgPiece;

/* One of the files in an archive; name and bytes follow. */
typedef struct ImgEntry
{
	uint64_t	length;
	uint32_t	name_length;
	uint32_t	unused;
} ImgEntry;

/* All files in an archive: the most, and their bytes together with their names. */
#define IMG_MAX_ENTRIES		10000
#define IMG_MAX_UNPACKED	(512 * 1024 * 1024)

/* The output of IMG_FORMATS: one for each of img_formats[]. */
typedef struct ImgFormatAbility
{
	uint8_t		can_load;
	uint8_t		can_save;
	uint8_t		unused[2];
} ImgFormatAbility;

/* A message and the parts it is put together from. */
typedef struct ImgPart
{
	const void *data;
	size_t		length;
} ImgPart;

/*
 * Sends one message of several parts and, if fd >= 0, that descriptor (or, for
 * several, count of them).  MSG_NOSIGNAL.  Returns 0 or -1 with errno; never
 * sends a part of a message.
 */
extern int	img_send(int socket, const ImgPart *parts, int count,
					 const int *fds, int nfds, int flags);

/*
 * Receives one message into buffer.  Descriptors that come along are stored in
 * fds (up to max_fds; further ones are closed) and counted in *nfds; all are
 * close-on-exec.  Returns the length, 0 when the peer is gone, -1 with errno.
 * A message longer than the buffer is EMSGSIZE.
 */
extern ssize_t img_receive(int socket, void *buffer, size_t size,
						   int *fds, int max_fds, int *nfds, int flags);

/* Whole transfers from that place on; -1 with errno. */
extern int	img_write_all(int fd, const void *data, size_t length, off_t at);
extern int	img_read_all(int fd, void *data, size_t length, off_t at);

/* Whether the strings in it end. */
extern bool img_facts_valid(const ImgFacts *facts);

/* Whether a reply of that length is well formed and answers request id. */
extern bool img_reply_valid(const ImgReply *reply, size_t length, uint64_t id,
							bool has_memfd, uint64_t max_output);

/* Replaces everything but printable ASCII by "?": valid in any encoding. */
extern void img_make_printable(char *text, size_t length);

#endif							/* IMGAPI_WIRE_H */
