/*
 * request.c
 *	  One request of an executor: from a message to its reply.
 *
 * Runs in imgapi-executor.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "executor/library.h"
#include "executor/memory.h"
#include "executor/pipeline.h"
#include "executor/request.h"
#include "executor/unpack.h"

/* A deadline that libvips does not notice ends the process this much later. */
#define GRACE_MS	500

/* What goes back. */
typedef struct Answer
{
	ImgReply	reply;
	void	   *output;			/* free() */
	ImgFormatAbility ability[IMG_MAX_FORMATS];
	int			pieces;			/* several outputs, before they become one */
	ImgPiece	piece[IMG_MAX_PIECES];
	void	   *piece_data[IMG_MAX_PIECES]; /* free() */
} Answer;

static int64_t
now_realtime(void)
{
	return g_get_real_time();
}

/* SIGALRM has its default disposition: it ends the process. */
static void
set_alarm(uint32_t milliseconds)
{
	struct itimerval timer = {0};

	timer.it_value.tv_sec = milliseconds / 1000;
	timer.it_value.tv_usec = milliseconds % 1000 * 1000;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static int
memfd_of(const ImgCall *call, const ImgRequest *request)
{
	int			slot = call->pool ? 0 : request->slot;

	return slot < call->memfds ? call->memfd[slot] : -1;
}

static bool
map_input(ImgPicture *picture, int fd)
{
	const ImgRequest *request = picture->request;
	struct stat file;
	void	   *data;

	if (fd < 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) ||
		(uint64_t) file.st_size < request->input_length)
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_READ,
								"the bytes of the picture did not come along");
	if (request->input_length == 0)
		return true;
	data = mmap(NULL, request->input_length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_READ,
								"the file of %llu bytes needs more memory than imgapi.executor_memory allows",
								(unsigned long long) request->input_length);
	picture->data = data;
	picture->length = request->input_length;
	return true;
}

/* The end of the input may be another picture. */
static bool
part_input(ImgPicture *picture)
{
	picture->other_length = picture->request->other_length;
	picture->length -= picture->other_length;
	if (picture->other_length > 0)
		picture->other = picture->data + picture->length;
	return true;
}

/* Finds the bytes of the picture. */
static bool
take_input(ImgPicture *picture, const ImgCall *call)
{
	const ImgRequest *request = picture->request;

	switch (request->place)
	{
		case IMG_NOWHERE:
			return true;
		case IMG_INLINE:
			picture->data = call->message + sizeof(ImgRequest) + request->plan_length;
			picture->length = request->input_length;
			return part_input(picture);
		case IMG_MEMFD:
			return map_input(picture, memfd_of(call, request)) && part_input(picture);
	}
	return false;
}

/* The source is not needed any more. */
static void
drop_input(ImgPicture *picture)
{
	img_free_frames(picture);
	if (picture->request->place == IMG_MEMFD && picture->data != NULL)
		munmap((void *) picture->data, picture->request->input_length);
	picture->data = NULL;
	g_clear_object(&picture->header);
}

/* Where the format has a quality, it becomes this one. */
static void
set_quality(ImgStep *output, const ImgArgument *options, int quality)
{
	for (const ImgArgument *a = options; a != NULL && a->name != NULL; a++)
	{
		if (strcmp(a->name, "quality") == 0)
			output->value[a->slot] = quality;
		for (const ImgChoice *c = a->choices; c != NULL && c->name != NULL; c++)
			set_quality(output, c->members, quality);
	}
}

/* The format of the result, its options, and whether it can be written. */
static bool
choose_output(ImgPicture *picture)
{
	const ImgPlan *plan = &picture->plan;

	if (plan->format != IMG_FORMAT_OF_SOURCE)
	{
		picture->output_format = img_formats[plan->format];
		picture->output = plan->output;
	}
	else
	{
		picture->output_format = picture->source_format;
		if (!picture->output_format->can_save)
			picture->output_format = img_formats[img_format_index("jpeg")];
		memset(&picture->output, 0, sizeof(picture->output));
		img_step_defaults(&picture->output, picture->output_format->options);
	}
	if (plan->quality > 0)
		set_quality(&picture->output, picture->output_format->options, plan->quality);
	if (!picture->output_format->can_save)
		return img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_HEADER,
								"%s can be read but not written", picture->output_format->name);
	return true;
}

/* The steps from first to before end. */
static bool
run_steps(ImgPicture *picture, int first, int end)
{
	for (int i = first; i < end; i++)
	{
		const ImgStep *step = &picture->plan.step[i];
		const ImgOperation *operation = img_operations[step->operation];

		if (img_stopped(picture))
			return false;
		if (operation->run != NULL && !operation->run(picture, step))
			return false;
	}
	return true;
}

