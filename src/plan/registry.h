/*
 * registry.h
 *	  What an operation and a format declare about themselves.
 *
 * One operation is one file in src/operations, one format is one file in
 * src/formats.  Each declares its place in the edit contract, its arguments
 * with types, ranges and defaults, and (in the executor only) the function
 * that does the pixel work.  The same file is compiled twice: into imgapi.so,
 * which validates, documents and compiles requests, and, with IMGAPI_EXECUTOR
 * defined, into imgapi-executor, which runs them.  Nothing here depends on
 * PostgreSQL or on libvips.
 *
 * A value of any type becomes numbers in the slots of a step:
 *
 *	IMG_BOOL		0 or 1
 *	IMG_INTEGER		the number
 *	IMG_REAL		the number
 *	IMG_COLOR		0xRRGGBBAA
 *	IMG_LENGTH		two slots: the number, then an ImgUnit
 *	IMG_CHOICE		position in choices[]; the members of the chosen entry
 *					have slots of their own
 *	IMG_SIDES		five slots: top, right, bottom, left, then an ImgUnit
 *	IMG_FORMAT		position in img_formats[], or -1
 *	IMG_PICTURE		1: another picture comes along with the source; a plan has
 *					one at most
 *	IMG_ANY			no slot: any JSON, understood by remote servers only
 */
#ifndef IMGAPI_REGISTRY_H
#define IMGAPI_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMG_MAX_SLOTS	12

typedef enum ImgType
{
	IMG_BOOL,
	IMG_INTEGER,
	IMG_REAL,
	IMG_COLOR,
	IMG_LENGTH,
	IMG_CHOICE,
	IMG_SIDES,
	IMG_FORMAT,
	IMG_PICTURE,
	IMG_ANY
} ImgType;

typedef enum ImgUnit
{
	IMG_AUTO,					/* "auto", or not given */
	IMG_PIXELS,
	IMG_PERCENT
} ImgUnit;

typedef struct ImgArgument ImgArgument;
typedef struct ImgStep ImgStep;

/* One allowed word of an IMG_CHOICE. */
typedef struct ImgChoice
{
	const char *name;			/* NULL ends a list */
	const ImgArgument *members; /* keys of its object form {"type": name, …} */
	const char *servers;		/* NULL: runs here; else needs a model, and
								 * these server types have one */
} ImgChoice;

/*
 * One key of an operation.  In JSON an IMG_CHOICE is its word, or an object
 * with the key "type" and the members of that choice; the
 * first choice is meant when "type" is left out.  Any other argument may have
 * an object form of its own (members), as background.remove has; its value is
 * then 1 for an IMG_BOOL, else initial, unless one of the members has the same
 * slot.  null means: not given.
 */
struct ImgArgument
{
	const char *name;			/* NULL ends a list */
	ImgType		type;
	int			slot;			/* first slot in the step */
	double		min;			/* numbers, and the number of a length */
	double		max;
	double		initial;		/* value when not given */
	const ImgChoice *choices;	/* IMG_CHOICE */
	const ImgArgument *members;
	const char *servers;		/* as in ImgChoice, for any value but initial */
	const char *help;			/* one line for the reference */
	bool		percent_only;	/* IMG_LENGTH */
	bool		no_auto;		/* IMG_LENGTH: "auto" would say nothing */
	double		max_percent;	/* IMG_LENGTH, IMG_SIDES; 0: 1000 */
	bool		required;
};

/* A rule over several arguments that a step breaks. */
typedef struct ImgProblem
{
	const char *argument;		/* the key at fault */
	char		message[160];	/* what was given and what is wrong */
	char		hint[200];		/* what to write instead */
} ImgProblem;

/* What the executor hands to pixel functions; src/executor/pipeline.h */
typedef struct ImgPicture ImgPicture;

/* A part of a picture, in pixels as displayed. */
typedef struct ImgBox
{
	int			left;
	int			top;
	int			width;
	int			height;
} ImgBox;

/* Most pieces that a picture is taken apart into. */
#define IMG_MAX_PIECES	256

/*
 * One group of the edit contract.  Steps run in the order in which
 * operations stand in img_operations[], whatever order the JSON has.
 */
typedef struct ImgOperation
{
	const char *key;			/* "resizing" in {"resizing": {…}} */
	const char *help;
	const ImgArgument *arguments;	/* NULL: its value is not an object */
	/* of such a group: what its value is, a list of one; NULL: anything */
	const ImgArgument *value;
	int			slots;			/* how many the arguments use */
	/* checks combinations and settles defaults that depend on each other;
	 * NULL: none */
	bool		(*check) (ImgStep *step, ImgProblem *problem);
	/* executor only; NULL: nothing to do here.  False: see
	 * img_fail_picture() in src/executor/pipeline.h */
	bool		(*run) (ImgPicture *picture, const ImgStep *step);
	/* makes several pictures of one, so it is no part of an edit, which has one
	 * result; executor only, false as run(): which parts, IMG_MAX_PIECES at
	 * most.  The steps behind it are done to each. */
	bool		splits;
	bool		(*split) (ImgPicture *picture, const ImgStep *step, ImgBox *pieces, int *count);
} ImgOperation;

