/*
 * fetch.h
 *	  How PostgreSQL processes and imgapi-fetcher talk.
 *
 * One SOCK_SEQPACKET message is one request or one reply (img_send() and
 * img_receive() of wire.h, descriptor 3 of the fetcher).  The owner is a
 * dispatcher; it knows the APIs, the fetcher knows HTTP.
 *
 * - Every IMG_FETCH_START is answered by exactly one reply, in any order; the
 *	 id tells which.  IMG_FETCH_CANCEL ends the transfer of that id, whose reply
 *	 is then IMG_FETCH_CANCELLED; if it has been answered already, nothing
 *	 happens.
 * - The fetcher reads a request only while fewer than --transfers=N are under
 *	 way; others wait in the socket, and with them what comes behind.  An owner
 *	 that keeps at most N requests unanswered has its cancels heard at once.
 * - A fetcher that is ready says so with a reply of id 0 whose text names what
 *	 confines it ("seccomp+landlock", "seccomp", "landlock" or "off"); with an
 *	 outcome other than IMG_FETCH_DONE the text says why it cannot start.
 * - A message that is no request of this build ends the fetcher, as does the end
 *	 of the owner.
 *
 * Bodies lie inline up to IMG_FETCH_INLINE bytes.  A larger request body is a
 * stretch of a memfd that comes along (SCM_RIGHTS), so that many parts of one
 * object can be sent at once; the owner must not change it until the reply.  A
 * larger response body comes in a memfd of its own, from offset 0, sealed:
 * nobody can change or shorten it any more.
 *
 * Strings end with a NUL that their length counts, so that whoever has found a
 * message valid may use them as they lie there.  A header of a request is one
 * string, "Name: value"; a header of a reply is two, name and value, and the
 * name is in lower case.  Values are the peer's bytes, in whatever encoding.
 *
 * What a request asks of HTTP is bounded here: redirects are followed for GET
 * and HEAD only, at most IMG_FETCH_MAX_REDIRECTS, never from https to http, and
 * to another origin without the headers of the request.  The address
 * that is connected is judged each time (src/fetcher/policy.h).  A URL
 * has no user name or password.  When a kept connection dies under a request,
 * it is sent again on a new one, but for POST and PATCH, which are sent once at most: a
 * failure at IMG_FETCH_AT_SEND leaves open whether the peer has acted.  No proxy, no cookies, no netrc; certificates
 * are verified.
 *
 * The text of a failure is for people.  It names the origin, never the
 * path, the query, or a header: those may be secrets.
 *
 * Both ends are one build on one machine, so integers are native.  Compiled
 * into imgapi.so as well: nothing of libcurl here.
 */
#ifndef IMGAPI_FETCH_H
#define IMGAPI_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/wire.h"

#define IMG_FETCH_MAGIC			0x696d6631	/* "imf1" */
#define IMG_FETCH_VERSION		1
#define IMG_FETCH_TRANSFERS		256 /* --transfers=N, unless told otherwise */
#define IMG_FETCH_INLINE		(16 * 1024) /* body, either way */
#define IMG_FETCH_MAX_URL		(8 * 1024)	/* with its NUL, as all lengths */
#define IMG_FETCH_MAX_HEADERS	(16 * 1024) /* all of one message */
#define IMG_FETCH_MAX_ORIGIN	320
#define IMG_FETCH_MAX_REDIRECTS 3

typedef enum ImgFetchType
{
	IMG_FETCH_START = 1,
	IMG_FETCH_CANCEL			/* only magic, version, type and id count */
} ImgFetchType;

typedef enum ImgFetchMethod
{
	IMG_FETCH_GET,
	IMG_FETCH_HEAD,
	IMG_FETCH_PUT,
	IMG_FETCH_POST,
	IMG_FETCH_DELETE,			/* GET, HEAD and DELETE have no body */
	IMG_FETCH_PATCH
} ImgFetchMethod;

/* Bits of ImgFetchRequest.flags */
typedef enum ImgFetchFlag
{
	IMG_FETCH_ALLOW_PRIVATE = 1,	/* any address may be connected */
	IMG_FETCH_FOLLOW = 2		/* redirects, as said above */
} ImgFetchFlag;

/* Of the times and speeds 0 stands for no limit, or libcurl's own (300 s to
 * connect).  Who allows N transfers of so many bytes has to have the memory. */
typedef struct ImgFetchLimits
{
	uint64_t	bytes;			/* response body */
	uint32_t	connect_ms;		/* name, connection and TLS together */
	uint32_t	total_ms;		/* redirects included */
	uint32_t	low_speed;		/* bytes/s, less than which … */
	uint32_t	low_speed_s;	/* … for so many seconds is a time-out */
	uint32_t	redirects;		/* ≤ IMG_FETCH_MAX_REDIRECTS */
	uint32_t	unused;
} ImgFetchLimits;

typedef struct ImgFetchRequest
{
	uint32_t	magic;
	uint16_t	version;
	uint16_t	type;			/* ImgFetchType */
	uint64_t	id;				/* not 0; comes back in the reply */
	uint16_t	method;			/* ImgFetchMethod */
	uint16_t	flags;			/* ImgFetchFlag */
	uint16_t	place;			/* ImgPlace of the body */
	uint16_t	unused;
	ImgFetchLimits limits;
	uint64_t	body_offset;	/* in the memfd */
	uint64_t	body_length;
	uint32_t	url_length;		/* follows this struct */
	uint32_t	headers_length; /* then these, then an inline body */
} ImgFetchRequest;

