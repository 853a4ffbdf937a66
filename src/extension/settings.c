/*
 * settings.c
 *	  The settings imgapi.*: one table row each, checked when they are set.
 *
 * Runs in every PostgreSQL process that loads imgapi.so.
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>
#include <unistd.h>

#include "extension/route.h"
#include "extension/settings.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

char	   *imgapi_databases;
int			imgapi_executors;
int			imgapi_max_inflight;
int			imgapi_max_source_bytes;
int			imgapi_max_source_pixels;
int			imgapi_max_frames;
int			imgapi_max_output_side;
int			imgapi_job_timeout;
int			imgapi_executor_memory;
char	   *imgapi_formats;
char	   *imgapi_retention;
char	   *imgapi_job_retention;
bool		imgapi_auto_purge;
int			imgapi_max_attempts;
char	   *imgapi_admin_role;
bool		imgapi_notify;
bool		imgapi_allow_private_networks;
char	   *imgapi_callback_ports;
bool		imgapi_reuse;
int			imgapi_sandbox;
int			imgapi_link_lifetime;
char	   *imgapi_public_url;
char	   *imgapi_default_servers;

static const struct config_enum_entry sandbox_options[] = {
	{"require", IMG_SANDBOX_REQUIRE, false},
	{"prefer", IMG_SANDBOX_PREFER, false},
	{"off", IMG_SANDBOX_OFF, false},
	{NULL, 0, false}
};

static const struct
{
	const char *name;
	const char *help;
	int		   *value;
	int			initial,
				min,
				max;
	GucContext	context;
	int			flags;
}			integers[] = {
	{"imgapi.executors", "Image executors of a database's worker, and of the pool for immediate functions (0: one a processor).",
	&imgapi_executors, 0, 0, 64 /* IMG_MAX_STATIONS */, PGC_POSTMASTER, 0},
	{"imgapi.max_inflight", "Jobs that a worker claims at a time (0: as many as keep its executors busy).",
	&imgapi_max_inflight, 0, 0, 1024, PGC_SIGHUP, 0},
	{"imgapi.max_source_bytes", "Largest picture that is accepted.",
	&imgapi_max_source_bytes, 100 * 1024, 1, 1000 * 1024, PGC_SUSET, GUC_UNIT_KB},
	{"imgapi.max_source_pixels", "Most pixels that a picture may have, all frames together.",
	&imgapi_max_source_pixels, 100 * 1000 * 1000, 1, INT_MAX, PGC_SUSET, 0},
	{"imgapi.max_frames", "Most frames that an animation may have.",
	&imgapi_max_frames, 500, 1, 100000, PGC_SUSET, 0},
	{"imgapi.max_output_side", "Longest side of a result, in pixels.",
	&imgapi_max_output_side, 16383, 1, 65500, PGC_SUSET, 0},
	{"imgapi.job_timeout", "Time that the pixel work of one attempt may take.",
	&imgapi_job_timeout, 60 * 1000, 100, 3600 * 1000, PGC_SUSET, GUC_UNIT_MS},
	{"imgapi.executor_memory", "Address space of an image executor, beside 160 MB that it keeps for the next picture.",
	&imgapi_executor_memory, 2048, 256, 65536, PGC_POSTMASTER, GUC_UNIT_MB},
	{"imgapi.max_attempts", "Attempts of a job unless it says otherwise.",
	&imgapi_max_attempts, 3, 1, 100, PGC_USERSET, 0},
	{"imgapi.link_lifetime", "How long download links open, unless the picture expires before.",
	&imgapi_link_lifetime, 3600, 1, 7 * 24 * 3600, PGC_SUSET, GUC_UNIT_S},
};