/*
 * One picture format.  Its options are the keys of the object form of
 * output.format.
 */
typedef struct ImgFormat
{
	const char *name;			/* "jpeg" */
	const char *extensions;		/* "jpg jpeg jpe"; the first is the usual one */
	const char *mime;
	bool		can_animate;
	bool		has_alpha;
	bool		can_save;		/* false: read only */
	const ImgArgument *options;
	int			slots;
	bool		(*check) (ImgStep *step, ImgProblem *problem);
	/* whether a file's first bytes are those of this format */
	bool		(*sniff) (const unsigned char *data, size_t length);
	/* executor only: reads it without libvips; src/executor/decoder.h */
	struct ImgDecoder *(*decoder) (ImgPicture *picture);
	const char *loader;			/* libvips operation "jpegload_buffer" */
	const char *saver;			/* "jpegsave_buffer" */
	bool		(*save) (ImgPicture *picture, const ImgStep *options,
						 void **data, size_t *length);
} ImgFormat;

/* Names the executor half of a declaration. */
#ifdef IMGAPI_EXECUTOR
#define IMG_EXECUTOR_ONLY(x) (x)
#else
#define IMG_EXECUTOR_ONLY(x) NULL
#endif

/* One a file. */
extern const ImgOperation img_operation_restorations;
extern const ImgOperation img_operation_generative;
extern const ImgOperation img_operation_topaz;
extern const ImgOperation img_operation_privacy;
extern const ImgOperation img_operation_rotate;
extern const ImgOperation img_operation_flip;
extern const ImgOperation img_operation_crop;
extern const ImgOperation img_operation_trim;
extern const ImgOperation img_operation_resizing;
extern const ImgOperation img_operation_adjustments;
extern const ImgOperation img_operation_blur;
extern const ImgOperation img_operation_gray;
extern const ImgOperation img_operation_round;
extern const ImgOperation img_operation_circle;
extern const ImgOperation img_operation_padding;
extern const ImgOperation img_operation_background;
extern const ImgOperation img_operation_watermark;
extern const ImgOperation img_operation_slice;
extern const ImgOperation img_operation_grid;
extern const ImgFormat img_format_jpeg;
extern const ImgFormat img_format_png;
extern const ImgFormat img_format_webp;
extern const ImgFormat img_format_gif;
extern const ImgFormat img_format_tiff;
extern const ImgFormat img_format_avif;
extern const ImgFormat img_format_heic;

extern const ImgOperation *const img_operations[];
extern const int img_operation_count;
extern const ImgFormat *const img_formats[];
extern const int img_format_count;

/*
 * The nine places at which something lies in something larger: words of an
 * IMG_CHOICE, northwest first.
 */
extern const ImgChoice img_gravities[];
#define IMG_GRAVITY_NORTHWEST	0
#define IMG_GRAVITY_CENTER		4

/*
 * Where a box of that size lies in a picture of width × height.  Offsets move
 * it away from the edge that the gravity names, else to the right and down; it
 * may reach beyond the picture.
 */
extern ImgBox img_gravity_box(int gravity, int width, int height, int box_width, int box_height,
							  int x, int y);

/* Bit of a slot in ImgStep.given. */
#define IMG_GIVEN(slot)	((uint16_t) (1 << (slot)))

extern int	img_operation_index(const char *key);
extern int	img_format_index(const char *name);

/* The format whose first bytes these are, or -1; by them alone. */
extern int	img_format_sniff(const unsigned char *data, size_t length);

/* heic.c: AVIF, or HEIC. */
extern bool img_sniff_heif(const unsigned char *data, size_t length, bool avif);

/* Sets every slot of the arguments (members of choices included) to its
 * default. */
extern void img_step_defaults(ImgStep *step, const ImgArgument *arguments);

/* What the slots of an operation hold: its arguments, or its value. */
static inline const ImgArgument *
img_slots_of(const ImgOperation *operation)
{
	return operation->value ? operation->value : operation->arguments;
}

/* The largest percentage that an argument allows, and the smallest. */
extern double img_max_percent(const ImgArgument *argument);
extern double img_min_percent(const ImgArgument *argument);

/* Whether every slot of the step holds a value its argument allows. */
extern bool img_step_valid(const ImgStep *step, const ImgArgument *arguments);

#endif							/* IMGAPI_REGISTRY_H */
