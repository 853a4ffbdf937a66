/*
 * answer.h
 *	  What an executor answered, checked and understood.
 */
#ifndef IMGAPI_ANSWER_H
#define IMGAPI_ANSWER_H

#include "access/tupdesc.h"
#include "protocol/wire.h"

typedef struct ImgOutput
{
	bytea	   *data;			/* palloc'd; NULL: see memfd, or it has been given
								 * away */
	int			memfd;			/* the caller's to close; -1: none */
	uint64		bytes;
	ImgFacts	facts;
} ImgOutput;

typedef struct ImgAnswer
{
	ImgReply	reply;
	char	   *text;			/* error message, printable; palloc'd */
	ImgOutput  *output;			/* palloc'd */
	int			outputs;		/* 0: none */
} ImgAnswer;

/* So many outputs with nothing in them. */
extern ImgOutput *img_new_outputs(int count);

/*
 * Takes a packet apart and fetches the output from the memfd if it lies there.
 * False: the packet is not a proper answer to request id, so its sender cannot
 * be trusted with anything more.  Allocates in the current memory context.
 */
extern bool img_read_answer(const char *packet, size_t length, uint64 id, int memfd, ImgAnswer *answer);

/* The same, but a single output that lies in the memfd stays out of our memory:
 * it is copied to a memfd of its own. */
extern bool img_take_answer(const char *packet, size_t length, uint64 id, int memfd, ImgAnswer *answer);

/* Largest output that is taken from an executor. */
#define IMG_MAX_OUTPUT	((uint64) 900 * 1024 * 1024)

/* SQLSTATE of an outcome, and what may help (NULL: nothing to say). */
extern int	img_outcome_sqlstate(ImgOutcome outcome);
extern const char *img_outcome_hint(const ImgReply *reply);

/* "header", "decode" …: img_job.stage */
extern const char *img_stage_name(ImgStage stage);

/* Raises what went wrong, or a WARNING for what a user should know. */
extern void img_report_answer(const ImgAnswer *answer);

/* NULL or the text of a warning. */
extern const char *img_warning_text(uint32_t warnings);

/* The facts as a value of type img_metadata; bytes is the length of the file. */
extern Datum img_facts_datum(const ImgFacts *facts, uint64 bytes);

#endif							/* IMGAPI_ANSWER_H */
