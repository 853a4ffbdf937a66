/*
 * sandbox.c
 *	  What a helper program gives up before it sees the first foreign byte.
 *
 * Runs in imgapi-executor and imgapi-fetcher.  From then on they do what
 * their ImgConfinement says, and whatever that is: no program is started, no
 * process signalled, nothing written to a file that has a name, no memory made
 * executable.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "program/sandbox.h"

/* What threads, memory, clocks and sockets that are open need. */
static const int allowed[] = {
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(pwrite64),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(lseek),
	SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(getcpu),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getrandom), SCMP_SYS(sysinfo),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	-1
};

bool
img_sandbox_parse(const char *word, ImgSandbox *sandbox)
{
	static const char *const words[] = {"require", "prefer", "off"};

	for (int i = 0; i < 3; i++)
	{
		if (strcmp(word, words[i]) == 0)
		{
			*sandbox = i;
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ seccomp */

/* Rules that look at arguments and hold for all. */
static int
add_conditions(scmp_filter_ctx filter, uint32_t otherwise)
{
	int			failed = 0;

	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
							   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
							   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* threads, not processes; the flags of clone3 cannot be looked at */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
							   SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (otherwise != SCMP_ACT_ERRNO(ENOSYS))
		failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
							   SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* abort() */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
							   SCMP_A0(SCMP_CMP_EQ, (uint64_t) getpid()));
	return failed;
}

static int
add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
	int			failed = 0;

	for (; *calls != -1 && failed == 0; calls++)
		failed = seccomp_rule_add(filter, action, *calls, 0);
	return failed;
}

/* 0, or the error with its sign, as libseccomp reports it. */
static int
close_with_seccomp(const ImgConfinement *confinement)
{
	scmp_filter_ctx filter = seccomp_init(confinement->otherwise);
	int			failed;

	if (filter == NULL)
		return -ENOMEM;
	failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (failed == 0)
		failed = add_calls(filter, SCMP_ACT_ALLOW, allowed);
	if (failed == 0)
		failed = add_calls(filter, SCMP_ACT_ALLOW, confinement->allowed);
	if (failed == 0)
		failed = add_calls(filter, SCMP_ACT_ERRNO(EPERM), confinement->refused);
	if (failed == 0)
		failed = add_conditions(filter, confinement->otherwise);
	if (failed == 0 && confinement->add_conditions != NULL)
		failed = confinement->add_conditions(filter);
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

/* ----------------------------------------------------------------- Landlock */

/* Newer than the headers of Debian 12. */
struct landlock_attributes
{
	uint64_t	handled_access_fs;
	uint64_t	handled_access_net;
	uint64_t	scoped;
};

#define NET_CONNECT_TCP		(UINT64_C(1) << 1)

/* A path that is not there needs no rule. */
static bool
make_readable(int rules, const char *path)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
	struct stat status;
	bool		done;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return true;
	if (fstat(rule.parent_fd, &status) == 0 && S_ISDIR(status.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	close(rule.parent_fd);
	return done;
}

/* Handles everything that this kernel knows, and allows only what is said. */
static bool
close_with_landlock(const ImgConfinement *confinement)
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
	bool		done = true;

	if (version < 1)
		return false;
	if (version > 6)
		version = 6;
	attributes.handled_access_fs = (UINT64_C(1) << abi[version].fs_rights) - 1;
	attributes.handled_access_net = (UINT64_C(1) << abi[version].net_rights) - 1;
	if (confinement->may_connect)
		attributes.handled_access_net &= ~NET_CONNECT_TCP;
	attributes.scoped = (UINT64_C(1) << abi[version].scopes) - 1;
	rules = syscall(SYS_landlock_create_ruleset, &attributes,
					version >= 6 ? 24 : version >= 4 ? 16 : 8, 0);
	if (rules < 0)
		return false;
	for (const char *const *path = confinement->readable; path != NULL && *path != NULL; path++)
		done = done && make_readable(rules, *path);
	done = done && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	close(rules);
	return done;
}

/* --------------------------------------------------------------------- both */

const char *
img_sandbox_early(ImgSandbox wanted, const ImgConfinement *confinement)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || wanted == IMG_SANDBOX_OFF)
		return "off";
	/* seccomp cannot tell files apart */
	if (have_seccomp() && confinement->readable == NULL)
		return "off";
	return close_with_landlock(confinement) ? "landlock" : "off";
}

const char *
img_sandbox_close(ImgSandbox wanted, const ImgConfinement *confinement, const char *early, const char **problem)
{
	bool		landlock = strcmp(early, "landlock") == 0;
	int			failed;

	if (wanted == IMG_SANDBOX_OFF)
		return early;
	if (wanted == IMG_SANDBOX_REQUIRE && confinement->readable != NULL && !landlock)
	{
		*problem = "the kernel has no Landlock, without which this program could read files";
		return NULL;
	}
	failed = close_with_seccomp(confinement);
	if (failed == 0)
		return landlock ? "seccomp+landlock" : "seccomp";
	if (wanted == IMG_SANDBOX_REQUIRE)
	{
		*problem = strerror(-failed);
		return NULL;
	}
	return early;
}

/* ------------------------------------------------------------------- limits */

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

static rlim_t
limit(int resource, rlim_t value)
{
	struct rlimit now;

	if (getrlimit(resource, &now) != 0)
		return value;
	if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
		value = now.rlim_max;
	setrlimit(resource, &(struct rlimit) {value, value});
	return value;
}

/*
 * The limit is on address space, of which the libraries have mapped much
 * before the work begins: that does not count.
 */
size_t
img_sandbox_limits(size_t megabytes, size_t descriptors)
{
	limit(RLIMIT_CORE, 0);
	if (megabytes > 0)
		limit(RLIMIT_AS, mapped_now() + megabytes * 1024 * 1024);
	return limit(RLIMIT_NOFILE, descriptors);
}
