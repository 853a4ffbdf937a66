/*
 * serve.h
 *	  The two ways in which an executor gets its requests; see wire.h.
 */
#ifndef IMGAPI_EXECUTOR_SERVE_H
#define IMGAPI_EXECUTOR_SERVE_H

/* Both return the exit status of the process. */
extern int	img_serve_owner(void);
extern int	img_serve_pool(void);

#endif							/* IMGAPI_EXECUTOR_SERVE_H */
