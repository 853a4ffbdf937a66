/*
 * operation.h
 *	  Named operations.
 */
#ifndef IMGAPI_OPERATION_H
#define IMGAPI_OPERATION_H

#include "extension/home.h"
#include "protocol/wire.h"
#include "utils/jsonb.h"

/*
 * The steps of an operation that the role has, or that is a template.  Connects
 * to SPI.  Error 02000 when there is none.
 */
extern Jsonb *img_operation_data(const ImgHome *home, const char *operation_id, Oid who);

/*
 * The name of an output by the operation contract: {name}_{operation_id}.{ext},
 * with _0000, _0001, … when there are several.  operation_id may be NULL.
 */
extern char *img_output_name(const char *name, const char *operation_id, int ordinal, int count,
							 const ImgFacts *facts);

/* {"operation_id": …, "data": …}: img_job.request of an operation job; with
 * "destination": … if its results go to a folder of the file tree (NULL: no). */
extern Jsonb *img_operation_request(const char *operation_id, Jsonb *data, const char *folder);

#endif							/* IMGAPI_OPERATION_H */
