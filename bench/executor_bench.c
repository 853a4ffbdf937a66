/*
 * executor_bench.c
 *	  What executors do by themselves, without PostgreSQL.
 *
 *	executor_bench PROGRAM KIND DIR N [executors=2] [depth=4] [SAVE_DIR]
 *
 * Feeds the files of DIR, N in all, to executors over the protocol of wire.h,
 * several deep, and prints pictures per second, processor time per picture and
 * the memory of the largest executor.  With SAVE_DIR each result is kept.
 *
 *	photo	resizing {"width": 512, "height": 512, "fit": "bounds"}, jpeg quality 80
 *	tiny	resizing {"width": 64, "height": 64, "fit": "crop"}, webp quality 80
 *	mixed	as photo, in the format of the source
 *	info	header only
 *	small	as photo, to 32 × 32
 *	phash, blurhash, color	a description
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/wire.h"

#define MAX_EXECUTORS	16

typedef struct File
{
	char	   *name;
	void	   *data;
	size_t		length;
} File;

typedef struct Executor
{
	pid_t		pid;
	int			socket;
	int			memfd[IMG_MAX_SLOT_FDS];
	int			job[IMG_MAX_SLOT_FDS];	/* oldest first */
	int			busy;
	int			next_slot;
} Executor;

static File *files;
static int	file_count;
static ImgPlan plan;
static uint16_t request_type = IMG_EDIT;
static const char *save_dir;
static long done, failed;
static unsigned long long output_bytes;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const File *) a)->name, ((const File *) b)->name);
}

static void
read_files(const char *dir)
{
	DIR		   *handle = opendir(dir);
	struct dirent *entry;

	if (handle == NULL)
		die(dir);
	while ((entry = readdir(handle)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		files = realloc(files, (file_count + 1) * sizeof(File));
		files[file_count++].name = strdup(entry->d_name);
	}
	closedir(handle);
	qsort(files, file_count, sizeof(File), by_name);
	for (int i = 0; i < file_count; i++)
	{
		char		path[4096];
		struct stat st;
		int			fd;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || fstat(fd, &st) != 0)
			die(path);
		files[i].length = st.st_size;
		files[i].data = malloc(st.st_size + 1);
		if (read(fd, files[i].data, st.st_size) != st.st_size)
			die(path);
		close(fd);
	}
}

/* The slots of an operation are found by the order of its arguments. */
static void
make_plan(const char *kind)
{
	const bool	tiny = strcmp(kind, "tiny") == 0;
	const char *format = tiny ? "webp" : "jpeg";
	ImgStep    *step = &plan.step[0];
	int			resizing = img_operation_index("resizing");
	const ImgArgument *arguments = img_operations[resizing]->arguments;
	const ImgArgument *options;

	plan.version = IMG_PLAN_VERSION;
	plan.steps = 1;
	img_step_defaults(&plan.metadata, img_metadata_arguments);
	step->operation = resizing;
	img_step_defaults(step, arguments);
	for (int i = 0; i < 2; i++)
	{
		step->value[arguments[i].slot] = tiny ? 64 : strcmp(kind, "small") == 0 ? 32 : 512;
		step->value[arguments[i].slot + 1] = IMG_PIXELS;
	}
	step->value[arguments[2].slot] = tiny ? 0 : 2;
	plan.format = img_format_index(format);
	plan.output.operation = plan.format;
	options = img_formats[plan.format]->options;
	img_step_defaults(&plan.output, options);
	if (tiny)
		plan.output.value[options[0].choices[0].members[0].slot] = 80;
	else
	{
		plan.output.value[options[0].slot] = 80;
		plan.output.value[options[1].slot] = 0;
	}
	if (strcmp(kind, "mixed") == 0)
		plan.format = IMG_FORMAT_OF_SOURCE;
	if (strcmp(kind, "info") == 0)
		request_type = IMG_INFO;
	if (strcmp(kind, "phash") == 0)
		request_type = IMG_PHASH;
	if (strcmp(kind, "blurhash") == 0)
		request_type = IMG_BLURHASH;
	if (strcmp(kind, "color") == 0)
		request_type = IMG_DOMINANT_COLOR;
}

static void
start(Executor *executor, const char *program, int depth)
{
	int			pair[2];
	char		buffer[IMG_MAX_MESSAGE];
	ImgRequest	hello = {.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION, .type = IMG_HELLO};
	ImgPart		part = {&hello, sizeof(hello)};
	int			fds[1];
	int			nfds;
	ssize_t		length;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		die("socketpair");
	executor->pid = fork();
	if (executor->pid == 0)
	{
		char	   *const environment[] = {NULL};
		const char *sandbox = getenv("SANDBOX") ? getenv("SANDBOX") : "--sandbox=require";

		dup2(pair[1], IMG_WIRE_FD);
		execle(program, "imgapi-executor", "owned", sandbox, "--memory=1024", NULL, environment);
		_exit(127);
	}
	close(pair[1]);
	executor->socket = pair[0];
	length = img_receive(pair[0], buffer, sizeof(buffer), fds, 1, &nfds, 0);
	if (length < (ssize_t) sizeof(ImgReply) || ((ImgReply *) buffer)->outcome != IMG_DONE)
	{
		fprintf(stderr, "the executor did not start\n");
		exit(1);
	}
	for (int i = 0; i < depth; i++)
		executor->memfd[i] = memfd_create("slot", MFD_CLOEXEC);
	if (img_send(executor->socket, &part, 1, executor->memfd, depth, 0) != 0)
		die("hello");
}

