/*
 * server_validator.c
 *	  What CREATE and ALTER of servers and user mappings are checked by.
 *
 * The wrapper's validator sees the options only, neither the server's name nor
 * its type: it checks names and values.  The event trigger img_server_command
 * comes after the command and checks the whole: the type, options that the type
 * does not have, and options that are missing.
 *
 * Nothing here shows a value of a user mapping.  Runs in client backends.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "extension/imgapi.h"
#include "extension/server.h"
#include "extension/spelling.h"
#include "extension/url.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(img_server_validator);
PG_FUNCTION_INFO_V1(img_server_command);

/* ---------------------------------------------------------- one by itself -- */

/* An option that some type has: they agree on what its values may be. */
static const ImgServerOption *
find_option(const char *name, bool of_mapping)
{
	for (int i = 0; i < img_server_type_count; i++)
	{
		const ImgServerOption *o = img_server_type_option(img_server_types[i], name);

		if (o != NULL && o->of_mapping == of_mapping)
			return o;
	}
	img_refuse_option(NULL, of_mapping, name, NULL);
	pg_unreachable();
}

/* Whether a value must not be shown: also where somebody has put a secret that
 * does not belong there. */
static bool
may_be_secret(const ImgServerOption *option, const char *text)
{
	return option->of_mapping || option->type == IMG_OPTION_HEADERS || strchr(text, '@') != NULL;
}

static void
check_value(const ImgServerOption *option, const char *text)
{
	ImgOptionValue value;
	const char *allowed = img_option_parse(option, text, &value);

	if (allowed != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the value of option \"%s\" is not valid", option->name),
				 may_be_secret(option, text) ? errdetail("Allowed: %s.", allowed) :
				 errdetail("Given: \"%s\". Allowed: %s.", text, allowed),
				 option->initial ? errhint("Leave it out for '%s', or see SELECT * FROM img_server_options() WHERE option = '%s';",
										   option->initial, option->name) :
				 errhint("SELECT * FROM img_server_options() WHERE option = '%s';", option->name)));
	if (option->administrators && value.number != 0 && !img_is_administrator(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to use option \"%s\"", option->name),
				 errdetail("Only superusers and members of the role in imgapi.admin_role may create or change a server that has it."),
				 errhint("Leave it out, or take it away: ALTER SERVER NAME OPTIONS (DROP %s);", option->name)));
}

Datum
img_server_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	bool		of_mapping = catalog == UserMappingRelationId;
	ListCell   *cell;

	if (options != NIL && catalog != ForeignServerRelationId && !of_mapping)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("\"%s\" is not an option here: foreign-data wrapper imgapi has options of servers and user mappings only",
						((DefElem *) linitial(options))->defname),
				 errhint("CREATE SERVER NAME TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (%s);", img_server_s3.example)));
	foreach(cell, options)
	{
		DefElem    *given = lfirst(cell);

		check_value(find_option(given->defname, of_mapping), defGetString(given));
	}
	PG_RETURN_VOID();
}

/* -------------------------------------------------------------- the whole -- */

const ImgServerType *
img_server_type_of(const char *server, const char *type)
{
	List	   *names = NIL;
	StringInfoData list;
	const char *meant;
	const ImgServerType *found = type ? img_server_type(type) : NULL;

	if (found != NULL)
		return found;
	if (type != NULL && strcmp(type, IMG_DATABASE_STORAGE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" cannot be of type %s", server, type),
				 errdetail("The storage \"%s\" is there without a server.", IMG_DATABASE_STORAGE),
				 errhint("Name it directly, as in storage://%s/path.", IMG_DATABASE_STORAGE)));
	initStringInfo(&list);
	for (int i = 0; i < img_server_type_count; i++)
	{
		names = lappend(names, (void *) img_server_types[i]->name);
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", img_server_types[i]->name);
	}
	meant = type ? img_nearest(type, strlen(type), names) : NULL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 type ? errmsg("\"%s\" is not a type of servers of foreign-data wrapper imgapi", type) :
			 errmsg("server \"%s\" has no type", server),
			 errdetail("Types: %s.", list.data),
			 meant ? errhint("Did you mean TYPE '%s'?", meant) :
			 errhint("CREATE SERVER %s TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (%s);",
					 quote_identifier(server), img_server_s3.example)));
}

static const char *
given_option(List *given, const char *name)
{
	ListCell   *cell;

	foreach(cell, given)
		if (strcmp(((DefElem *) lfirst(cell))->defname, name) == 0)
			return defGetString(lfirst(cell));
	return NULL;
}

char *
img_mapping_line(const char *verb, const ImgServerType *type, const char *server, Oid role)
{
	const char *user = OidIsValid(role) ? quote_identifier(GetUserNameFromId(role, false)) : "PUBLIC";

	return psprintf("%s USER MAPPING FOR %s SERVER %s OPTIONS (%s);", verb, user, quote_identifier(server),
					type->mapping_example);
}

static char *
server_line(const ImgServerType *type, const char *server, const ImgServerOption *missing, bool in_use)
{
	if (in_use)
		return psprintf("ALTER SERVER %s OPTIONS (ADD %s '...');", quote_identifier(server), missing->name);
	return psprintf("CREATE SERVER %s TYPE '%s' FOREIGN DATA WRAPPER imgapi OPTIONS (%s);",
					quote_identifier(server), type->name, type->example);
}

