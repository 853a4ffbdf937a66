/*
 * as_owner.c
 *	  Calls that change the extension's own tables for somebody.
 *
 * Runs in client backends.  A function f(…) of this kind checks nothing itself:
 * it calls f_as(…, who) with the rights of the extension's owner, and who is
 * the role that has called.  f_as is SQL, revoked from everyone, and decides
 * what that role may do.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "extension/home.h"
#include "extension/queue.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(img_as_owner);

/* f_as for the function f that was called; its arguments and a role behind. */
static void
find_target(FunctionCallInfo fcinfo)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	Oid			types[FUNC_MAX_ARGS];
	oidvector  *arguments;
	Oid			target;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	memcpy(types, form->proargtypes.values, form->pronargs * sizeof(Oid));
	types[form->pronargs] = REGROLEOID;
	arguments = buildoidvector(types, form->pronargs + 1);
	target = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							 CStringGetDatum(psprintf("%s_as", NameStr(form->proname))),
							 PointerGetDatum(arguments), ObjectIdGetDatum(form->pronamespace));
	if (!OidIsValid(target))
		elog(ERROR, "function %s_as is missing", NameStr(form->proname));
	ReleaseSysCache(tuple);
	fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FmgrInfo));
	fmgr_info_cxt(target, fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt);
}

Datum
img_as_owner(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	ImgIdentity before;
	Datum		result;

	img_require_writable(psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid)));
	if (fcinfo->flinfo->fn_extra == NULL)
		find_target(fcinfo);
	InitFunctionCallInfoData(*call, fcinfo->flinfo->fn_extra, fcinfo->nargs + 1, fcinfo->fncollation, NULL, NULL);
	for (int i = 0; i < fcinfo->nargs; i++)
		call->args[i] = fcinfo->args[i];
	call->args[fcinfo->nargs].value = ObjectIdGetDatum(GetUserId());
	call->args[fcinfo->nargs].isnull = false;

	img_become(home->owner, false, &before);
	result = FunctionCallInvoke(call);
	img_resume(&before);
	fcinfo->isnull = call->isnull;
	return result;
}
