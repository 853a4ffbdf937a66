/*
 * home.h
 *	  Where the extension lives, and running its SQL as its owner.
 */
#ifndef IMGAPI_HOME_H
#define IMGAPI_HOME_H

#include "executor/spi.h"
#include "fmgr.h"

typedef struct ImgHome
{
	Oid			schema;
	Oid			owner;			/* of the extension's functions */
	char	   *schema_name;	/* quoted */
} ImgHome;

/* Rights put aside by img_become(). */
typedef struct ImgIdentity
{
	Oid			user;
	int			context;
	int			settings;		/* what became of them is undone; 0: they stay */
} ImgIdentity;

/*
 * The home of the function that was called.  Cached; a schema other than last
 * time (DROP and CREATE EXTENSION in one session) drops the prepared
 * statements.
 */
extern const ImgHome *img_home_of_function(Oid function);

/* The home found by the extension's name; NULL: there is none.  For workers:
 * call it in every transaction, before anything else.  Locks the extension
 * against DROP EXTENSION until the transaction ends, always first, so that the
 * two cannot deadlock. */
extern const ImgHome *img_home_of_extension(void);

/*
 * A statement of the extension's own, prepared once a process.  $S in the text
 * stands for the schema.  Keep ImgStatement objects static.
 */
typedef struct ImgStatement
{
	const char *text;
	int			nargs;
	Oid			types[16];		/* filled in where type_names has a name */
	const char *type_names[16]; /* types of the extension, without schema */
	SPIPlanPtr	plan;			/* filled in */
	uint64		generation;
} ImgStatement;

/* Runs it; SPI must be connected.  Any result is in SPI_tuptable. */
extern int	img_execute(ImgStatement *statement, Datum *values, const char *nulls);

/* Runs it and sends the rows to a receiver, as they come; returns their number. */
extern uint64 img_execute_into(ImgStatement *statement, ParamListInfo parameters, DestReceiver *destination);

/* Runs it as of now rather than as of the caller's snapshot, reading only. */
extern int	img_execute_now(ImgStatement *statement, Datum *values, const char *nulls);

/* The OID of one of the extension's types. */
extern Oid	img_type(const char *name);

/* The OID of one of the extension's tables; InvalidOid: it is gone. */
extern Oid	img_table(const char *name);

/* An array as a parameter; nulls NULL: none of its elements is.  Within a transaction. */
extern Datum img_array(Datum *elements, bool *nulls, int n, Oid type);

/*
 * Takes on the rights of a role until img_resume(); with untrusted set, for
 * running what users wrote: no SET ROLE, no deferred triggers and no setting
 * left behind.
 * An error in between gives the rights back by itself.
 */
extern void img_become(Oid user, bool untrusted, ImgIdentity *before);
extern void img_resume(const ImgIdentity *before);

#endif							/* IMGAPI_HOME_H */