void
img_require_options(const ImgServerType *type, bool of_mapping, List *given, const char *server, Oid role, bool in_use)
{
	for (const ImgServerOption *o = type->options; o->name != NULL; o++)
	{
		if (!o->required || o->of_mapping != of_mapping || given_option(given, o->name) != NULL)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"%s\" is missing: %s", o->name, o->help),
				 of_mapping ? errdetail("User mappings for server \"%s\" need it, because the server is of type %s.", server, type->name) :
				 errdetail("Server \"%s\" needs it, because it is of type %s.", server, type->name),
				 errhint("%s", of_mapping ? img_mapping_line(in_use ? "ALTER" : "CREATE", type, server, role) :
						 server_line(type, server, o, in_use))));
	}
}

static void
check_names(const ImgServerType *type, bool of_mapping, List *given, const char *server)
{
	ListCell   *cell;

	foreach(cell, given)
	{
		const char *name = ((DefElem *) lfirst(cell))->defname;
		const ImgServerOption *option = img_server_type_option(type, name);

		if (option == NULL || option->of_mapping != of_mapping)
			img_refuse_option(type, of_mapping, name, server);
	}
}

/* A bucket can be part of a host name only if there is a name, and it fits. */
static void
check_host_style(const char *server, List *given)
{
	const char *path_style = given_option(given, "path_style");
	const char *endpoint = given_option(given, "endpoint");
	const char *bucket = given_option(given, "bucket");
	bool		in_path = false;
	ImgUrl		url;

	if (path_style != NULL && parse_bool(path_style, &in_path) && in_path)
		return;
	if (endpoint != NULL && img_url_parse(endpoint, &url) && url.is_address)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" needs path_style 'true': the bucket cannot be part of an IP address", server),
				 errdetail("Given: endpoint \"%s\", path_style false.", endpoint),
				 errhint("Add to its OPTIONS: path_style 'true'")));
	if (strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(bucket) || strlen(bucket) > 63)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" needs path_style 'true': the bucket cannot be part of a host name", server),
				 errdetail("Given: bucket \"%s\", path_style false. Host names have at most 63 small letters, digits, \".\" and \"-\".", bucket),
				 errhint("Add to its OPTIONS: path_style 'true'")));
}

static void
check_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	const ImgServerType *type;

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, IMG_EXTENSION) != 0)
		return;
	if (strcmp(name, IMG_DATABASE_STORAGE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("a server of foreign-data wrapper imgapi cannot be named \"%s\"", name),
				 errdetail("It is the name of the storage in the database itself."),
				 errhint("Choose another name.")));
	type = img_server_type_of(name, server->servertype);
	check_names(type, false, server->options, name);
	img_require_options(type, false, server->options, name, InvalidOid, false);
	if (type == &img_server_s3)
		check_host_style(name, server->options);
}

static void
check_mapping(const char *name, RoleSpec *user)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	Oid			role = user->roletype == ROLESPEC_PUBLIC ? InvalidOid : get_rolespec_oid(user, false);
	const ImgServerType *type;
	HeapTuple	tuple;
	Datum		options;
	bool		isnull;
	List	   *given = NIL;

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, IMG_EXTENSION) != 0)
		return;
	type = img_server_type_of(name, server->servertype);
	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role), ObjectIdGetDatum(server->serverid));
	if (!HeapTupleIsValid(tuple))
		return;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		given = untransformRelOptions(options);
	ReleaseSysCache(tuple);
	check_names(type, true, given, name);
	/* who is no superuser dumps mappings without their options */
	if (given == NIL && type->needs_mapping)
		ereport(WARNING,
				(errmsg("the user mapping for server \"%s\" has no options yet: it cannot be used", name),
				 errhint("%s", img_mapping_line("ALTER", type, name, role))));
	else
		img_require_options(type, true, given, name, role, false);
}

/*
 * The event trigger, at the end of CREATE and ALTER of servers and of user
 * mappings.
 */
Datum
img_server_command(PG_FUNCTION_ARGS)
{
	Node	   *command;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("img_server_command is called by its event trigger only")));
	command = ((EventTriggerData *) fcinfo->context)->parsetree;
	switch (nodeTag(command))
	{
		case T_CreateForeignServerStmt:
			check_server(((CreateForeignServerStmt *) command)->servername);
			break;
		case T_AlterForeignServerStmt:
			check_server(((AlterForeignServerStmt *) command)->servername);
			break;
		case T_RenameStmt:
			check_server(((RenameStmt *) command)->newname);
			break;
		case T_CreateUserMappingStmt:
			check_mapping(((CreateUserMappingStmt *) command)->servername, ((CreateUserMappingStmt *) command)->user);
			break;
		case T_AlterUserMappingStmt:
			check_mapping(((AlterUserMappingStmt *) command)->servername, ((AlterUserMappingStmt *) command)->user);
			break;
		default:				/* ALTER SERVER … OWNER TO */
			break;
	}
	PG_RETURN_NULL();
}
