/*
 * sandbox.c
 *	  What an executor gives up before it sees the first picture.
 *
 * Runs in imgapi-executor.  From then on it computes and talks over the
 * sockets it has.  It opens no file and no socket, starts no program, signals
 * no process and makes no memory executable.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executor/sandbox.h"

#define MAX_DESCRIPTORS		64

/* What threads, memory, clocks and the sockets need. */
static const int allowed[] = {
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(pwrite64),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(lseek),
	SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(restart_syscall), SCMP_SYS(setitimer),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(getpriority), SCMP_SYS(getcpu),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getrandom), SCMP_SYS(sysinfo),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
};

/* Codecs try these and go on without. */
static const int refused[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink), SCMP_SYS(access), SCMP_SYS(stat),
	SCMP_SYS(dup), SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(setpriority),
	SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(uname), SCMP_SYS(ioctl),
};

/* Rules that look at arguments. */
static int
add_conditions(scmp_filter_ctx filter)
{
	int			failed = 0;

	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
							   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
							   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* threads, not processes; the flags of clone3 cannot be looked at */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
							   SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
							   SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* abort() */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
							   SCMP_A0(SCMP_CMP_EQ, (uint64_t) getpid()));
	return failed;
}

/* 0, or the error with its sign, as libseccomp reports it. */
static int
close_with_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int			failed;

	if (filter == NULL)
		return -ENOMEM;
	failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && failed == 0; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && failed == 0; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (failed == 0)
		failed = add_conditions(filter);
	if (failed == 0)
		failed = seccomp_load(filter);
	seccomp_release(filter);
	return failed;
}

static bool
have_seccomp(void)
{
	uint32_t	action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Newer than the headers of Debian 12. */
struct landlock_attributes
{
	uint64_t	handled_access_fs;
	uint64_t	handled_access_net;
	uint64_t	scoped;
};

/* Handles everything that this kernel knows, and allows none of it. */
static bool
close_with_landlock(void)
{
	static const struct
	{
		int			fs_rights;
		int			net_rights;
		int			scopes;
	}			abi[] = {{0, 0, 0}, {13, 0, 0}, {14, 0, 0}, {15, 0, 0}, {15, 2, 0}, {16, 2, 0}, {16, 2, 2}};
	struct landlock_attributes attributes = {0};
	long		version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int			rules;
	bool		done;

	if (version < 1)
		return false;
	if (version > 6)
		version = 6;
	attributes.handled_access_fs = (UINT64_C(1) << abi[version].fs_rights) - 1;
	attributes.handled_access_net = (UINT64_C(1) << abi[version].net_rights) - 1;
	attributes.scoped = (UINT64_C(1) << abi[version].scopes) - 1;
	rules = syscall(SYS_landlock_create_ruleset, &attributes,
					version >= 6 ? 24 : version >= 4 ? 16 : 8, 0);
	if (rules < 0)
		return false;
	done = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	close(rules);
	return done;
}

const char *
img_sandbox_early(ImgSandbox wanted)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || wanted == IMG_SANDBOX_OFF)
		return "off";
	if (have_seccomp())
		return "off";
	return close_with_landlock() ? "landlock" : "off";
}

const char *
img_sandbox_close(ImgSandbox wanted, const char *early, const char **problem)
{
	int			failed;

	if (wanted == IMG_SANDBOX_OFF)
		return early;
	failed = close_with_seccomp();
	if (failed == 0)
		return "seccomp";
	if (wanted == IMG_SANDBOX_REQUIRE)
	{
		*problem = strerror(-failed);
		return NULL;
	}
	return early;
}

/* Mapped memory of this process now, in bytes. */
static size_t
mapped_now(void)
{
	size_t		pages = 0;
	FILE	   *file = fopen("/proc/self/statm", "r");

	if (file != NULL)
	{
		if (fscanf(file, "%zu", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * sysconf(_SC_PAGESIZE);
}

static void
limit(int resource, rlim_t value)
{
	struct rlimit now;

	if (getrlimit(resource, &now) != 0)
		return;
	if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
		value = now.rlim_max;
	setrlimit(resource, &(struct rlimit) {value, value});
}

/*
 * The limit is on address space, of which the libraries have mapped much
 * before the first picture: that does not count.
 */
void
img_sandbox_limits(size_t megabytes)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, MAX_DESCRIPTORS);
	if (megabytes > 0)
		limit(RLIMIT_AS, mapped_now() + megabytes * 1024 * 1024);
}
