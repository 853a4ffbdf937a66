/*
 * resolver.c
 *	  Whether names are still resolved as this machine is told now.
 *
 * Runs in imgapi-fetcher.  Landlock binds files, not their names, and
 * resolv.conf is usually changed by putting a new file in its place.
 */
#include <string.h>
#include <sys/stat.h>

#include "fetcher/resolver.h"

static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};

#define FILES	(sizeof(files) / sizeof(files[0]))

typedef struct Identity
{
	dev_t		device;
	ino_t		inode;			/* 0: no such file */
} Identity;

static Identity remembered[FILES];

static Identity
identity_of(const char *file)
{
	struct stat status;
	Identity	identity = {0};

	if (stat(file, &status) == 0)
	{
		identity.device = status.st_dev;
		identity.inode = status.st_ino;
	}
	return identity;
}

void
img_resolver_remember(void)
{
	for (size_t i = 0; i < FILES; i++)
		remembered[i] = identity_of(files[i]);
}

bool
img_resolver_changed(void)
{
	for (size_t i = 0; i < FILES; i++)
	{
		Identity	now = identity_of(files[i]);

		if (now.device != remembered[i].device || now.inode != remembered[i].inode)
			return true;
	}
	return false;
}
