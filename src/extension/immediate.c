/*
 * immediate.c
 *	  img_info(), img_edit(), img_formats(): no job, the answer right now.
 *
 * Runs in client backends; the pixel work happens in an executor.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "extension/compile.h"
#include "extension/home.h"
#include "extension/immediate_client.h"
#include "extension/settings.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(img_info);
PG_FUNCTION_INFO_V1(img_edit);
PG_FUNCTION_INFO_V1(img_formats_list);

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

Datum
img_info(PG_FUNCTION_ARGS)
{
	bytea	   *picture = picture_argument(fcinfo, 0);
	ImgAnswer	answer;

	img_home_of_function(fcinfo->flinfo->fn_oid);
	img_ask_executor(IMG_INFO, NULL, VARDATA_ANY(picture), VARSIZE_ANY_EXHDR(picture), &answer);
	img_report_answer(&answer);
	return img_facts_datum(&answer.reply.source, VARSIZE_ANY_EXHDR(picture));
}

Datum
img_edit(PG_FUNCTION_ARGS)
{
	Jsonb	   *operations = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb	   *output = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	const ImgPlan *plan = img_compile_cached(operations, output, NULL);
	bytea	   *picture;
	ImgAnswer	answer;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	picture = picture_argument(fcinfo, 0);
	img_ask_executor(IMG_EDIT, plan, VARDATA_ANY(picture), VARSIZE_ANY_EXHDR(picture), &answer);
	img_report_answer(&answer);
	PG_RETURN_BYTEA_P(answer.output);
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
	return PointerGetDatum(construct_array(word, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
img_formats_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const ImgFormatAbility *ability;
	ImgAnswer	answer;
	uint32_t	allowed = img_allowed_formats();

	img_ask_executor(IMG_FORMATS, NULL, NULL, 0, &answer);
	img_report_answer(&answer);
	if (answer.output == NULL || VARSIZE(answer.output) - VARHDRSZ < img_format_count * sizeof(ImgFormatAbility))
		elog(ERROR, "the image executor knows other formats than this library");
	ability = (const ImgFormatAbility *) VARDATA(answer.output);

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
