/*
 * upload.c
 *	  What a trigger of img_on_upload() says: its arguments, checked against the
 *	  table, the rights of the user and the edit contract.
 *
 * Runs in client backends.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/compile.h"
#include "extension/operation.h"
#include "extension/queue.h"
#include "extension/remote.h"
#include "extension/remote_job.h"
#include "extension/route.h"
#include "extension/server.h"
#include "extension/settings.h"
#include "extension/source_row.h"
#include "extension/upload.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static const char example[] =
	"CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON photo FOR EACH ROW "
	"EXECUTE FUNCTION img_on_upload('data', '{\"resizing\": {\"width\": 256, \"fit\": \"bounds\"}}', 'thumb');";

void
img_upload_check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("img_on_upload() is a trigger function"),
				 errhint("%s", example)));
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must be AFTER INSERT, UPDATE or DELETE", trigger->tg_trigger->tgname),
				 errhint("%s", example)));
	if (trigger->tg_trigger->tgnargs < 2 || trigger->tg_trigger->tgnargs > 5)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\" has %d arguments; img_on_upload() takes 2 to 5",
						trigger->tg_trigger->tgname, trigger->tg_trigger->tgnargs),
				 errdetail("They are: source column, operations as JSON or the name of an operation, target column, output as JSON, server."),
				 errhint("%s", example)));
}

static AttrNumber
find_column(Relation relation, const char *name, const char *which)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s column \"%s\" of table \"%s\" does not exist", which, name, RelationGetRelationName(relation)),
				 errhint("ALTER TABLE %s ADD COLUMN %s bytea;", RelationGetRelationName(relation), name)));
	return number;
}

static void
check_types(ImgUpload *upload)
{
	TupleDesc	desc = RelationGetDescr(upload->relation);

	switch (TupleDescAttr(desc, upload->source - 1)->atttypid)
	{
		case BYTEAOID:
		case TEXTOID:
		case VARCHAROID:
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("source column \"%s\" is of type %s", upload->source_column,
							format_type_be(TupleDescAttr(desc, upload->source - 1)->atttypid)),
					 errdetail("Allowed: bytea (the picture) or text (its URL, or storage://SERVER/path).")));
	}
	if (upload->target_column == NULL)
		return;
	switch (upload->target_type)
	{
		case BYTEAOID:
		case TEXTOID:
		case VARCHAROID:
		case UUIDOID:
			return;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("target column \"%s\" is of type %s", upload->target_column, format_type_be(upload->target_type)),
					 errdetail("Allowed: bytea (the picture), text (its storage URI) or uuid (the job).")));
	}
}

/* 42501, naming the grant that is missing. */
static void
check_privilege(ImgUpload *upload, AttrNumber column, AclMode mode, const char *privilege)
{
	Oid			relid = RelationGetRelid(upload->relation);
	const char *name = get_attname(relid, column, false);

	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, column, GetUserId(), mode) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied: role \"%s\" may not %s column \"%s\" of table \"%s\", which its jobs have to",
					GetUserNameFromId(GetUserId(), false), privilege[0] == 'S' ? "read" : "write",
					name, RelationGetRelationName(upload->relation)),
			 errhint("GRANT %s (%s) ON %s TO %s;", privilege, quote_identifier(name),
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(upload->relation)),
												RelationGetRelationName(upload->relation)),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* An argument, or NULL where it is left out or empty. */
static const char *
argument(Trigger *trigger, int number)
{
	return trigger->tgnargs > number && trigger->tgargs[number][0] != '\0' ? trigger->tgargs[number] : NULL;
}

static bool
is_json(const char *text)
{
	text += strspn(text, " \t\r\n");
	return *text == '{' || *text == '"';
}

static Jsonb *
json_argument(const char *text, const char *which, const char *trigger)
{
	if (!is_json(text))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\": %s must be a JSON object", trigger, which),
				 errdetail("Given: \"%s\".", text),
				 errhint("%s", example)));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* Whether the server can do it, and get a picture that is in a row.  Where the
 * column says where pictures are, that is seen when a worker reads it. */
