/*
 * sandbox.h
 *	  What a helper program gives up before it sees the first foreign byte.
 *
 * Each program says what it needs with an ImgConfinement; everything else
 * is the same for all.
 */
#ifndef IMGAPI_PROGRAM_SANDBOX_H
#define IMGAPI_PROGRAM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <seccomp.h>

/* imgapi.sandbox */
typedef enum ImgSandbox
{
	IMG_SANDBOX_REQUIRE,		/* no start without */
	IMG_SANDBOX_PREFER,			/* as far as this kernel can */
	IMG_SANDBOX_OFF
} ImgSandbox;

typedef struct ImgConfinement
{
	/* system calls beside those that threads, memory, clocks and sockets that
	 * are open need; both end with -1 */
	const int  *allowed;
	const int  *refused;		/* EPERM: tried by libraries that go on without */
	/* rules that look at arguments; NULL: none.  0 or not 0 */
	int			(*add_conditions) (scmp_filter_ctx filter);
	uint32_t	otherwise;		/* action for all other calls */
	/* files and directories that may be read, ends with NULL; NULL: none, and
	 * then Landlock is only for kernels without seccomp */
	const char *const *readable;
	bool		may_connect;	/* by TCP */
} ImgConfinement;

/* By its word; false if it is none. */
extern bool img_sandbox_parse(const char *word, ImgSandbox *sandbox);

/*
 * Called once before the first thread (early) and once when everything is
 * loaded: Landlock binds only the threads to come, seccomp all there are.
 * Returns what holds from now on, "seccomp+landlock", "seccomp", "landlock" or
 * "off", or NULL with *problem when more is required.
 */
extern const char *img_sandbox_early(ImgSandbox wanted, const ImgConfinement *confinement);
extern const char *img_sandbox_close(ImgSandbox wanted, const ImgConfinement *confinement,
									 const char *early, const char **problem);

/* Limits of the process.  megabytes: memory on top of what is mapped now, 0: no
 * limit.  Returns how many descriptors there may be. */
extern size_t img_sandbox_limits(size_t megabytes, size_t descriptors);

#endif							/* IMGAPI_PROGRAM_SANDBOX_H */
