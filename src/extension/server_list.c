/*
 * server_list.c
 *	  img_server_options(): what servers of each type are told, for people.
 *
 * Made from the declarations that CREATE SERVER is checked by.  Runs in
 * backends.
 */
#include "postgres.h"

#include "extension/server.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(img_server_options);

#define COLUMNS		7

static void
put_option(ReturnSetInfo *result, const ImgServerType *type, const ImgServerOption *option)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};

	values[0] = CStringGetTextDatum(type->name);
	values[1] = CStringGetTextDatum(option->name);
	values[2] = CStringGetTextDatum(option->of_mapping ? "user mapping" : "server");
	values[3] = BoolGetDatum(option->required);
	nulls[4] = option->initial == NULL;
	if (!nulls[4])
		values[4] = CStringGetTextDatum(option->initial);
	values[5] = CStringGetTextDatum(img_option_allowed(option));
	values[6] = CStringGetTextDatum(option->administrators ?
									psprintf("%s (administrators only)", option->help) : option->help);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
img_server_options(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < img_server_type_count; i++)
		for (const ImgServerOption *o = img_server_types[i]->options; o->name != NULL; o++)
			put_option((ReturnSetInfo *) fcinfo->resultinfo, img_server_types[i], o);
	PG_RETURN_NULL();
}