static void
check_server(ImgUpload *upload, const char *server_type, Jsonb *request)
{
	bool		is_picture = TupleDescAttr(RelationGetDescr(upload->relation), upload->source - 1)->atttypid == BYTEAOID;

	if (server_type == NULL)
		return;
	SPI_connect();
	img_remote_job_check(server_type, request, is_picture ? NULL : IMG_ANY_INPUT);
	SPI_finish();
}

/* The request of a trigger that names an operation: as the operation is now. */
static Jsonb *
operation_request(const ImgHome *home, Trigger *trigger, ImgUpload *upload)
{
	const char *operation_id = trigger->tgargs[1];
	Jsonb	   *data = img_operation_data(home, operation_id, GetUserId());
	const char *type = NULL;
	Jsonb	   *request;
	ImgCompiled compiled;

	if (argument(trigger, 3) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\": output goes with operations as JSON, not with a named operation", trigger->tgname),
				 errdetail("The steps of operation \"%s\" say what its results are.", operation_id),
				 errhint("Leave the fourth argument out; targetExtension of a resize step is the format.")));
	upload->server = argument(trigger, 4);
	if (upload->server != NULL)
		type = img_operation_server(upload->server, GetUserId())->type->name;
	img_compile_steps(data, type, &compiled);
	for (int i = 0; i < compiled.plan.steps; i++)
		if (img_operations[compiled.plan.step[i].operation]->splits && upload->target_column != NULL &&
			upload->target_type != UUIDOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("trigger \"%s\": operation \"%s\" makes several pictures of one, but column \"%s\" holds one",
							trigger->tgname, operation_id, upload->target_column),
					 errhint("Make the target column a uuid: it becomes the job, whose pictures img_object lists.")));
	request = img_operation_request(operation_id, data, NULL);
	check_server(upload, type, request);
	return request;
}

/* A result is in one place. */
static void
check_destination(Trigger *trigger, ImgUpload *upload, const char *destination)
{
	if (destination == NULL)
		return;
	img_check_destination(destination, GetUserId());
	if (upload->target_column != NULL && upload->target_type == BYTEAOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("trigger \"%s\": the result cannot go to \"%s\" and into column \"%s\" of type bytea",
						trigger->tgname, destination, upload->target_column),
				 errhint("Make the target column text, for the URI of the result, or uuid, for the job; or leave output.destination out.")));
}

/* The request of a trigger, checked once and kept as long as all that it says
 * is the same. */
typedef struct EditRequest
{
	char	   *text;			/* what was checked */
	Jsonb	   *request;
	char	   *destination;
	char	   *server;
} EditRequest;

/* All that decides about a request but rights. */
static char *
request_text(Trigger *trigger, ImgUpload *upload)
{
	const char *parts[] = {trigger->tgargs[1], argument(trigger, 3), argument(trigger, 4)};

	return psprintf("%s\n%s\n%s\n%s\n%u\n%u", parts[0], parts[1] ? parts[1] : "", parts[2] ? parts[2] : "",
					imgapi_default_servers, TupleDescAttr(RelationGetDescr(upload->relation), upload->source - 1)->atttypid,
					GetUserId());
}

static void
check_edit(Trigger *trigger, ImgUpload *upload, EditRequest *edit)
{
	const char *output_text = argument(trigger, 3);
	const char *server = argument(trigger, 4);
	const char *type = NULL;
	Jsonb	   *operations = json_argument(trigger->tgargs[1], "operations", trigger->tgname);
	Jsonb	   *output = output_text ? json_argument(output_text, "output", trigger->tgname) : NULL;

	if (server == NULL)
		server = img_route(operations, output, GetUserId());
	if (server != NULL)
		type = img_remote_job_server(server, GetUserId())->type->name;
	edit->destination = img_compile_cached(operations, output, type)->destination;
	if (edit->destination != NULL)
		edit->destination = pstrdup(edit->destination);
	edit->request = img_request_document(operations, output);
	edit->server = server ? pstrdup(server) : NULL;
	check_server(upload, type, edit->request);
}

