/*
 * compile.h
 *	  From the JSON of a request to a plan.
 *
 * Runs in backends and in the dispatcher, never in an executor.
 */
#ifndef IMGAPI_COMPILE_H
#define IMGAPI_COMPILE_H

#include "postgres.h"

#include "plan/plan.h"
#include "utils/jsonb.h"

/*
 * Validates a request of the edit contract and compiles it.  NULL and JSON null
 * are an empty request.  server_type is the type of the foreign server that is
 * to run it, NULL for the database's own executors.  Raises an error that names
 * the JSON path of what is wrong.
 */
extern void img_compile(Jsonb *operations, Jsonb *output,
						const char *server_type, ImgPlan *plan);

/*
 * The same, remembering the last few requests.  The plan is good until the
 * next call.
 */
extern const ImgPlan *img_compile_cached(Jsonb *operations, Jsonb *output,
										 const char *server_type);

#endif							/* IMGAPI_COMPILE_H */