/* Cuts one piece out, does the remaining steps to it, and writes it. */
static bool
finish_piece(ImgPicture *picture, const ImgBox *box, int step, Answer *answer)
{
	ImgPicture	piece = *picture;
	ImgPiece   *result = &answer->piece[answer->pieces];
	size_t		length = 0;
	bool		done;

	piece.frame = g_new0(VipsImage *, picture->frames);
	for (int i = 0; i < picture->frames; i++)
		piece.frame[i] = g_object_ref(picture->frame[i]);
	if (picture->animation != NULL)
		g_object_ref(picture->animation);
	done = img_cut(&piece, box) && run_steps(&piece, step, picture->plan.steps) &&
		img_save(&piece, &answer->piece_data[answer->pieces], &length);
	picture->warnings |= piece.warnings;
	if (done)
	{
		*result = (ImgPiece) {length, piece.result};
		answer->pieces++;
	}
	else
		img_fail_picture(picture, piece.outcome, piece.stage, "%s", piece.text);
	img_free_frames(&piece);
	return done;
}

/* One piece is a result like any other; several lie behind their list. */
static bool
join_pieces(ImgPicture *picture, Answer *answer)
{
	size_t		head = answer->pieces * sizeof(ImgPiece);
	size_t		length = head;
	char	   *output;

	picture->result = answer->piece[0].facts;
	answer->reply.outputs = answer->pieces;
	if (answer->pieces == 1)
	{
		answer->output = answer->piece_data[0];
		answer->reply.output_length = answer->piece[0].length;
		answer->pieces = 0;
		return true;
	}
	for (int i = 0; i < answer->pieces; i++)
		length += answer->piece[i].length;
	output = answer->output = malloc(length);
	if (output == NULL)
		return img_fail_memory(picture, length);
	memcpy(output, answer->piece, head);
	output += head;
	for (int i = 0; i < answer->pieces; i++)
	{
		memcpy(output, answer->piece_data[i], answer->piece[i].length);
		output += answer->piece[i].length;
		free(answer->piece_data[i]);
		answer->piece_data[i] = NULL;
	}
	answer->pieces = 0;
	answer->reply.output_length = length;
	return true;
}

/* The step at which one picture becomes several: done, and what is behind it. */
static bool
split(ImgPicture *picture, int step, Answer *answer)
{
	ImgBox		box[IMG_MAX_PIECES];
	int			count;

	if (!img_settle(picture) ||
		!img_operations[picture->plan.step[step].operation]->split(picture, &picture->plan.step[step], box, &count))
		return false;
	for (int i = 0; i < count; i++)
		if (img_stopped(picture) || !finish_piece(picture, &box[i], step + 1, answer))
			return false;
	return join_pieces(picture, answer);
}

/* The steps of the plan, and writing. */
static bool
work(ImgPicture *picture, Answer *answer)
{
	int			step = 0;
	size_t		length = 0;

	if (!img_load(picture))
		return false;
	while (step < picture->plan.steps && !img_operations[picture->plan.step[step].operation]->splits)
		step++;
	if (!run_steps(picture, 0, step))
		return false;
	if (step < picture->plan.steps)
		return split(picture, step, answer);
	if (!img_save(picture, &answer->output, &length))
		return false;
	answer->reply.outputs = 1;
	answer->reply.output_length = length;
	return true;
}

/* Where the output goes: into the reply, or in place of the input. */
static bool
hand_over(ImgPicture *picture, const ImgCall *call, Answer *answer)
{
	size_t		length = answer->reply.output_length;
	int			fd = memfd_of(call, picture->request);

	drop_input(picture);
	answer->reply.place = length <= IMG_INLINE_OUTPUT ? IMG_INLINE : IMG_MEMFD;
	if (answer->reply.place == IMG_INLINE)
		return true;
	if (fd < 0)
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_ENCODE,
								"there is no place for a result of %zu bytes", length);
	if (img_write_all(fd, answer->output, length, 0) != 0)
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_ENCODE,
								"the result could not be handed over: %s", g_strerror(errno));
	return true;
}

static bool
keep(ImgPicture *picture, Answer *answer)
{
	size_t		length;

	if (!img_keep_unchanged(picture, &answer->output, &length))
		return false;
	answer->reply.outputs = 1;
	answer->reply.output_length = length;
	return true;
}

static bool
edit(ImgPicture *picture, const ImgCall *call, Answer *answer)
{
	if (!img_plan_valid(call->message + sizeof(ImgRequest), picture->request->plan_length, &picture->plan))
		return img_fail_picture(picture, IMG_BAD_PLAN, IMG_STAGE_READ, "this is not a plan of this version");
	if (!take_input(picture, call) || !img_open(picture) || !choose_output(picture) ||
		!(img_stays_unchanged(picture) ? keep : work) (picture, answer))
		return false;
	return hand_over(picture, call, answer);
}