/* In a memory context of its own. */
static EditRequest *
keep_edit(const EditRequest *edit)
{
	static MemoryContext context = NULL;
	MemoryContext before;
	EditRequest *kept;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "imgapi trigger", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	before = MemoryContextSwitchTo(context);
	kept = palloc(sizeof(EditRequest));
	kept->text = pstrdup(edit->text);
	kept->request = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(edit->request));
	kept->destination = edit->destination ? pstrdup(edit->destination) : NULL;
	kept->server = edit->server ? pstrdup(edit->server) : NULL;
	MemoryContextSwitchTo(before);
	return kept;
}

static Jsonb *
edit_request(Trigger *trigger, ImgUpload *upload)
{
	static EditRequest *last = NULL;
	EditRequest edit = {.text = request_text(trigger, upload)};
	char	   *line;

	if (last == NULL || strcmp(last->text, edit.text) != 0 ||
		(last->server != NULL && img_server_problem(last->server, GetUserId(), &line) != NULL))
	{
		check_edit(trigger, upload, &edit);
		last = NULL;
		last = keep_edit(&edit);
	}
	check_destination(trigger, upload, last->destination);
	upload->server = last->server;
	return last->request;
}

/* Whether values of a type read the same whatever the session's settings. */
static bool
reads_the_same(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case OIDOID:
		case BOOLOID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
			return true;
		default:
			return false;
	}
}

/* Settings in which every value reads the same in all sessions and is read
 * back exactly; undone with AtEOXact_GUC(). */
static int
plain_text(void)
{
	static const char *const settings[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "postgres"}, {"timezone", "UTC"},
		{"extra_float_digits", "3"}, {"bytea_output", "hex"}
	};
	int			nest = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nest;
}

void
img_upload_read(TriggerData *data, ImgUpload *upload)
{
	Trigger    *trigger = data->tg_trigger;
	TupleDesc	desc = RelationGetDescr(data->tg_relation);

	memset(upload, 0, sizeof(*upload));
	upload->relation = data->tg_relation;
	upload->source_column = trigger->tgargs[0];
	upload->source = find_column(data->tg_relation, upload->source_column, "source");
	if (trigger->tgnargs > 2 && trigger->tgargs[2][0] != '\0')
	{
		AttrNumber	target;

		upload->target_column = trigger->tgargs[2];
		target = find_column(data->tg_relation, upload->target_column, "target");
		upload->target_type = TupleDescAttr(desc, target - 1)->atttypid;
	}
	check_types(upload);
	upload->key = img_primary_key(data->tg_relation, &upload->nkey);
	for (int i = 0; i < upload->nkey; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(TupleDescAttr(desc, upload->key[i] - 1)->atttypid, &function, &is_varlena);
		fmgr_info(function, &upload->output[i]);
		if (!reads_the_same(TupleDescAttr(desc, upload->key[i] - 1)->atttypid))
			upload->key_varies = true;
	}
}

void
img_upload_check_submission(const ImgHome *home, TriggerData *data, ImgUpload *upload)
{
	check_privilege(upload, upload->source, ACL_SELECT, "SELECT");
	if (upload->target_column != NULL)
		check_privilege(upload, get_attnum(RelationGetRelid(upload->relation), upload->target_column), ACL_UPDATE, "UPDATE");
	upload->is_operation = !is_json(data->tg_trigger->tgargs[1]);
	upload->request = upload->is_operation ? operation_request(home, data->tg_trigger, upload) :
		edit_request(data->tg_trigger, upload);
}

Datum
img_upload_key(ImgUpload *upload, TupleTableSlot *slot)
{
	Datum		part[INDEX_MAX_KEYS];
	int			nest = upload->key_varies ? plain_text() : 0;

	for (int i = 0; i < upload->nkey; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, upload->key[i], &isnull);

		part[i] = CStringGetTextDatum(OutputFunctionCall(&upload->output[i], value));
	}
	if (nest > 0)
		AtEOXact_GUC(true, nest);
	return CStringGetTextDatum(OidOutputFunctionCall(F_ARRAY_OUT,
													 img_array(part, NULL, upload->nkey, TEXTOID)));
}
