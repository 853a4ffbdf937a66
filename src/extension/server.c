/*
 * server.c
 *	  Looking up foreign servers: existence, right, user mapping, options.
 *
 * What has been read is kept per process, server and role, until a server,
 * wrapper or user mapping changes.  The right to use a server is asked for every
 * time.  No locks beyond those of the catalog caches: whoever changes a server
 * meets us again at the next look.
 *
 * Runs in client backends and in dispatchers.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "extension/imgapi.h"
#include "extension/server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(img_server_seconds);

/* Servers as they were read; few, so a list will do. */
static List *known = NIL;
static bool stale = false;

/* ------------------------------------------------------------------- rights */

static bool
may_use(Oid server, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server, role, ACL_USAGE) == ACLCHECK_OK;
#else
	return pg_foreign_server_aclcheck(server, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

/* "a, b": servers of the wrapper that the role may use. */
static char *
usable_servers(Oid wrapper, Oid role)
{
	Relation	relation = table_open(ForeignServerRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(relation, 0, NULL);
	HeapTuple	tuple;
	StringInfoData list;

	initStringInfo(&list);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == wrapper && may_use(form->oid, role) && list.len < 300)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", NameStr(form->srvname));
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	return list.data;
}

/* That makes a server of that name; of the type that it says, if it says one. */
static char *
server_line(const char *name, const ImgServerType *otherwise)
{
	const ImgServerType *type = img_server_type(name);

	if (type == NULL)
		type = otherwise;
	return psprintf("CREATE SERVER %s TYPE '%s' FOREIGN DATA WRAPPER imgapi OPTIONS (%s);",
					quote_identifier(name), type->name, type->example);
}

static char *
usage_line(const char *name, Oid role)
{
	return psprintf("GRANT USAGE ON FOREIGN SERVER %s TO %s;", quote_identifier(name),
					quote_identifier(GetUserNameFromId(role, false)));
}

static void
refuse_unknown(const char *name, Oid wrapper, Oid role, bool of_others)
{
	char	   *usable = usable_servers(wrapper, role);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 of_others ? errmsg("server \"%s\" is not of foreign-data wrapper imgapi", name) :
			 errmsg("server \"%s\" does not exist", name),
			 usable[0] != '\0' ? errdetail("Servers that role %s may use: %s.", GetUserNameFromId(role, false), usable) :
			 errdetail("There is no server that role %s may use.", GetUserNameFromId(role, false)),
			 of_others ? errhint("SELECT name FROM img_server WHERE usable;") : errhint("%s", server_line(name, &img_server_s3))));
}

static Oid
find_server(const char *name, Oid role)
{
	Oid			wrapper = get_foreign_data_wrapper_oid(IMG_EXTENSION, false);
	HeapTuple	tuple = SearchSysCache1(FOREIGNSERVERNAME, CStringGetDatum(name));
	Oid			server;

	if (!HeapTupleIsValid(tuple))
		refuse_unknown(name, wrapper, role, false);
	if (((Form_pg_foreign_server) GETSTRUCT(tuple))->srvfdw != wrapper)
		refuse_unknown(name, wrapper, role, true);
	server = ((Form_pg_foreign_server) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	if (!may_use(server, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for foreign server %s", name),
				 errdetail("Role %s has no USAGE on it.", GetUserNameFromId(role, false)),
				 errhint("%s", usage_line(name, role))));
	return server;
}

/* ------------------------------------------------------------------ options */

/* Of the role's user mapping, or else that of PUBLIC. */
static List *
mapping_options(Oid server, Oid role, bool *found)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role), ObjectIdGetDatum(server));
	List	   *options = NIL;
	Datum		stored;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(server));
	*found = HeapTupleIsValid(tuple);
	if (!*found)
		return NIL;
	stored = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(stored);
	ReleaseSysCache(tuple);
	return options;
}

const char *
img_server_problem(const char *name, Oid role, char **line)
{
	ForeignServer *server = GetForeignServerByName(name, true);
	const ImgServerType *type;
	bool		mapped;

	*line = server_line(name, &img_server_claid);
	if (server == NULL || server->fdwid != get_foreign_data_wrapper_oid(IMG_EXTENSION, false))
		return "there is no such server";
	*line = usage_line(name, role);
	if (!may_use(server->serverid, role))
		return psprintf("role %s has no USAGE on it", GetUserNameFromId(role, false));
	type = img_server_type_of(name, server->servertype);
	*line = img_mapping_line("CREATE", type, name, role);
	(void) mapping_options(server->serverid, role, &mapped);
	if (type->needs_mapping && !mapped)
		return psprintf("role %s has no user mapping for it", GetUserNameFromId(role, false));
	return NULL;
}