/* Refuses a list that is not one, or names an unknown format. */
static bool
check_formats(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;
	ListCell   *lc;

	if (!SplitIdentifierString(copy, ',', &names))
	{
		GUC_check_errdetail("The list of formats is not well formed.");
		return false;
	}
	foreach(lc, names)
	{
		if (img_format_index(lfirst(lc)) < 0)
		{
			StringInfoData known;

			initStringInfo(&known);
			for (int i = 0; i < img_format_count; i++)
				appendStringInfo(&known, "%s%s", i ? ", " : "", img_formats[i]->name);
			GUC_check_errdetail("Unknown format \"%s\".", (char *) lfirst(lc));
			GUC_check_errhint("Known formats: %s.", known.data);
			return false;
		}
	}
	return true;
}

static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;

	if (strcmp(*newval, "*") == 0 || SplitIdentifierString(copy, ',', &names))
		return true;
	GUC_check_errdetail("The list of databases is not well formed.");
	GUC_check_errhint("Write \"*\" for all, or names as in \"app, shop\".");
	return false;
}

/* 1 to 65535; 0: it is none. */
static int
read_port(const char *text)
{
	char	   *end;
	long		port = strtol(text, &end, 10);

	return isdigit((unsigned char) text[0]) && *end == '\0' && port <= 65535 ? port : 0;
}

static bool
check_callback_ports(char **newval, void **extra, GucSource source)
{
	List	   *ports;
	ListCell   *lc;
	bool		valid = SplitIdentifierString(pstrdup(*newval), ',', &ports);

	if (valid)
		foreach(lc, ports)
			valid = valid && read_port(lfirst(lc)) > 0;
	if (valid)
		return true;
	GUC_check_errdetail("It must be a list of ports from 1 to 65535.");
	GUC_check_errhint("ALTER SYSTEM SET imgapi.callback_ports = '80, 443';");
	return false;
}

bool
img_port_is_listed(const char *ports, int port)
{
	List	   *listed;
	ListCell   *lc;

	if (SplitIdentifierString(pstrdup(ports), ',', &listed))
		foreach(lc, listed)
			if (read_port(lfirst(lc)) == port)
				return true;
	return false;
}

/* Days of an interval, those of a month being 30; -1: it is none. */
static double
interval_days(char *text)
{
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	char		buffer[256];
	int			nf;
	int			dtype;
#if PG_VERSION_NUM >= 150000
	struct pg_itm_in itm = {0};
#else
	struct pg_tm tm = {0};
	fsec_t		fsec;
#endif

	if (ParseDateTime(text, buffer, sizeof(buffer), field, ftype, MAXDATEFIELDS, &nf) != 0)
		return -1;
#if PG_VERSION_NUM >= 150000
	if (DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, &dtype, &itm) != 0)
		return -1;
	return itm.tm_year * 365.0 + itm.tm_mon * 30.0 + itm.tm_mday + itm.tm_usec / (double) USECS_PER_DAY;
#else
	if (DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, &dtype, &tm, &fsec) != 0)
		return -1;
	return tm.tm_year * 365.0 + tm.tm_mon * 30.0 + tm.tm_mday + tm.tm_hour / 24.0 + tm.tm_min / 1440.0 + tm.tm_sec / 86400.0;
#endif
}

static bool
check_retention(char **newval, void **extra, GucSource source)
{
	double		days = interval_days(*newval);

	if (days > 0 && days <= 3660)
		return true;
	GUC_check_errdetail("It must be an interval of more than nothing and at most 10 years.");
	GUC_check_errhint("SET imgapi.retention = '7 days';");
	return false;
}

static bool
check_job_retention(char **newval, void **extra, GucSource source)
{
	double		days;

	if ((*newval)[0] == '\0')
		return true;
	days = interval_days(*newval);
	if (days >= 1.0 / (24 * 60) && days <= 3660)
		return true;
	GUC_check_errdetail("It must be an interval of 1 minute to imgapi.retention, or empty for that.");
	GUC_check_errhint("SET LOCAL imgapi.job_retention = '1 day';");
	return false;
}