static void
submit(Executor *executor, int job, int depth)
{
	const File *file = &files[job % file_count];
	int			slot = executor->next_slot;
	bool		small = file->length <= IMG_INLINE_INPUT;
	ImgRequest	request = {
		.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION, .type = request_type, .id = job,
		.limits = {100000000, 1000, 16384, 30000, UINT32_MAX},
		.place = small ? IMG_INLINE : IMG_MEMFD, .slot = slot,
		.plan_length = request_type == IMG_EDIT ? img_plan_size(&plan) : 0,
		.input_length = file->length
	};
	ImgPart		parts[3] = {{&request, sizeof(request)}, {&plan, request.plan_length},
	{file->data, small ? file->length : 0}};

	if (!small && img_write_all(executor->memfd[slot], file->data, file->length, 0) != 0)
		die("memfd");
	if (img_send(executor->socket, parts, 3, NULL, 0, 0) != 0)
		die("send");
	executor->job[executor->busy++] = job;
	executor->next_slot = (slot + 1) % depth;
}

static void
keep(const File *file, const void *data, size_t length)
{
	char		path[4096];
	FILE	   *out;

	if (save_dir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s.out", save_dir, file->name);
	out = fopen(path, "w");
	if (out == NULL || fwrite(data, 1, length, out) != length)
		die(path);
	fclose(out);
}

static void
collect(Executor *executor, int depth)
{
	static char buffer[IMG_MAX_MESSAGE];
	static char large[64 << 20];
	ImgReply   *reply = (ImgReply *) buffer;
	int			fds[1];
	int			nfds;
	ssize_t		length = img_receive(executor->socket, buffer, sizeof(buffer), fds, 1, &nfds, 0);
	int			job = executor->job[0];
	int			slot = (executor->next_slot - executor->busy + 2 * depth) % depth;
	const char *output = buffer + sizeof(ImgReply);

	if (length <= 0 || !img_reply_valid(reply, length, job, true, sizeof(large)))
	{
		fprintf(stderr, "%s: the executor has gone or talks nonsense (%zd)\n", files[job % file_count].name, length);
		exit(1);
	}
	done++;
	executor->busy--;
	memmove(executor->job, executor->job + 1, executor->busy * sizeof(int));
	if (reply->outcome != IMG_DONE)
	{
		failed++;
		fprintf(stderr, "%s: %.*s\n", files[job % file_count].name, (int) reply->text_length, output);
		return;
	}
	output_bytes += reply->output_length;
	if (reply->place == IMG_MEMFD)
	{
		if (img_read_all(executor->memfd[slot], large, reply->output_length, 0) != 0)
			die("result");
		output = large;
	}
	keep(&files[job % file_count], output, reply->output_length);
}

/* A line of /proc/PID/status, in MB */
static double
status_mb(pid_t pid, const char *key)
{
	char		path[64];
	char		line[256];
	long		kb = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %ld", &kb);
	if (file != NULL)
		fclose(file);
	return kb / 1024.0;
}

/* Processor time of a running child so far, all threads. */
static double
processor_time(pid_t pid)
{
	clockid_t	clock;
	struct timespec now;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0)
		die("clock");
	return now.tv_sec + now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	static Executor executors[MAX_EXECUTORS];
	struct pollfd fds[MAX_EXECUTORS];
	int			count = argc > 5 ? atoi(argv[5]) : 2;
	int			depth = argc > 6 ? atoi(argv[6]) : 4;
	int			total;
	int			next = 0;
	double		cpu = 0;
	double		rss = 0;
	double		anon = 0;
	double		begin;
	double		ready;

	if (argc < 5)
	{
		fprintf(stderr, "usage: executor_bench PROGRAM photo|tiny|mixed|info|small|phash|blurhash|color DIR N [executors] [depth] [save dir]\n");
		return 2;
	}
	save_dir = argc > 7 ? argv[7] : NULL;
	total = atoi(argv[4]);
	make_plan(argv[2]);
	read_files(argv[3]);
	begin = seconds();
	for (int i = 0; i < count; i++)
		start(&executors[i], argv[1], depth);
	ready = (seconds() - begin) / count;
	for (int i = 0; i < count; i++)
		cpu -= processor_time(executors[i].pid);
	begin = seconds();
	while (done < total)
	{
		for (int i = 0; i < count; i++)
		{
			while (next < total && executors[i].busy < depth)
				submit(&executors[i], next++, depth);
			fds[i] = (struct pollfd) {.fd = executors[i].socket, .events = POLLIN};
		}
		poll(fds, count, -1);
		for (int i = 0; i < count; i++)
			if (fds[i].revents != 0)
				collect(&executors[i], depth);
	}
	begin = seconds() - begin;
	for (int i = 0; i < count; i++)
	{
		cpu += processor_time(executors[i].pid);
		rss = status_mb(executors[i].pid, "VmRSS") > rss ? status_mb(executors[i].pid, "VmRSS") : rss;
		anon = status_mb(executors[i].pid, "RssAnon") > anon ? status_mb(executors[i].pid, "RssAnon") : anon;
		close(executors[i].socket);
	}
	while (wait(NULL) > 0)
		;
	printf("images_per_s %.2f\n", total / begin);
	printf("cpu_ms_per_image %.3f\n", cpu * 1000 / total);
	printf("out_bytes_avg %llu\n", output_bytes / total);
	printf("rss_mb %.1f\nrss_anon_mb %.1f\nstart_ms %.1f\n", rss, anon, ready * 1000);
	if (failed > 0)
		printf("failed %ld\n", failed);
	return failed > 0;
}