static bool
unpack(ImgPicture *picture, const ImgCall *call, Answer *answer)
{
	size_t		length = 0;

	if (!take_input(picture, call) || !img_unpack(picture, &answer->output, &length))
		return false;
	answer->reply.output_length = length;
	return hand_over(picture, call, answer);
}

static void
describe(ImgPicture *picture, const ImgCall *call, Answer *answer)
{
	size_t		length = 0;

	if (!take_input(picture, call) || !img_describe(picture, &answer->output, &length))
		return;
	answer->reply.place = IMG_INLINE;
	answer->reply.output_length = length;
}

static void
run(ImgPicture *picture, const ImgCall *call, Answer *answer)
{
	switch (picture->request->type)
	{
		case IMG_EDIT:
			edit(picture, call, answer);
			break;
		case IMG_INFO:
			if (take_input(picture, call))
				img_open(picture);
			break;
		case IMG_PHASH:
		case IMG_BLURHASH:
		case IMG_DOMINANT_COLOR:
			describe(picture, call, answer);
			break;
		case IMG_UNPACK:
			unpack(picture, call, answer);
			break;
		case IMG_FORMATS:
			img_library_abilities(answer->ability);
			answer->reply.place = IMG_INLINE;
			answer->reply.output_length = img_format_count * sizeof(ImgFormatAbility);
			break;
		default:
			img_fail_picture(picture, IMG_BAD_PLAN, IMG_STAGE_READ, "this is not a request of this version");
	}
	drop_input(picture);
}

static bool
send_answer(const ImgCall *call, ImgPicture *picture, Answer *answer)
{
	ImgReply   *reply = &answer->reply;
	ImgPart		parts[3] = {{reply, sizeof(*reply)}};

	if (picture->outcome != IMG_DONE)
	{
		reply->place = IMG_NOWHERE;
		reply->output_length = 0;
		reply->text_length = strnlen(picture->text, sizeof(picture->text) - 1);
		img_make_printable(picture->text, reply->text_length);
	}
	reply->outcome = picture->outcome;
	reply->stage = picture->stage;
	reply->warnings = picture->warnings;
	reply->source = picture->source;
	reply->output = picture->result;
	parts[1] = (ImgPart) {picture->text, reply->text_length};
	if (reply->place == IMG_INLINE)
		parts[2] = (ImgPart) {answer->output ? answer->output : (void *) answer->ability, reply->output_length};
	return img_send(call->socket, parts, 3, NULL, 0, 0) == 0;
}

/* Whether the message is a request whose parts add up. */
static bool
request_valid(const ImgCall *call, ImgRequest *request)
{
	size_t		rest;

	if (call->length < sizeof(*request))
		return false;
	memcpy(request, call->message, sizeof(*request));
	rest = call->length - sizeof(*request);
	if (request->magic != IMG_WIRE_MAGIC || request->version != IMG_WIRE_VERSION ||
		request->place > IMG_MEMFD || request->plan_length > rest || request->other_length > request->input_length)
		return false;
	if (request->place == IMG_INLINE)
		return request->input_length == rest - request->plan_length;
	return request->plan_length == rest && request->input_length <= SIZE_MAX / 2;
}

static void
no_facts(ImgFacts *facts)
{
	facts->format = UINT16_MAX;
	facts->orientation = 1;
	facts->lat = facts->lng = NAN;
}

bool
img_answer(const ImgCall *call)
{
	ImgRequest	request;
	ImgPicture	picture = {.request = &request, .client = call->pool ? call->socket : -1, .orientation = 1};
	Answer		answer = {.reply = {.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION}};
	gint64		start = g_get_monotonic_time();
	bool		sent;

	if (!request_valid(call, &request))
		return false;
	answer.reply.id = request.id;
	answer.reply.started_at = now_realtime();
	no_facts(&picture.source);
	no_facts(&picture.result);
	if (request.limits.milliseconds > 0)
	{
		uint32_t	limit = MIN(request.limits.milliseconds, UINT32_MAX / 2);

		picture.deadline = start + limit * G_GINT64_CONSTANT(1000);
		set_alarm(limit + GRACE_MS);
	}
	run(&picture, call, &answer);
	if (request.limits.milliseconds > 0)
		set_alarm(0);
	answer.reply.microseconds = MIN(g_get_monotonic_time() - start, UINT32_MAX);
	sent = send_answer(call, &picture, &answer);
	free(answer.output);
	vips_error_clear();
	img_age_memory();
	return sent;
}

bool
img_say_ready(int socket, ImgOutcome outcome, const char *text)
{
	ImgReply	reply = {.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION, .outcome = outcome};
	ImgPart		parts[2] = {{&reply, sizeof(reply)}, {text, strnlen(text, IMG_MAX_TEXT - 1)}};

	no_facts(&reply.source);
	no_facts(&reply.output);
	reply.text_length = parts[1].length;
	reply.started_at = now_realtime();
	return img_send(socket, parts, 2, NULL, 0, 0) == 0;
}