/* What links begin with, so nothing may follow the path. */
static bool
check_public_url(char **newval, void **extra, GucSource source)
{
	const char *url = *newval;
	size_t		scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;

	if (url[0] == '\0')
		return true;
	if (scheme > 0 && url[scheme] != '\0' && url[scheme] != '/')
	{
		while (*url > ' ' && *url < 0x7f && strchr("?#\"<>\\^`{|}", *url) == NULL)
			url++;
		if (*url == '\0')
			return true;
	}
	GUC_check_errdetail("It must be an http or https URL in ASCII, without a query or fragment.");
	GUC_check_errhint("ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com';");
	return false;
}

/*
 * A library that a session loads may not define settings of the server's
 * start: PostgreSQL ends the session.  They have no effect there but on the
 * session's own executor, and users may not change them either way.
 */
static GucContext
context_here(GucContext context)
{
	return context == PGC_POSTMASTER && !process_shared_preload_libraries_in_progress ? PGC_SIGHUP : context;
}

void
img_define_settings(void)
{
	for (int i = 0; i < lengthof(integers); i++)
		DefineCustomIntVariable(integers[i].name, integers[i].help, NULL, integers[i].value,
								integers[i].initial, integers[i].min, integers[i].max,
								context_here(integers[i].context), integers[i].flags, NULL, NULL, NULL);

	DefineCustomStringVariable("imgapi.databases", "Databases whose jobs this server works on.",
							   "A list of names, or * for every database that has the extension.",
							   &imgapi_databases, "*", PGC_SIGHUP, 0, check_databases, NULL, NULL);
	DefineCustomStringVariable("imgapi.formats", "Formats that may be read.", NULL,
							   &imgapi_formats, "jpeg, png, webp, gif, tiff, avif, heic", PGC_SUSET, 0,
							   check_formats, NULL, NULL);
	DefineCustomStringVariable("imgapi.retention", "How long stored pictures and ended jobs are kept.", NULL,
							   &imgapi_retention, "7 days", PGC_SUSET, 0, check_retention, NULL, NULL);
	DefineCustomStringVariable("imgapi.job_retention", "How long pictures of the jobs submitted here, and the jobs, are kept.",
							   "An interval up to imgapi.retention; empty: imgapi.retention.",
							   &imgapi_job_retention, "", PGC_USERSET, 0, check_job_retention, NULL, NULL);
	DefineCustomStringVariable("imgapi.public_url", "Where imgapi-gateway is reached: what links to pictures in the database begin with.", NULL,
							   &imgapi_public_url, "", PGC_SUSET, 0, check_public_url, NULL, NULL);
	DefineCustomStringVariable("imgapi.default_servers", "Servers of jobs that need one and name none.",
							   "Keys of operations with a server each, as in \"background.remove = claid, restorations.upscale = topaz\".",
							   &imgapi_default_servers, "", PGC_USERSET, 0, img_check_default_servers, NULL, NULL);
	DefineCustomBoolVariable("imgapi.auto_purge", "Whether the worker purges what has expired.", NULL,
							 &imgapi_auto_purge, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("imgapi.admin_role", "Role whose members see the rows of all users.", NULL,
							   &imgapi_admin_role, "", PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("imgapi.notify", "Whether the end of jobs is notified on channel img_job.",
							 "The payload is the id of the job.",
							 &imgapi_notify, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("imgapi.allow_private_networks", "Whether URLs may lead to private and loopback addresses.",
							 "Servers have an option of their own for it, allow_private.",
							 &imgapi_allow_private_networks, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("imgapi.callback_ports", "Ports that a callback_url may have.", "A list of numbers.",
							   &imgapi_callback_ports, "80, 443", PGC_SIGHUP, 0, check_callback_ports, NULL, NULL);
	DefineCustomBoolVariable("imgapi.reuse", "Whether a job takes over the stored result of an equal one.",
							 "Equal are owner, picture, operations, output, limits and version.",
							 &imgapi_reuse, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("imgapi.sandbox", "Whether executors must be confined.",
							 "require: do not start without; prefer: as far as the kernel can; off: for debugging.",
							 &imgapi_sandbox, IMG_SANDBOX_REQUIRE, sandbox_options,
							 context_here(PGC_POSTMASTER), 0, NULL, NULL, NULL);

#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("imgapi");
#else
	EmitWarningsOnPlaceholders("imgapi");
#endif
}

int
img_executor_count(void)
{
	long		processors;

	if (imgapi_executors > 0)
		return imgapi_executors;
	processors = sysconf(_SC_NPROCESSORS_ONLN);
	return Max(1, Min(processors, 64));
}

uint32_t
img_allowed_formats(void)
{
	static char *known = NULL;
	static uint32_t mask;
	char	   *copy;
	List	   *names;
	ListCell   *lc;

	if (known != NULL && strcmp(known, imgapi_formats) == 0)
		return mask;
	copy = pstrdup(imgapi_formats);
	mask = 0;
	if (SplitIdentifierString(copy, ',', &names))
		foreach(lc, names)
			mask |= 1u << img_format_index(lfirst(lc));
	if (known != NULL)
		pfree(known);
	known = MemoryContextStrdup(TopMemoryContext, imgapi_formats);
	pfree(copy);
	return mask;
}

/* A setting that is an interval, read again only when its text changes. */
typedef struct IntervalSetting
{
	char	   *text;
	Interval	value;
} IntervalSetting;

static Interval *
read_interval(IntervalSetting *setting, const char *text)
{
	if (setting->text != NULL && strcmp(setting->text, text) == 0)
		return &setting->value;
	setting->value = *DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
															ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	if (setting->text != NULL)
		pfree(setting->text);
	setting->text = MemoryContextStrdup(TopMemoryContext, text);
	return &setting->value;
}

/* The limit is looked at here because it may be set after what it limits. */
Interval *
img_job_retention(void)
{
	static IntervalSetting limit;
	static IntervalSetting chosen;

	read_interval(&limit, imgapi_retention);
	if (imgapi_job_retention[0] == '\0')
		return &limit.value;
	read_interval(&chosen, imgapi_job_retention);
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(&chosen.value),
										  IntervalPGetDatum(&limit.value))) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("imgapi.job_retention is longer than imgapi.retention allows"),
				 errdetail("Given: %s. Allowed: 1 minute to %s.", imgapi_job_retention, imgapi_retention),
				 errhint("SET imgapi.job_retention = '%s';", imgapi_retention)));
	return &chosen.value;
}

TimestampTz
img_expiry(TimestampTz from)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(from),
												   IntervalPGetDatum(img_job_retention())));
}

ImgLimits
img_limits(void)
{
	ImgLimits	limits = {
		.source_pixels = imgapi_max_source_pixels,
		.frames = imgapi_max_frames,
		.output_side = imgapi_max_output_side,
		.milliseconds = imgapi_job_timeout,
		.formats = img_allowed_formats()
	};

	return limits;
}

void
img_check_source_bytes(size_t bytes)
{
	if (bytes <= (size_t) imgapi_max_source_bytes * 1024)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the picture has %zu bytes, which is more than imgapi.max_source_bytes allows (%zu)",
					bytes, (size_t) imgapi_max_source_bytes * 1024),
			 errhint("An administrator may raise it: ALTER SYSTEM SET imgapi.max_source_bytes = '%zukB';",
					 bytes / 1024 + 1)));
}

bool
img_database_is_served(const char *name)
{
	char	   *copy;
	List	   *names;
	ListCell   *lc;

	if (strcmp(imgapi_databases, "*") == 0)
		return true;
	copy = pstrdup(imgapi_databases);
	if (SplitIdentifierString(copy, ',', &names))
		foreach(lc, names)
			if (strcmp(lfirst(lc), name) == 0)
				return true;
	return false;
}
