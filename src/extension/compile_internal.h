/*
 * compile_internal.h
 *	  What the files of the request compiler share.
 *
 *	compile.c			operations, the cache
 *	compile_output.c	output
 *	compile_steps.c		the steps of an operation
 *	compile_argument.c	the values of arguments
 *	compile_length.c	those that are lengths
 *	compile_error.c		how it says no
 */
#ifndef IMGAPI_COMPILE_INTERNAL_H
#define IMGAPI_COMPILE_INTERNAL_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "plan/plan.h"
#include "utils/jsonb.h"

/* Where in the request the compiler is; lives on its stack. */
typedef struct ImgPath
{
	const struct ImgPath *up;	/* NULL for "operations" and "output" */
	const char *key;
	int			length;			/* of key */
	const char *type;			/* "type" of the object here, for examples */
} ImgPath;

/* What the functions share while one request is compiled. */
typedef struct ImgCompiler
{
	const char *server_type;	/* NULL: the database's own executors */
	ImgStep    *step;			/* the one being filled */
	char	   *other;			/* what its IMG_PICTURE names */
	char	   *destination;	/* of the output */
	bool		any_server;		/* what ours cannot do is only noted ... */
	char	   *needs;			/* ... here, as in ImgCompiled */
} ImgCompiler;

/* compile.c */
extern void img_begin_plan(ImgPlan *plan);

/* compile_output.c */
extern void img_compile_output(ImgCompiler *compiler, JsonbValue *value, ImgPlan *plan);

/* The name or extension of a format that can be written. */
extern int	img_read_format(const ImgPath *path, const JsonbValue *word);

/* Once the format is known: what it cannot hold. */
extern void img_settle_format(ImgPlan *plan);

/* compile_argument.c */

/*
 * Compiles the members of an object, but for "type" where path->type says that
 * the caller has read it.  choices: those of which the object is one, or NULL.
 */
extern void img_compile_members(ImgCompiler *compiler, const ImgPath *path,
								JsonbContainer *object, const ImgArgument *arguments,
								const ImgChoice *choices);

/* Refuses an object in which something is missing. */
extern void img_check_required(ImgCompiler *compiler, const ImgPath *path,
							   const ImgArgument *arguments);

/* Compiles the value of a group that need not be an object. */
extern void img_compile_value(ImgCompiler *compiler, const ImgPath *path,
							  const ImgArgument *argument, JsonbValue *value);
extern const ImgArgument *img_find_argument(const ImgArgument *arguments,
											const JsonbValue *key);

/* Refuses what the place of the request cannot do.  servers as in ImgChoice. */
extern void img_check_place(ImgCompiler *compiler, const ImgPath *path,
							const char *word, const char *servers);

/* Whether a value asks for nothing.  A whole group also does as {} and 0. */
extern bool img_asks_nothing(const JsonbValue *value, bool group);
extern bool img_is_object(const JsonbValue *value);
extern bool img_is_word(const JsonbValue *value, const char *word);

/* A number in the range of the argument. */
extern double img_read_number(const ImgPath *path, const ImgArgument *argument,
							  const JsonbValue *value);

/* compile_length.c */

/* A number of pixels, "NN%", "NNpx" or "auto". */
extern double img_read_length(const ImgPath *path, const ImgArgument *argument,
							  const JsonbValue *value, ImgUnit *unit);

/* Fills the five slots of an IMG_SIDES. */
extern void img_read_sides(const ImgPath *path, const ImgArgument *argument,
						   const JsonbValue *value, double *slots);

/*
 * compile_error.c: each of these raises an error with the JSON path in the
 * message, what was given and what is allowed in the detail, and a line to
 * type in the hint.
 */

/* key is none of the allowed (list of char *); home is the example of a place
 * where it would be right, or NULL. */
extern _Noreturn void img_refuse_key(const ImgPath *object, const char *key, int length,
						   List *allowed, char *home);

/* The value is not what it must be.  Words is NIL, or the list of words of
 * which the value was to be one. */
extern _Noreturn void img_refuse_value(const ImgPath *path, const char *problem,
							 const JsonbValue *value, const char *allowed,
							 List *words, char *example);

/* The value of an argument is not what its declaration says. */
extern _Noreturn void img_refuse_argument(const ImgPath *path, const ImgArgument *argument,
								const char *problem,
								const JsonbValue *value);

/* Neither our executors nor servers of this type can do it.  word is the
 * choice at fault, or NULL. */
extern _Noreturn void img_refuse_place(const ImgPath *path, const char *word,
							 const char *servers,
							 const char *server_type);

/* Our executors can do it, but not servers of this type. */
extern _Noreturn void img_refuse_local(const ImgPath *path, const char *server_type);

/* An argument that has to be given is not. */
extern _Noreturn void img_refuse_missing(const ImgPath *object, const ImgArgument *argument);

/* A declaration's own check found a problem. */
extern _Noreturn void img_refuse_problem(const ImgPath *path,
							   const ImgProblem *problem);

/* operations.resizing.width */
extern char *img_path_text(const ImgPath *path);

/* {"resizing": {"width": value}} */
extern char *img_path_example(const ImgPath *path, const char *value);

extern List *img_argument_names(const ImgArgument *arguments, List *names);
extern List *img_choice_names(const ImgChoice *choices);

/* a, b, c or "a", "b", "c" */
extern char *img_join(List *names, bool quoted);

#endif							/* IMGAPI_COMPILE_INTERNAL_H */
