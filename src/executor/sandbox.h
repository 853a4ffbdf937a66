/*
 * sandbox.h
 *	  What an executor gives up before it sees the first picture.
 */
#ifndef IMGAPI_EXECUTOR_SANDBOX_H
#define IMGAPI_EXECUTOR_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* imgapi.sandbox */
typedef enum ImgSandbox
{
	IMG_SANDBOX_REQUIRE,		/* no start without */
	IMG_SANDBOX_PREFER,			/* as far as this kernel can */
	IMG_SANDBOX_OFF
} ImgSandbox;

/*
 * Called once before libvips starts threads (early) and once after the warm-up:
 * Landlock binds only the threads to come, seccomp all there are.  Returns
 * what holds from now on, "seccomp", "landlock" or "off", or NULL with
 * *problem when more is required.
 */
extern const char *img_sandbox_early(ImgSandbox wanted);
extern const char *img_sandbox_close(ImgSandbox wanted, const char *early, const char **problem);

/* Limits of the process.  megabytes: memory for pictures, 0: no limit. */
extern void img_sandbox_limits(size_t megabytes);

#endif							/* IMGAPI_EXECUTOR_SANDBOX_H */
