/*
 * program.h
 *	  Starting and ending the programs that stand beside the library: executors
 *	  and fetchers.
 */
#ifndef IMGAPI_PROGRAM_H
#define IMGAPI_PROGRAM_H

#include "postgres.h"

#include <sys/types.h>

/*
 * Starts the program argv[0] with fd3 as descriptor 3 and, unless it is
 * negative, fd4 as descriptor 4, and nothing else of ours.  -1 with errno.
 */
extern pid_t img_program_spawn(char **argv, int fd3, int fd4);

/* Kills it if it lives and reaps it; 0 is nobody.  Tells how it ended, as in
 * "killed by signal 11: Segmentation fault". */
extern const char *img_program_end(pid_t pid);

extern const char *img_program_path(const char *program);

/* Arguments that all of them take: --sandbox=… as set, --parent=our pid. */
extern char *img_sandbox_argument(void);
extern char *img_parent_argument(void);

#endif							/* IMGAPI_PROGRAM_H */
