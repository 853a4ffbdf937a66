/*
 * imgapi.c
 *	  Entry point of the extension.
 *
 * With shared_preload_libraries = 'imgapi' this runs in the postmaster: shared
 * memory is reserved and the launcher is registered.  Without, it runs in the
 * first backend that calls a function: immediate functions work, jobs wait.
 * Nothing of libvips or libcurl is linked here.
 */
#include "extension/imgapi.h"

#include "extension/settings.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM >= 180000
PG_MODULE_MAGIC_EXT(.name = "imgapi", .version = IMG_VERSION);
#else
PG_MODULE_MAGIC;
#endif

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	img_define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	img_shared_request();
	img_register_launcher();
	img_install_utility_hook();
}

WaitEventSet *
img_worker_events(int epoll)
{
#if PG_VERSION_NUM >= 170000
	WaitEventSet *events = CreateWaitEventSet(NULL, 3);
#else
	WaitEventSet *events = CreateWaitEventSet(TopMemoryContext, 3);
#endif

	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(events, WL_SOCKET_READABLE, epoll, NULL, NULL);
	return events;
}

uint32
img_wait_event(uint32 *cached, const char *name)
{
#if PG_VERSION_NUM >= 170000
	if (*cached == 0)
		*cached = WaitEventExtensionNew(name);
	return *cached;
#else
	return PG_WAIT_EXTENSION;
#endif
}
