/*
 * server_type.h
 *	  What a type of foreign server declares about itself.
 *
 * One type is one file in src/servers.  Each declares the options of its
 * servers and of their user mappings, with type, range and default; the
 * validator, CREATE SERVER's check of the whole, img_server_options() and the
 * readers of a server all go by this one declaration.
 */
#ifndef IMGAPI_SERVER_TYPE_H
#define IMGAPI_SERVER_TYPE_H

#include <stdbool.h>

typedef enum ImgOptionType
{
	IMG_OPTION_TEXT,			/* anything printable, not empty */
	IMG_OPTION_BOOL,
	IMG_OPTION_INTEGER,			/* min to max */
	IMG_OPTION_MILLISECONDS,	/* '30s'; min to max */
	IMG_OPTION_BYTES,			/* '16MB'; min to max, in kB as parse_int() counts */
	IMG_OPTION_ORIGIN,			/* https://host[:port] */
	IMG_OPTION_URL,				/* the same with a path */
	IMG_OPTION_BUCKET,
	IMG_OPTION_WORD,			/* letters, digits, '-', '_' and '.' */
	IMG_OPTION_PREFIX,			/* folder within the storage, ends in '/' */
	IMG_OPTION_HEADERS			/* lines "Name: value" */
} ImgOptionType;

typedef struct ImgServerOption
{
	const char *name;			/* NULL ends a list */
	ImgOptionType type;
	int			min;
	int			max;
	const char *initial;		/* when not given; NULL: nothing */
	bool		required;
	bool		of_mapping;		/* belongs to the user mapping: never shown */
	bool		administrators; /* only they may set it */
	const char *help;			/* one line for the reference */
} ImgServerOption;

/* How a server gets the picture of a job. */
typedef enum ImgSourceBy
{
	IMG_SOURCE_BY_URL,			/* it is given a link */
	IMG_SOURCE_BY_UPLOAD,		/* it is sent the bytes */
	IMG_SOURCE_BY_EITHER		/* it is sent what is in the database, and given
								 * a link to all else */
} ImgSourceBy;

typedef struct ImgServerType
{
	const char *name;
	const char *help;
	bool		is_storage;		/* storage://NAME/path */
	bool		needs_mapping;
	const ImgServerOption *options;
	const char *example;		/* OPTIONS that make a server */
	const char *mapping_example;	/* and a user mapping; NULL: needs none */
	/* of the edit contract, that it does itself, between spaces; NULL: it takes
	 * no jobs (sql/install/43-remote.sql) */
	const char *operations;
	ImgSourceBy source;
	const char *authorization;	/* header before the key */
	const char *key;			/* the option that is the key */
	const char *account_path;	/* that paths begin with, before the account; NULL: neither */
	const char *account;		/* the option that is the account */
} ImgServerType;

/* What every server that is reached over the network has. */
#define IMG_NETWORK_OPTIONS(connections) \
	{"max_connections", IMG_OPTION_INTEGER, 1, 1024, connections, \
	 .help = "requests at a time, of this database's worker"}, \
	{"timeout", IMG_OPTION_MILLISECONDS, 100, 3600 * 1000, "60s", \
	 .help = "time for one request, transfer included"}, \
	{"connect_timeout", IMG_OPTION_MILLISECONDS, 100, 600 * 1000, "10s", \
	 .help = "time to connect, of the above"}, \
	{"allow_private", IMG_OPTION_BOOL, .initial = "false", .administrators = true, \
	 .help = "may have a private or loopback address"}

/* Those that jobs are sent to have these besides. */
#define IMG_JOB_OPTIONS(concurrency) \
	{"max_concurrency", IMG_OPTION_INTEGER, 1, 1024, concurrency, \
	 .help = "jobs that it has at a time, of this database"}, \
	{"poll_interval", IMG_OPTION_MILLISECONDS, 50, 600 * 1000, "1s", \
	 .help = "after which a job is first asked for, and least time between polls"}

/* And those that can be told with a job where to send webhooks. */
#define IMG_WEBHOOK_OPTION \
	{"webhooks", IMG_OPTION_BOOL, .initial = "true", \
	 .help = "is told to send webhooks to imgapi-gateway, where imgapi.public_url is set"}

/* One a file. */
extern const ImgServerType img_server_claid;
extern const ImgServerType img_server_topaz;
extern const ImgServerType img_server_nhn;
extern const ImgServerType img_server_kitsu;
extern const ImgServerType img_server_s3;
extern const ImgServerType img_server_http;

extern const ImgServerType *const img_server_types[];
extern const int img_server_type_count;

/* NULL: there is none of that name. */
extern const ImgServerType *img_server_type(const char *name);

/* NULL: the type has no such option. */
extern const ImgServerOption *img_server_type_option(const ImgServerType *type, const char *name);

#endif							/* IMGAPI_SERVER_TYPE_H */