static void
read_options(ImgServer *server, List *given, bool of_mapping)
{
	ListCell   *cell;

	foreach(cell, given)
	{
		DefElem    *element = lfirst(cell);
		const ImgServerOption *option = img_server_type_option(server->type, element->defname);

		if (option == NULL || option->of_mapping != of_mapping)
			img_refuse_option(server->type, of_mapping, element->defname, server->name);
		if (img_option_parse(option, defGetString(element), &server->value[option - server->type->options]) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the value of option \"%s\" of server \"%s\" is not valid", option->name, server->name),
					 errdetail("Allowed: %s.", img_option_allowed(option))));
	}
}

static void
read_defaults(ImgServer *server)
{
	int			count = 0;

	while (server->type->options[count].name != NULL)
		count++;
	server->value = palloc0_array(ImgOptionValue, count);
	for (int i = 0; i < count; i++)
		if (img_option_parse(&server->type->options[i], server->type->options[i].initial, &server->value[i]) != NULL)
			elog(ERROR, "the default of option \"%s\" is not valid", server->type->options[i].name);
}

/* In the current memory context. */
static ImgServer *
read_server(Oid oid, Oid role)
{
	ForeignServer *found = GetForeignServer(oid);
	ImgServer  *server = palloc0_object(ImgServer);
	List	   *mapping;
	bool		mapped;

	server->oid = oid;
	server->role = role;
	server->name = found->servername;
	server->context = CurrentMemoryContext;
	server->type = img_server_type_of(found->servername, found->servertype);
	read_defaults(server);
	img_require_options(server->type, false, found->options, server->name, InvalidOid, true);
	read_options(server, found->options, false);
	mapping = mapping_options(oid, role, &mapped);
	if (!mapped && server->type->needs_mapping)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no user mapping of role %s for server \"%s\"", GetUserNameFromId(role, false), server->name),
				 errhint("%s", img_mapping_line("CREATE", server->type, server->name, role))));
	if (mapped)
		img_require_options(server->type, true, mapping, server->name, role, true);
	read_options(server, mapping, true);
	server->allow_private = img_server_number(server, "allow_private") != 0;
	return server;
}

/* -------------------------------------------------------------------- cache */

static void
forget(Datum arg, int cache, uint32 hash)
{
	stale = true;
}

static void
watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	watching = true;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, forget, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, forget, (Datum) 0);
}

/* Whoever still has one of them keeps it until the end of the transaction. */
static void
drop_stale(void)
{
	ListCell   *cell;

	foreach(cell, known)
		MemoryContextSetParent(((ImgServer *) lfirst(cell))->context, TopTransactionContext);
	list_free(known);
	known = NIL;
	stale = false;
}

static ImgServer *
keep(Oid oid, Oid role)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "imgapi server", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	ImgServer  *server = read_server(oid, role);

	MemoryContextSwitchTo(TopMemoryContext);
	known = lappend(known, server);
	MemoryContextSetParent(context, TopMemoryContext);
	MemoryContextSwitchTo(before);
	return server;
}

const ImgServer *
img_server_get(const char *name, Oid role)
{
	Oid			oid;
	ListCell   *cell;

	watch();
	oid = find_server(name, role);
	if (stale)
		drop_stale();
	foreach(cell, known)
	{
		ImgServer  *server = lfirst(cell);

		if (server->oid == oid && server->role == role)
			return server;
	}
	return keep(oid, role);
}

const ImgServer *
img_server_get_typed(const char *name, Oid role, const ImgServerType *type)
{
	const ImgServer *server = img_server_get(name, role);

	if (server->type != type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" is of type %s, not %s", name, server->type->name, type->name),
				 errhint("SELECT name FROM img_server WHERE type = '%s' AND usable;", type->name)));
	return server;
}

static const ImgOptionValue *
option_value(const ImgServer *server, const char *name)
{
	const ImgServerOption *option = img_server_type_option(server->type, name);

	if (option == NULL)
		elog(ERROR, "servers of type %s have no option \"%s\"", server->type->name, name);
	return &server->value[option - server->type->options];
}

const char *
img_server_text(const ImgServer *server, const char *option)
{
	return option_value(server, option)->text;
}

int
img_server_number(const ImgServer *server, const char *option)
{
	return option_value(server, option)->number;
}

bool
img_server_option(const char *server, const char *name, ImgOptionValue *value)
{
	ForeignServer *found = GetForeignServerByName(server, true);
	const ImgServerType *type = found && found->servertype ? img_server_type(found->servertype) : NULL;
	const ImgServerOption *option = type ? img_server_type_option(type, name) : NULL;
	const char *text;
	ListCell   *cell;

	if (option == NULL || option->of_mapping)
		return false;
	text = option->initial;
	foreach(cell, found->options)
		if (strcmp(((DefElem *) lfirst(cell))->defname, name) == 0)
			text = defGetString(lfirst(cell));
	return img_option_parse(option, text, value) == NULL && text != NULL;
}

/* In seconds. */
Datum
img_server_seconds(PG_FUNCTION_ARGS)
{
	ImgOptionValue value;

	if (!img_server_option(NameStr(*PG_GETARG_NAME(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value.number / 1000.0);
}