/* How a request ended.  Every HTTP status is IMG_FETCH_DONE. */
typedef enum ImgFetchOutcome
{
	IMG_FETCH_DONE,				/* there is an answer, and it is whole */
	IMG_FETCH_FAILED,			/* stage and text say why; may go better later */
	IMG_FETCH_TIMEOUT,			/* one of the times of the limits */
	IMG_FETCH_LIMIT,			/* answer larger than limits.bytes, headers
								 * than IMG_FETCH_MAX_HEADERS, redirects */
	IMG_FETCH_REFUSED,			/* policy or URL: the same again will not help */
	IMG_FETCH_CANCELLED
} ImgFetchOutcome;

/*
 * Where it ended.  Up to IMG_FETCH_AT_TLS nothing of the request has been
 * sent; from IMG_FETCH_AT_SEND on the peer may have acted on it.
 */
typedef enum ImgFetchStage
{
	IMG_FETCH_AT_NONE,
	IMG_FETCH_AT_URL,			/* the request: no URL that can be fetched, a
								 * header of two lines */
	IMG_FETCH_AT_POLICY,		/* an address that may not be reached */
	IMG_FETCH_AT_RESOLVE,		/* name to address */
	IMG_FETCH_AT_CONNECT,
	IMG_FETCH_AT_TLS,
	IMG_FETCH_AT_SEND,			/* request sent or not, no answer yet */
	IMG_FETCH_AT_TRANSFER,		/* within the answer */
	IMG_FETCH_AT_REDIRECT		/* an answer that is a redirect too many */
} ImgFetchStage;

/* µs since the start of the request; 0: not reached, or a connection that was
 * open already. */
typedef struct ImgFetchTimes
{
	uint32_t	resolve;		/* name known */
	uint32_t	connect;		/* connected */
	uint32_t	tls;
	uint32_t	first_byte;		/* of the answer */
	uint32_t	total;
	uint32_t	unused;
} ImgFetchTimes;

typedef struct ImgFetchReply
{
	uint32_t	magic;
	uint16_t	version;
	uint16_t	outcome;		/* ImgFetchOutcome */
	uint64_t	id;
	uint16_t	stage;			/* ImgFetchStage of a failure */
	uint16_t	status;			/* HTTP; 0: none received */
	uint16_t	place;			/* ImgPlace of the body */
	uint16_t	redirects;		/* followed */
	int64_t		retry_after;	/* s from now, as the answer asks; 0: does not */
	int64_t		content_length; /* as announced, for HEAD too; -1: was not */
	uint64_t	body_length;
	ImgFetchTimes times;
	char		address[48];	/* that was connected; empty: none */
	uint32_t	text_length;	/* follow this struct: of a failure, 0: none */
	uint32_t	origin_length;	/* "https://host:port" of the answer, 0 unless
								 * a redirect has led to another origin */
	uint32_t	headers_length; /* of the answer; then an inline body */
	uint32_t	unused;
} ImgFetchReply;

/* What a request is made of, for img_fetch_start(). */
typedef struct ImgFetch
{
	uint64_t	id;
	ImgFetchMethod method;
	uint16_t	flags;
	ImgFetchLimits limits;
	const char *url;
	const char *headers;		/* strings one behind the other, or NULL */
	size_t		headers_length;
	const void *body;			/* small enough to go inline, or NULL … */
	int			memfd;			/* … and then in here, if ≥ 0: kept open by
								 * the caller no longer than this call */
	uint64_t	body_offset;
	uint64_t	body_length;
} ImgFetch;

/*
 * Both return 0, or -1 with errno as img_send(): EAGAIN when the socket is full,
 * EPIPE when the fetcher is gone, EMSGSIZE when a part is longer than allowed.
 */
extern int	img_fetch_start(int socket, const ImgFetch *fetch, int flags);
extern int	img_fetch_cancel(int socket, uint64_t id, int flags);

/* Which request a message of that length answers; false: it is no reply. */
extern bool img_fetch_reply_id(const void *message, size_t length, uint64_t *id);

/*
 * Whether a reply of that length is well formed, its body not longer than
 * max_body and, where it came with a memfd (else -1), all of it in there and
 * sealed.  Everything below wants a valid reply.
 */
extern bool img_fetch_reply_valid(const ImgFetchReply *reply, size_t length,
								  int memfd, uint64_t max_body);

extern const char *img_fetch_text(const ImgFetchReply *reply);	/* "" if none */
extern const char *img_fetch_origin(const ImgFetchReply *reply);	/* "" if none */
extern const void *img_fetch_body(const ImgFetchReply *reply);	/* IMG_INLINE */

/* The value of a header, whose name is given in lower case; NULL: not there.
 * Of several with one name the first. */
extern const char *img_fetch_header(const ImgFetchReply *reply, const char *name);

/* The headers one by one: start with *at = 0, false at the end. */
extern bool img_fetch_next_header(const ImgFetchReply *reply, size_t *at,
								  const char **name, const char **value);

/* The stage in a word: img_job.stage. */
extern const char *img_fetch_stage_name(ImgFetchStage stage);

/* For the fetcher: whether a message is a request of this build. */
extern bool img_fetch_request_valid(const ImgFetchRequest *request, size_t length,
									int memfd);
extern const char *img_fetch_request_url(const ImgFetchRequest *request);
extern const char *img_fetch_request_headers(const ImgFetchRequest *request);
extern const void *img_fetch_request_body(const ImgFetchRequest *request);

#endif							/* IMGAPI_FETCH_H */
