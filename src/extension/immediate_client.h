/*
 * immediate_client.h
 *	  One picture, right now, from a client backend.
 */
#ifndef IMGAPI_IMMEDIATE_CLIENT_H
#define IMGAPI_IMMEDIATE_CLIENT_H

#include "extension/answer.h"
#include "extension/executor_process.h"

/*
 * Has an executor of the pool do it, or, where there is no pool, one that
 * belongs to this session.  Waits interruptibly.  Error 58000 when the executor
 * dies; what the executor itself reports is in the answer.
 */
extern void img_ask_executor(ImgRequestType type, const ImgPlan *plan,
							 const ImgInput *input, ImgAnswer *answer);

#endif							/* IMGAPI_IMMEDIATE_CLIENT_H */
