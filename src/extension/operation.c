/*
 * operation.c
 *	  Named operations: looking them up, and what their results are called.
 *
 * Runs in client backends and in dispatchers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "extension/compile.h"
#include "extension/home.h"
#include "extension/operation.h"
#include "servers/server_type.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(img_operation_check);

static ImgStatement data_of = {
	"SELECT $S.img_operation_data($1, $2)", 2, {TEXTOID, REGROLEOID}
};

Jsonb *
img_operation_data(const ImgHome *home, const char *operation_id, Oid who)
{
	Datum		values[] = {CStringGetTextDatum(operation_id), ObjectIdGetDatum(who)};
	MemoryContext caller = CurrentMemoryContext;
	ImgIdentity before;
	Jsonb	   *data;
	bool		isnull;

	SPI_connect();
	img_become(home->owner, false, &before);
	img_execute_now(&data_of, values, NULL);
	img_resume(&before);
	MemoryContextSwitchTo(caller);
	data = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return data;
}

char *
img_output_name(const char *name, const char *operation_id, int ordinal, int count, const ImgFacts *facts)
{
	const char *extensions = facts->format < img_format_count ? img_formats[facts->format]->extensions : "bin";

	return psprintf("%s%s%s%s.%.*s", name, operation_id ? "_" : "", operation_id ? operation_id : "",
					count > 1 ? psprintf("_%04d", ordinal) : "",
					(int) strcspn(extensions, " "), extensions);
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

Jsonb *
img_operation_request(const char *operation_id, Jsonb *data, const char *folder)
{
	JsonbParseState *state = NULL;
	JsonbValue	value = {.type = jbvBinary};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, WJB_KEY, "operation_id");
	push_text(&state, WJB_VALUE, operation_id);
	push_text(&state, WJB_KEY, "data");
	value.val.binary.data = &data->root;
	value.val.binary.len = VARSIZE(data) - VARHDRSZ;
	pushJsonbValue(&state, WJB_VALUE, &value);
	if (folder != NULL)
	{
		push_text(&state, WJB_KEY, "destination");
		push_text(&state, WJB_VALUE, folder);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Raises what is wrong with the steps of an operation.  What a server has is
 * refused when it is to be done without one. */
Datum
img_operation_check(PG_FUNCTION_ARGS)
{
	ImgCompiled compiled;

	img_compile_steps(PG_GETARG_JSONB_P(0), img_server_nhn.name, &compiled);
	PG_RETURN_BOOL(true);
}
