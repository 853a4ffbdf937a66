/*
 * confinement.c
 *	  What an executor may do once it sees pictures.
 *
 * Runs in imgapi-executor.  It computes and talks over the sockets it has; it
 * opens no file and no socket.
 */
#include "executor/confinement.h"

static const int allowed[] = {
	SCMP_SYS(accept4), SCMP_SYS(setitimer), SCMP_SYS(getpriority),
	-1
};

/* Codecs try these and go on without. */
static const int refused[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink), SCMP_SYS(access), SCMP_SYS(stat),
	SCMP_SYS(dup), SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(setpriority),
	SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(uname), SCMP_SYS(ioctl),
	-1
};

const ImgConfinement img_executor_confinement = {
	.allowed = allowed,
	.refused = refused,
	.otherwise = SCMP_ACT_KILL_PROCESS
};
