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

/* What a request becomes. */
typedef struct ImgCompiled
{
	ImgPlan		plan;
	char	   *other;			/* names the picture that the plan needs besides
								 * the source; NULL: none */
	char	   *destination;	/* storage URI of the result; NULL: the database */
	char	   *needs;			/* with IMG_ANY_SERVER, paths that our executors
								 * cannot do, one a line; NULL: they can do all */
} ImgCompiled;

/* As a server_type: what each server can do is not looked at. */
#define IMG_ANY_SERVER	"*"

/*
 * Validates a request of the edit contract and compiles it.  NULL and JSON null
 * are an empty request.  server_type is the type of the foreign server that is
 * to run it, NULL for the database's own executors.  Raises an error that names
 * the JSON path of what is wrong.
 */
extern void img_compile(Jsonb *operations, Jsonb *output,
						const char *server_type, ImgCompiled *compiled);

/*
 * The same for the steps of an operation: an array of templates.
 */
extern void img_compile_steps(Jsonb *data, const char *server_type, ImgCompiled *compiled);

/*
 * The same for what a job keeps (img_job.request), of either kind.
 */
extern void img_compile_request(Jsonb *request, const char *server_type, ImgCompiled *compiled);

/*
 * As img_compile(), remembering the last few requests.  The plan is good until the
 * next call.
 */
extern const ImgCompiled *img_compile_cached(Jsonb *operations, Jsonb *output,
											 const char *server_type);

/* A member of a request; NULL: not there, or null. */
extern Jsonb *img_request_member(Jsonb *request, const char *key);

#endif							/* IMGAPI_COMPILE_H */
