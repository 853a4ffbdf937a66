/*
 * answer.c
 *	  What an executor answered: checked, and turned into PostgreSQL's terms.
 *
 * Runs in client backends and in dispatchers.  Nothing in a packet is believed
 * before img_reply_valid() has seen it: the executor has read a stranger's file.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "extension/answer.h"
#include "extension/executor_process.h"
#include "extension/home.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Reads so many bytes of the output, which begins at text or in the memfd. */
static bool
read_output(const ImgReply *reply, const char *text, int memfd, uint64 at, void *to, uint64 length)
{
	if (at > reply->output_length || length > reply->output_length - at)
		return false;
	if (reply->place == IMG_INLINE)
		memcpy(to, text + at, length);
	return reply->place == IMG_INLINE || img_read_all(memfd, to, length, at) == 0;
}

static bool
read_bytes(const ImgReply *reply, const char *text, int memfd, uint64 at, uint64 length, bytea **to)
{
	if (length > IMG_MAX_OUTPUT)
		return false;
	*to = palloc_extended(VARHDRSZ + length, MCXT_ALLOC_HUGE);
	SET_VARSIZE(*to, VARHDRSZ + length);
	return read_output(reply, text, memfd, at, VARDATA(*to), length);
}

/* 0 is a descriptor, so no output may be left as zeros. */
ImgOutput *
img_new_outputs(int count)
{
	ImgOutput  *output = palloc0(count * sizeof(ImgOutput));

	for (int i = 0; i < count; i++)
		output[i].memfd = -1;
	return output;
}

/* Several outputs: their list, then their bytes. */
static bool
read_pieces(const ImgReply *reply, const char *text, int memfd, ImgAnswer *answer)
{
	ImgPiece	piece[IMG_MAX_PIECES];
	uint64		at = reply->outputs * sizeof(ImgPiece);

	if (reply->outputs > IMG_MAX_PIECES || !read_output(reply, text, memfd, 0, piece, at))
		return false;
	answer->output = img_new_outputs(reply->outputs);
	for (int i = 0; i < reply->outputs; i++)
	{
		ImgOutput  *output = &answer->output[i];

		output->facts = piece[i].facts;
		if (!img_facts_valid(&output->facts) ||
			!read_bytes(reply, text, memfd, at, piece[i].length, &output->data))
			return false;
		output->bytes = piece[i].length;
		at += piece[i].length;
	}
	answer->outputs = reply->outputs;
	return at == reply->output_length;
}

/* The output from one memfd to another, by the kernel. */
static bool
keep_in_memfd(const ImgReply *reply, int memfd, ImgOutput *output)
{
	output->data = NULL;
	output->memfd = img_new_memfd();
	if (img_memfd_copy(output->memfd, 0, memfd, reply->output_length) == 0)
		return true;
	close(output->memfd);
	output->memfd = -1;
	return false;
}

static bool
read_answer(const char *packet, size_t length, uint64 id, int memfd, bool in_memory, ImgAnswer *answer)
{
	ImgReply   *reply = &answer->reply;
	const char *text = packet + sizeof(ImgReply);

	if (length < sizeof(ImgReply))
		return false;
	memcpy(reply, packet, sizeof(ImgReply));
	if (!img_reply_valid(reply, length, id, memfd >= 0, IMG_MAX_OUTPUT))
		return false;

	answer->text = palloc(reply->text_length + 1);
	memcpy(answer->text, text, reply->text_length);
	answer->text[reply->text_length] = '\0';
	img_make_printable(answer->text, reply->text_length);

	answer->output = NULL;
	answer->outputs = 0;
	if (reply->place == IMG_NOWHERE)
		return true;
	text += reply->text_length;
	if (reply->outputs > 1)
		return read_pieces(reply, text, memfd, answer);
	answer->output = img_new_outputs(1);
	answer->output->facts = reply->output;
	answer->output->bytes = reply->output_length;
	answer->outputs = 1;
	if (!in_memory && reply->place == IMG_MEMFD)
		return keep_in_memfd(reply, memfd, answer->output);
	return read_bytes(reply, text, memfd, 0, reply->output_length, &answer->output->data);
}

bool
img_read_answer(const char *packet, size_t length, uint64 id, int memfd, ImgAnswer *answer)
{
	return read_answer(packet, length, id, memfd, true, answer);
}

bool
img_take_answer(const char *packet, size_t length, uint64 id, int memfd, ImgAnswer *answer)
{
	return read_answer(packet, length, id, memfd, false, answer);
}

int
img_outcome_sqlstate(ImgOutcome outcome)
{
	switch (outcome)
	{
		case IMG_DONE:
			return ERRCODE_SUCCESSFUL_COMPLETION;
		case IMG_BAD_PICTURE:
			return ERRCODE_DATA_EXCEPTION;
		case IMG_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case IMG_LIMIT:
		case IMG_TIMEOUT:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case IMG_BAD_PLAN:
			return ERRCODE_INTERNAL_ERROR;
		case IMG_MISFIT:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case IMG_FAILURE:
			break;
	}
	return ERRCODE_SYSTEM_ERROR;
}

