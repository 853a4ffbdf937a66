/*
 * immediate.c
 *	  img_info(), img_edit(), img_apply(), img_phash() and its like,
 *	  img_formats(): no job, the answer right now.
 *
 * Runs in client backends; the pixel work happens in an executor.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "extension/compile.h"
#include "extension/home.h"
#include "extension/immediate_client.h"
#include "extension/named_picture.h"
#include "extension/operation.h"
#include "extension/settings.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(img_info);
PG_FUNCTION_INFO_V1(img_edit);
PG_FUNCTION_INFO_V1(img_apply);
PG_FUNCTION_INFO_V1(img_phash);
PG_FUNCTION_INFO_V1(img_phash_distance);
PG_FUNCTION_INFO_V1(img_blurhash);
PG_FUNCTION_INFO_V1(img_dominant_color);
PG_FUNCTION_INFO_V1(img_unpack);
PG_FUNCTION_INFO_V1(img_formats_list);

#define BLURHASH_LENGTH	28
#define COLOR_LENGTH	7			/* "#rrggbb" */

static bytea *
picture_argument(FunctionCallInfo fcinfo, int position)
{
	bytea	   *picture;

	img_check_source_bytes(toast_raw_datum_size(PG_GETARG_DATUM(position)) - VARHDRSZ);
	picture = PG_GETARG_BYTEA_PP(position);
	if (VARSIZE_ANY_EXHDR(picture) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the picture is empty"),
				 errdetail("It has 0 bytes.")));
	return picture;
}

/* Has an executor do it; raises what went wrong. */
static void
ask(ImgRequestType type, const ImgPlan *plan, bytea *picture, bytea *other, ImgAnswer *answer)
{
	ImgInput	input = {0};

	if (picture != NULL)
	{
		input.picture.data = VARDATA_ANY(picture);
		input.picture.length = VARSIZE_ANY_EXHDR(picture);
	}
	if (other != NULL)
	{
		input.other.data = VARDATA_ANY(other);
		input.other.length = VARSIZE_ANY_EXHDR(other);
	}
	img_ask_executor(type, plan, &input, answer);
	img_report_answer(answer);
}

/* Runs a compiled request on a picture. */
static void
edit(const ImgCompiled *request, bytea *picture, ImgAnswer *answer)
{
	MemoryContext caller = CurrentMemoryContext;
	ImgPlan		plan = request->plan;	/* the cache may drop it meanwhile */

	if (request->other == NULL)
		ask(IMG_EDIT, &plan, picture, NULL, answer);
	else
	{
		bytea	   *other;

		SPI_connect();
		other = img_named_picture(request->other);
		MemoryContextSwitchTo(caller);
		ask(IMG_EDIT, &plan, picture, other, answer);
		SPI_finish();
	}
	if (answer->outputs == 0)
		elog(ERROR, "the image executor gave no result");
}

Datum
img_info(PG_FUNCTION_ARGS)
{
	bytea	   *picture = picture_argument(fcinfo, 0);
	ImgAnswer	answer;

	img_home_of_function(fcinfo->flinfo->fn_oid);
	ask(IMG_INFO, NULL, picture, NULL, &answer);
	return img_facts_datum(&answer.reply.source, VARSIZE_ANY_EXHDR(picture));
}

Datum
img_edit(PG_FUNCTION_ARGS)
{
	Jsonb	   *operations = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb	   *output = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	const ImgCompiled *request = img_compile_cached(operations, output, NULL);
	ImgAnswer	answer;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	img_home_of_function(fcinfo->flinfo->fn_oid);
	edit(request, picture_argument(fcinfo, 0), &answer);
	PG_RETURN_BYTEA_P(answer.output->data);
}

