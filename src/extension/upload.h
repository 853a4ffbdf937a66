/*
 * upload.h
 *	  What a trigger of img_on_upload() says.
 */
#ifndef IMGAPI_UPLOAD_H
#define IMGAPI_UPLOAD_H

#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "extension/home.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* What a trigger says, checked. */
typedef struct ImgUpload
{
	Relation	relation;
	const char *source_column;
	AttrNumber	source;
	const char *target_column;	/* or NULL */
	Oid			target_type;
	AttrNumber *key;
	int			nkey;
	FmgrInfo	output[INDEX_MAX_KEYS]; /* of the key's types */
	bool		key_varies;		/* its text depends on settings */
	bool		is_operation;	/* the request names one */
	const char *server;			/* that does it; NULL: our executors */
	Jsonb	   *request;
} ImgUpload;

/* Called as a trigger, at a time and with arguments that make sense; else
 * 39P01 or 22023. */
extern void img_upload_check_call(FunctionCallInfo fcinfo);

/* Reads the arguments, all but the JSON. */
extern void img_upload_read(TriggerData *data, ImgUpload *upload);

/* What submitting needs beyond cancelling: rights (42501, naming the grant),
 * and a valid request, which is filled in. */
extern void img_upload_check_submission(const ImgHome *home, TriggerData *data, ImgUpload *upload);

/* The primary key of a row as the text of a text array. */
extern Datum img_upload_key(ImgUpload *upload, TupleTableSlot *slot);

#endif							/* IMGAPI_UPLOAD_H */
