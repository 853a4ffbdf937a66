/*
 * remote_job.c
 *	  Jobs that a server does: what is asked of its API.
 *
 * Runs in client backends when a job is submitted, and in dispatchers; within
 * transactions, with SPI connected.  What APIs want is said in SQL
 * (sql/install/43-remote.sql); the key is added here, and is in no row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/file_tree.h"
#include "extension/home.h"
#include "extension/remote.h"
#include "extension/remote_job.h"
#include "extension/settings.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define ANY_NAME	"picture.jpg"

static ImgStatement make_request = {
	"SELECT r.method, r.path, r.content_type, r.body, r.picture, r.tail FROM $S.img_remote_ask($1, $2, $3, $4, $5) r",
	5, {TEXTOID, TEXTOID, UUIDOID, JSONBOID, TEXTOID}
};
static ImgStatement input_link = {
	"SELECT $S.img_remote_input($1, $2, $3)", 3, {UUIDOID, TEXTOID, REGROLEOID}
};

const ImgServer *
img_remote_job_server(const char *name, Oid role)
{
	const ImgServer *server = img_server_get(name, role);

	if (server->type->operations == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" cannot be used: this version of imgapi sends no jobs to servers of type %s",
						name, server->type->name),
				 errhint("Leave server out, or use another: SELECT name FROM img_server WHERE type IN ('claid', 'topaz', 'nhn') AND usable;")));
	return server;
}

const ImgServer *
img_operation_server(const char *name, Oid role)
{
	const ImgServer *server = img_remote_job_server(name, role);

	if (server->type != &img_server_nhn)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" cannot do named operations: it is of type %s", name, server->type->name),
				 errhint("Leave server out, or say what you want as an edit: SELECT img_submit(..., server => %s);",
						 quote_literal_cstr(name))));
	return server;
}

/* A column of the only row; NULL where that is. */
static char *
column(int number)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number);
}

/* SPI leaves a memory context behind that ends with it. */
static void
execute(ImgStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;

	img_execute(statement, values, nulls);
	MemoryContextSwitchTo(context);
}

static void
ask(const char *server_type, const char *what, const pg_uuid_t *job, Jsonb *request, const char *input)
{
	Datum		values[] = {
		CStringGetTextDatum(server_type), CStringGetTextDatum(what), UUIDPGetDatum(job), JsonbPGetDatum(request),
		input ? CStringGetTextDatum(input) : (Datum) 0
	};
	char		nulls[] = {' ', ' ', job ? ' ' : 'n', ' ', input ? ' ' : 'n', '\0'};

	execute(&make_request, values, nulls);
}

bool
img_remote_job_uploads(const ImgServerType *type, const char *input)
{
	return type->source == IMG_SOURCE_BY_UPLOAD ||
		(type->source == IMG_SOURCE_BY_EITHER && (input == NULL || !img_is_remote(input)));
}

/* 0A000 for pictures that a server could not get by URL. */
static void
check_input(const char *input)
{
	if (input == NULL && imgapi_public_url[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the server cannot get the picture: it is in the database, and imgapi.public_url is not set"),
				 errhint("Give a URL or storage://NAME/path of an S3 server, or start imgapi-gateway and ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com'; SELECT pg_reload_conf();")));
	if (input != NULL && img_is_file(input))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a picture in the file tree cannot be the input of a server by its path"),
				 errhint("Pass its bytes: SELECT img_submit(img_file_read(%s), '{...}', server => 'NAME');", quote_literal_cstr(input))));
	if (input != NULL && strncmp(input, "storage://", 10) == 0)
	{
		ImgStorageUri uri;

		img_storage_uri_parse(input, false, &uri);
		if (strcmp(uri.server, IMG_DATABASE_STORAGE) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a picture in the database cannot be the input of a server by its name"),
					 errhint("Pass its bytes: SELECT img_submit(img_output(job), '{...}', server => 'NAME');")));
	}
}

void
img_remote_job_check(const char *server_type, Jsonb *request, const char *input)
{
	ImgIdentity before;
	bool		uploads = img_remote_job_uploads(img_server_type(server_type), input);

	if (!uploads)
		check_input(input);
	img_become(img_home_of_extension()->owner, false, &before);
	ask(server_type, "submit", NULL, request, uploads ? ANY_NAME : IMG_ANY_INPUT);
	img_resume(&before);
}

char *
img_remote_job_input(const pg_uuid_t *job, const char *input, Oid owner)
{
	Datum		values[] = {UUIDPGetDatum(job), input ? CStringGetTextDatum(input) : (Datum) 0, ObjectIdGetDatum(owner)};
	char	   *link;

	check_input(input);
	/* rights may have gone since the submit; no link of a server that is none of S3 */
	if (input != NULL && strncmp(input, "storage://", 10) == 0)
	{
		ImgStorageUri uri;

		img_storage_uri_parse(input, false, &uri);
		(void) img_server_get_typed(uri.server, owner, &img_server_s3);
	}
	execute(&input_link, values, input ? NULL : " n ");
	link = column(1);
	if (link == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA), errmsg("the picture has been purged")));
	return link;
}

/* Of the address, without "/" at its end. */
static int
base_length(const ImgServer *server)
{
	const char *url = img_server_text(server, "url");
	int			length = strlen(url);

	while (length > 0 && url[length - 1] == '/')
		length--;
	return length;
}

/* With what the paths of an account begin with. */
static char *
url_of(const ImgServer *server, const char *path)
{
	const ImgServerType *type = server->type;

	return psprintf("%.*s%s%s%s", base_length(server), img_server_text(server, "url"),
					type->account ? type->account_path : "", type->account ? img_server_text(server, type->account) : "", path);
}

/* A part of the body, as it is sent. */
static char *
part_of_body(int number, size_t *length)
{
	char	   *part = column(number);

	if (part != NULL)
		part = pg_server_to_any(part, strlen(part), PG_UTF8);
	*length = part ? strlen(part) : 0;
	return part;
}

void
img_api_request(const ImgServer *server, const char *method, const char *path, ImgHttpRequest *request)
{
	*request = (ImgHttpRequest) {
		.method = method, .url = url_of(server, path),
		.headers = list_make2(psprintf("%s%s", server->type->authorization, img_server_text(server, server->type->key)),
							  pstrdup("Accept: application/json")),
		.allow_private = server->allow_private,
		.timeout = img_server_number(server, "timeout"), .connect_timeout = img_server_number(server, "connect_timeout")
	};
}

bool
img_remote_job_call(const ImgServer *server, const char *what, const pg_uuid_t *job, Jsonb *request, const char *input,
					ImgRemoteCall *call)
{
	char	   *content_type;
	char	   *picture;

	ask(server->type->name, what, job, request, input);
	memset(call, 0, sizeof(*call));
	call->path = column(2);
	if (call->path == NULL)
		return false;
	content_type = column(3);
	call->beginning = part_of_body(4, &call->beginning_length);
	picture = column(5);
	call->picture = picture != NULL && picture[0] == 't';
	call->tail = part_of_body(6, &call->tail_length);
	img_api_request(server, column(1), call->path, &call->request);
	if (content_type != NULL)
		call->request.headers = lappend(call->request.headers, psprintf("Content-Type: %s", content_type));
	return true;
}
