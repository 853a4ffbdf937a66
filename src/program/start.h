/*
 * start.h
 *	  How a helper program settles in, whatever its parent left it.
 */
#ifndef IMGAPI_PROGRAM_START_H
#define IMGAPI_PROGRAM_START_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Signals as new, no descriptor from first_foreign on, working directory /,
 * an end with the parent, first to go when memory runs out.  False when the
 * parent is not the one that was said (0: any) and has gone already.
 */
extern bool img_program_settle(pid_t parent, int first_foreign);

/* Standard input, output and error to /dev/null: libraries print what they
 * think of foreign bytes. */
extern void img_program_silence(void);

#endif							/* IMGAPI_PROGRAM_START_H */
