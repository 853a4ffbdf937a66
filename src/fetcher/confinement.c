/*
 * confinement.c
 *	  What a fetcher may do once it talks to the network.
 *
 * Runs in imgapi-fetcher.  It opens Internet sockets as a client, keeps
 * bodies in memory files, and reads what name resolution needs: glibc does
 * that in threads of this process, with whatever modules the administrator has
 * put into nsswitch.conf.  That is why a call that nobody has foreseen fails
 * here with ENOSYS instead of ending the process.  No local sockets: that of
 * PostgreSQL, where this user may be the superuser, is one.  And no code is
 * loaded: a resolver module outside of glibc counts as not available.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "fetcher/confinement.h"

static const int allowed[] = {
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1),
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(shutdown),
	SCMP_SYS(sendto), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(memfd_create), SCMP_SYS(pread64), SCMP_SYS(writev), SCMP_SYS(readv),
	SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(statx),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
	SCMP_SYS(sigaltstack),
	-1
};

static const int refused[] = {
	SCMP_SYS(open), SCMP_SYS(readlink), SCMP_SYS(access), SCMP_SYS(execve), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(kill), SCMP_SYS(ptrace), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	-1
};

/* The resolver's, and where systemd and others keep what resolv.conf links to. */
static const char *const readable[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf",
	"/etc/services", "/etc/protocols", "/etc/localtime",
	"/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/run/connman",
	"/dev/null", "/dev/urandom",
	NULL
};

static int
add_conditions(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
	static const int controls[] = {FIONREAD, FIONBIO};
	int			failed = 0;

	for (int i = 0; i < 3; i++)
		failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
								   SCMP_A0(SCMP_CMP_EQ, families[i]));
	/* how libcurl wakes itself; a datagram socket could be connected elsewhere */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
							   SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	for (int i = 0; i < 2; i++)
		failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
								   SCMP_A1(SCMP_CMP_EQ, controls[i]));
	/* reading only; which files, Landlock says */
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
							   SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	return failed;
}

const ImgConfinement img_fetcher_confinement = {
	.allowed = allowed,
	.refused = refused,
	.add_conditions = add_conditions,
	.otherwise = SCMP_ACT_ERRNO(ENOSYS),
	.readable = readable,
	.may_connect = true
};