const char *
img_outcome_hint(const ImgReply *reply)
{
	switch (reply->outcome)
	{
		case IMG_UNSUPPORTED:
			return "SELECT * FROM img_formats();";
		case IMG_LIMIT:
			return "The limits are imgapi.max_source_pixels, max_frames, max_output_side and executor_memory; an administrator may raise them with ALTER SYSTEM SET.";
		case IMG_TIMEOUT:
			return "An administrator may raise the limit: ALTER SYSTEM SET imgapi.job_timeout = '5min';";
		case IMG_MISFIT:
			return "SELECT (img_info(picture)).* shows the size of a picture.";
		case IMG_BAD_PLAN:
			return "imgapi.so and imgapi-executor are of different builds: install both and restart the server.";
		default:
			return NULL;
	}
}

const char *
img_stage_name(ImgStage stage)
{
	static const char *const names[] = {"executor", "read", "header", "decode", "operation", "encode"};

	return names[stage];
}

const char *
img_warning_text(uint32_t warnings)
{
	if (warnings & IMG_WARNING_FIRST_FRAME)
		return "the picture is animated, but the output format is not: only the first frame was used";
	if (warnings & IMG_WARNING_PROFILE)
		return "the colour profile of the picture is unusable and was ignored";
	return NULL;
}

void
img_report_answer(const ImgAnswer *answer)
{
	const char *hint = img_outcome_hint(&answer->reply);
	const char *warning = img_warning_text(answer->reply.warnings);

	if (answer->reply.outcome != IMG_DONE)
		ereport(ERROR,
				(errcode(img_outcome_sqlstate(answer->reply.outcome)),
				 errmsg("%s", answer->text[0] ? answer->text : "the image executor failed without a message"),
				 errdetail("Stage: %s.", img_stage_name(answer->reply.stage)),
				 hint ? errhint("%s", hint) : 0));
	if (warning != NULL)
		ereport(WARNING, (errmsg("%s", warning)));
}

/* First word of a list such as "jpg jpeg jpe". */
static char *
first_word(const char *words)
{
	return pnstrdup(words, strcspn(words, " "));
}

static Datum
megapixels(const ImgFacts *facts)
{
	char		text[48];

	snprintf(text, sizeof(text), "%.6f", (double) facts->width * facts->height / 1e6);
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* NULL unless it is a timestamp; the executor's word is not enough. */
static Datum
taken_at(const ImgFacts *facts, bool *isnull)
{
	int			y, mo, d, h, mi, s;
	struct pg_tm tm = {0};
	Timestamp	result;

	*isnull = true;
	if (sscanf(facts->taken_at, "%4d-%2d-%2d %2d:%2d:%2d", &y, &mo, &d, &h, &mi, &s) != 6 ||
		y < 1800 || y > 9999 || mo < 1 || mo > 12 || d < 1 || d > day_tab[isleap(y)][mo - 1] ||
		h > 23 || mi > 59 || s > 59 || h < 0 || mi < 0 || s < 0)
		return (Datum) 0;
	tm.tm_year = y;
	tm.tm_mon = mo;
	tm.tm_mday = d;
	tm.tm_hour = h;
	tm.tm_min = mi;
	tm.tm_sec = s;
	if (tm2timestamp(&tm, 0, NULL, &result) != 0)
		return (Datum) 0;
	*isnull = false;
	return TimestampGetDatum(result);
}

Datum
img_facts_datum(const ImgFacts *facts, uint64 bytes)
{
	Datum		values[15] = {0};
	bool		nulls[15] = {false};
	TupleDesc	desc = lookup_rowtype_tupdesc(img_type("img_metadata"), -1);
	Datum		result;
	char		color_space[sizeof(facts->color_space)];

	if (facts->format < img_format_count)
	{
		const ImgFormat *format = img_formats[facts->format];

		values[0] = CStringGetTextDatum(format->name);
		values[1] = CStringGetTextDatum(format->mime);
		values[2] = CStringGetTextDatum(first_word(format->extensions));
	}
	else
		nulls[0] = nulls[1] = nulls[2] = true;
	values[3] = Int32GetDatum(facts->width);
	values[4] = Int32GetDatum(facts->height);
	values[5] = megapixels(facts);
	values[6] = Int64GetDatum(bytes);
	/* what a server has read and does not tell */
	nulls[3] = nulls[4] = nulls[5] = facts->width == 0;
	nulls[6] = bytes == 0;
	values[7] = Int32GetDatum(facts->pages);
	values[8] = BoolGetDatum(facts->has_alpha != 0);
	values[9] = Int32GetDatum(facts->orientation);
	strlcpy(color_space, facts->color_space, sizeof(color_space));
	img_make_printable(color_space, strlen(color_space));
	values[10] = CStringGetTextDatum(color_space);
	values[11] = BoolGetDatum(facts->has_icc != 0);
	values[12] = taken_at(facts, &nulls[12]);
	nulls[13] = !(fabs(facts->lat) <= 90);
	nulls[14] = !(fabs(facts->lng) <= 180);
	values[13] = Float8GetDatum(facts->lat);
	values[14] = Float8GetDatum(facts->lng);
	result = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	ReleaseTupleDesc(desc);
	return result;
}