Datum
img_apply(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	char	   *operation_id;
	ImgCompiled request;
	ImgAnswer	answer;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	operation_id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	img_compile_steps(img_operation_data(home, operation_id, GetUserId()), NULL, &request);
	edit(&request, picture_argument(fcinfo, 0), &answer);
	for (int i = 0; i < answer.outputs; i++)
	{
		Datum		values[] = {
			Int32GetDatum(i),
			CStringGetTextDatum(img_output_name("image", operation_id, i, answer.outputs, &answer.output[i].facts)),
			PointerGetDatum(answer.output[i].data)
		};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The files in an archive, as an executor lists them: no length is believed. */
static void
put_entries(const char *at, size_t left, ReturnSetInfo *result)
{
	for (int i = 0; left > 0; i++)
	{
		ImgEntry	entry;
		Datum		values[3] = {Int32GetDatum(i)};
		bool		nulls[3] = {false};

		if (left < sizeof(entry))
			elog(ERROR, "the image executor lists files in other words than this library");
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		left -= sizeof(entry);
		if (entry.name_length > left || entry.length > left - entry.name_length)
			elog(ERROR, "the image executor lists files in other words than this library");
		if (!pg_verify_mbstr(PG_UTF8, at, entry.name_length, true))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the name of file %d in the archive is not UTF-8", i + 1),
					 errhint("Pack it with a program that writes names in UTF-8.")));
		values[1] = CStringGetTextDatum(pg_any_to_server(pnstrdup(at, entry.name_length), entry.name_length, PG_UTF8));
		values[2] = PointerGetDatum(cstring_to_text_with_len(at + entry.name_length, entry.length));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
		at += entry.name_length + entry.length;
		left -= entry.name_length + entry.length;
	}
}

Datum
img_unpack(PG_FUNCTION_ARGS)
{
	ImgAnswer	answer;

	InitMaterializedSRF(fcinfo, 0);
	ask(IMG_UNPACK, NULL, picture_argument(fcinfo, 0), NULL, &answer);
	if (answer.outputs == 0)
		elog(ERROR, "the image executor gave no result");
	put_entries(VARDATA(answer.output->data), answer.output->bytes, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/* What an executor says of the picture that is the only argument. */
static bytea *
description(FunctionCallInfo fcinfo, ImgRequestType type, size_t max_length)
{
	bytea	   *picture = picture_argument(fcinfo, 0);
	ImgAnswer	answer;

	ask(type, NULL, picture, NULL, &answer);
	if (answer.outputs == 0 || VARSIZE(answer.output->data) - VARHDRSZ > max_length)
		elog(ERROR, "the image executor describes pictures in other words than this library");
	return answer.output->data;
}

/* The same as text; NULL where there is nothing to say. */
static Datum
description_text(FunctionCallInfo fcinfo, ImgRequestType type, size_t max_length)
{
	bytea	   *output = description(fcinfo, type, max_length);

	if (VARSIZE(output) == VARHDRSZ)
		PG_RETURN_NULL();
	img_make_printable(VARDATA(output), VARSIZE(output) - VARHDRSZ);
	PG_RETURN_TEXT_P(output);
}

Datum
img_phash(PG_FUNCTION_ARGS)
{
	bytea	   *output = description(fcinfo, IMG_PHASH, sizeof(int64));
	int64		hash = 0;

	memcpy(&hash, VARDATA(output), VARSIZE(output) - VARHDRSZ);
	PG_RETURN_INT64(hash);
}

Datum
img_phash_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pg_popcount64(PG_GETARG_INT64(0) ^ PG_GETARG_INT64(1)));
}

Datum
img_blurhash(PG_FUNCTION_ARGS)
{
	return description_text(fcinfo, IMG_BLURHASH, BLURHASH_LENGTH);
}

Datum
img_dominant_color(PG_FUNCTION_ARGS)
{
	return description_text(fcinfo, IMG_DOMINANT_COLOR, COLOR_LENGTH);
}

/* "jpg jpeg jpe" as a text array. */
static Datum
words(const char *text)
{
	Datum		word[8];
	int			n = 0;

	while (*text != '\0' && n < lengthof(word))
	{
		int			length = strcspn(text, " ");

		word[n++] = PointerGetDatum(cstring_to_text_with_len(text, length));
		text += length;
		text += strspn(text, " ");
	}
	return img_array(word, NULL, n, TEXTOID);
}

Datum
img_formats_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const ImgFormatAbility *ability;
	ImgAnswer	answer;
	uint32_t	allowed = img_allowed_formats();

	ask(IMG_FORMATS, NULL, NULL, NULL, &answer);
	if (answer.outputs == 0 || VARSIZE(answer.output->data) - VARHDRSZ < img_format_count * sizeof(ImgFormatAbility))
		elog(ERROR, "the image executor knows other formats than this library");
	ability = (const ImgFormatAbility *) VARDATA(answer.output->data);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < img_format_count; i++)
	{
		const ImgFormat *format = img_formats[i];
		Datum		values[] = {
			CStringGetTextDatum(format->name), words(format->extensions), CStringGetTextDatum(format->mime),
			BoolGetDatum(ability[i].can_load), BoolGetDatum(ability[i].can_save && format->can_save),
			BoolGetDatum(format->can_animate), BoolGetDatum((allowed >> i) & 1)
		};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
