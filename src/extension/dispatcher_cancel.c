/*
 * dispatcher_cancel.c
 *	  Jobs that have been cancelled while they wait for the network or for their
 *	  servers.
 *
 * Runs in a dispatcher, outside of transactions.
 */
#include "postgres.h"

#include "extension/dispatcher_remote.h"

/* Jobs of which it is found out at a time whether they have been cancelled. */
#define ASKED_ABOUT		64

typedef struct Asked
{
	ImgJob	   *job[ASKED_ABOUT];
	int			count;
	void		(*end) (ImgJob *job);
} Asked;

static void
end_gone(Asked *asked)
{
	bool		gone[ASKED_ABOUT];

	if (asked->count > 0)
		img_find_gone(asked->job, asked->count, gone);
	for (int i = 0; i < asked->count; i++)
		if (gone[i])
			asked->end(asked->job[i]);
	asked->count = 0;
}

static void
ask_about(Asked *asked, ImgJob *job)
{
	if (asked->count == ASKED_ABOUT)
		end_gone(asked);
	asked->job[asked->count++] = job;
}

void
img_waiting_end_cancelled(void)
{
	dlist_head *const list[] = {&img_dispatcher.network, &img_dispatcher.to_store, &img_dispatcher.to_read};
	Asked		on_network = {.end = img_network_end};
	Asked		with_server = {.end = img_remote_end};
	dlist_mutable_iter iter;

	for (int i = 0; i < lengthof(list); i++)
		dlist_foreach_modify(iter, list[i])
			ask_about(&on_network, dlist_container(ImgJob, node, iter.cur));
	end_gone(&on_network);
	/* those that are just being submitted end when the answer has been kept */
	dlist_foreach_modify(iter, &img_dispatcher.remote)
		if (!img_remote_is_submitting(dlist_container(ImgJob, node, iter.cur)))
			ask_about(&with_server, dlist_container(ImgJob, node, iter.cur));
	end_gone(&with_server);
	/* servers may have to be told */
	img_followup_soon();
}
