/*
 * server.h
 *	  Foreign servers of wrapper imgapi, and the storages among them.
 */
#ifndef IMGAPI_SERVER_H
#define IMGAPI_SERVER_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "servers/server_type.h"

/* The storage that is the table img_object, and no foreign server. */
#define IMG_DATABASE_STORAGE	"database"

typedef struct ImgOptionValue
{
	const char *text;			/* NULL: not given, and there is no default */
	int			number;			/* of a bool, integer, time in ms, size in kB */
} ImgOptionValue;

/*
 * A server as one role may use it, all options read.  Lives until the end of
 * the transaction in which img_server_get() returned it, at least.
 */
typedef struct ImgServer
{
	Oid			oid;
	Oid			role;
	char	   *name;
	const ImgServerType *type;
	ImgOptionValue *value;		/* beside type->options */
	bool		allow_private;	/* the address policy is lifted */
	MemoryContext context;		/* of all this */
	struct ImgS3 *s3;			/* storage/s3.h */
} ImgServer;

/*
 * The server of that name for that role.  Errors: 42704 no such server, or no
 * user mapping for the role or PUBLIC; 42501 no USAGE; HV002 an option is
 * missing.  Each has the line that helps in its hint.
 */
extern const ImgServer *img_server_get(const char *name, Oid role);

/* The same, of one type, or 22023. */
extern const ImgServer *img_server_get_typed(const char *name, Oid role, const ImgServerType *type);

/* Why the role may not use a server of that name, for a detail, and the line
 * that helps; NULL: it may. */
extern const char *img_server_problem(const char *name, Oid role, char **line);

/* An option by name; it must be one of the server's type. */
extern const char *img_server_text(const ImgServer *server, const char *option);
extern int	img_server_number(const ImgServer *server, const char *option);

/* The same of a server by its name, for whoever has no right to use it: an option
 * of the user mapping is none of these.  False: there is no such server, it is
 * of a type without that option, or has no value for it. */
extern bool img_server_option(const char *server, const char *name, ImgOptionValue *value);

/* URL of a path on a server of type http, percent-encoded as needed. */
extern char *img_http_url(const ImgServer *server, const char *path);

/* Its header lines, those of the user mapping included: a List of char *. */
extern List *img_http_headers(const ImgServer *server);

/* storage://SERVER/PATH */
typedef struct ImgStorageUri
{
	char	   *server;			/* as named, which may be "database" */
	char	   *path;			/* not decoded: the path is the key */
	bool		is_folder;		/* path is empty or ends in "/" */
} ImgStorageUri;

/* 22P02 when it is not well formed, or names a folder where none may be. */
extern void img_storage_uri_parse(const char *uri, bool folder_allowed, ImgStorageUri *result);

/* 22P02 when the path cannot name an object; source is what the error shows. */
extern void img_storage_path_check(const char *path, const char *source);

/* server_option.c: NULL, or what would be allowed. */
extern const char *img_option_parse(const ImgServerOption *option, const char *text, ImgOptionValue *value);

/* What an option allows, for errors and the reference. */
extern char *img_option_allowed(const ImgServerOption *option);

/* HV00D for a name that is not an option of a server (or user mapping). */
extern void img_refuse_option(const ImgServerType *type, bool of_mapping, const char *name, const char *server);

/* server_validator.c: 42704 or 22023 unless it is a type. */
extern const ImgServerType *img_server_type_of(const char *server, const char *type);

/* HV002 when a required option is missing among these (DefElem).  The hint
 * creates what lacks it, or alters it when it is in use. */
extern void img_require_options(const ImgServerType *type, bool of_mapping, List *given,
								const char *server, Oid role, bool in_use);

/* "CREATE USER MAPPING …", with the options of the type; verb is CREATE or
 * ALTER, and no role means PUBLIC. */
extern char *img_mapping_line(const char *verb, const ImgServerType *type, const char *server, Oid role);

#endif							/* IMGAPI_SERVER_H */
