--------------------------------------------------------------------- tables --
-- A job is a row of img_job_live until it ends and a row of img_job_ended from
-- then on; img_job shows both. So the table that workers search and update
-- stays as small as the work in hand, and the long table is only ever
-- inserted into and purged.
--
-- In img_job_live no index and no index predicate names a column that changes
-- when a job is claimed: a claim is a heap-only update, for which fillfactor
-- leaves room. There are no foreign keys between these tables, and img_object
-- has no CHECK: rows of one job are written and purged together, by the
-- functions below only, and what is checked costs every submit.
--
-- img_object is not divided by day: dropping a partition writes next to nothing,
-- where deleting its pictures writes as much WAL as they are long; but every
-- look-up by job would read all partitions, a drop would wait for every reader
-- and make submits wait with it, and pictures would outlive their hour. Deleted
-- rows are no hindrance to claims, and their space is used again (bench/purge).

CREATE SEQUENCE @extschema@.img_task_id CACHE 20;
COMMENT ON SEQUENCE @extschema@.img_task_id IS 'Numbers of jobs: img_job.task_id.';

CREATE FUNCTION @extschema@.img_new_id() RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_new_id() IS
	'A new UUID in the layout of version 7: ordered by time, so that indexes grow at one end.';

CREATE TABLE @extschema@.img_job_live (
	id uuid PRIMARY KEY DEFAULT @extschema@.img_new_id(),
	task_id bigint NOT NULL DEFAULT pg_catalog.nextval('@extschema@.img_task_id'),
	created_at timestamptz NOT NULL,
	run_after timestamptz NOT NULL,
	lease_expires_at timestamptz,
	started_at timestamptz,
	retention interval NOT NULL,
	owner regrole NOT NULL,
	kind @extschema@.img_job_kind NOT NULL,
	priority int NOT NULL,
	attempts smallint NOT NULL DEFAULT 0,
	max_attempts smallint NOT NULL,
	server text,
	job_key text,
	callback_url text,
	lease_owner text,
	source_table regclass,
	source_column text,
	source_key text COLLATE "C",
	target_column text,
	stage text,
	error text,
	error_code text,
	request jsonb NOT NULL,
	input text,
	CONSTRAINT lease_and_source_are_whole
		CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL)
			AND (lease_owner IS NULL OR started_at IS NOT NULL)
			AND (source_table IS NULL) = (source_key IS NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05,
	autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0,
	autovacuum_analyze_scale_factor = 0.2);
COMMENT ON TABLE @extschema@.img_job_live IS 'Internal: jobs that have not ended; see img_job.';
COMMENT ON COLUMN @extschema@.img_job_live.retention IS 'how long its pictures are kept from upload or completion, and the job once ended; as it was when submitted';
COMMENT ON COLUMN @extschema@.img_job_live.lease_owner IS 'worker that has the job; NULL: it waits';
COMMENT ON COLUMN @extschema@.img_job_live.lease_expires_at IS 'when the worker has lost the job, unless it renews its lease';
CREATE INDEX img_job_live_due ON @extschema@.img_job_live (priority, run_after, id);
CREATE UNIQUE INDEX img_job_live_key ON @extschema@.img_job_live (owner, job_key)
	WHERE job_key IS NOT NULL;
CREATE INDEX img_job_live_source ON @extschema@.img_job_live (source_table, source_key)
	WHERE source_table IS NOT NULL;

CREATE TABLE @extschema@.img_job_ended (
	id uuid PRIMARY KEY,
	task_id bigint NOT NULL,
	created_at timestamptz NOT NULL,
	run_after timestamptz NOT NULL,
	started_at timestamptz,
	finished_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	retention interval NOT NULL,
	owner regrole NOT NULL,
	kind @extschema@.img_job_kind NOT NULL,
	status @extschema@.img_job_status NOT NULL,
	priority int NOT NULL,
	attempts smallint NOT NULL,
	max_attempts smallint NOT NULL,
	server text,
	job_key text,
	callback_url text,
	source_table regclass,
	source_column text,
	source_key text COLLATE "C",
	target_column text,
	stage text,
	error text,
	error_code text,
	warning text,
	request jsonb NOT NULL,
	input text,
	CONSTRAINT status_is_final CHECK (status IN ('DONE', 'ERROR', 'CANCELLED')),
	CONSTRAINT done_has_started CHECK (status <> 'DONE' OR started_at IS NOT NULL),
	CONSTRAINT error_has_a_reason CHECK ((status = 'ERROR') <= (error IS NOT NULL AND error_code IS NOT NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);
COMMENT ON TABLE @extschema@.img_job_ended IS 'Internal: jobs that have ended; see img_job.';
COMMENT ON COLUMN @extschema@.img_job_ended.expires_at IS 'when it may be purged: finished_at + retention';
COMMENT ON COLUMN @extschema@.img_job_ended.retention IS 'how long it and its pictures are kept, as it was when submitted';
CREATE INDEX img_job_ended_expiry ON @extschema@.img_job_ended (expires_at);
CREATE INDEX img_job_ended_finish ON @extschema@.img_job_ended USING brin (finished_at)
	WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE @extschema@.img_job_error (
	job_id uuid NOT NULL,
	attempt int NOT NULL,
	owner regrole NOT NULL,
	transient bool NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	sqlstate text NOT NULL,
	stage text,
	error text NOT NULL,
	hint text
);
CREATE INDEX img_job_error_job ON @extschema@.img_job_error (job_id);
COMMENT ON TABLE @extschema@.img_job_error IS 'One row a failed attempt of a job.';
COMMENT ON COLUMN @extschema@.img_job_error.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_job_error.attempt IS 'which attempt failed, from 1; 0: before any';
COMMENT ON COLUMN @extschema@.img_job_error.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_job_error.transient IS 'whether trying again may help; if so the job waits for its next attempt, up to max_attempts';
COMMENT ON COLUMN @extschema@.img_job_error.created_at IS 'when it failed';
COMMENT ON COLUMN @extschema@.img_job_error.sqlstate IS 'error code, five characters';
COMMENT ON COLUMN @extschema@.img_job_error.stage IS 'where it failed: fetch, read, header, decode, operation, encode, executor, store, worker';
COMMENT ON COLUMN @extschema@.img_job_error.error IS 'what went wrong';
COMMENT ON COLUMN @extschema@.img_job_error.hint IS 'what may help';

CREATE TABLE @extschema@.img_object (
	id uuid PRIMARY KEY,
	job_id uuid NOT NULL,
	stored_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	bytes bigint,
	owner regrole NOT NULL,
	ordinal int NOT NULL DEFAULT 0,
	width int,
	height int,
	mps numeric,
	role text NOT NULL,
	storage text NOT NULL,
	path text NOT NULL,
	name text,
	format text,
	mime text,
	ext text,
	sha256 bytea,
	made_of uuid,
	reused_from uuid,
	data bytea
) WITH (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE @extschema@.img_object ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX img_object_job ON @extschema@.img_object (job_id);
CREATE INDEX img_object_expiry ON @extschema@.img_object (expires_at);
CREATE INDEX img_object_made_of ON @extschema@.img_object (made_of) WHERE made_of IS NOT NULL;
COMMENT ON TABLE @extschema@.img_object IS 'One row a stored picture: the input or an output of a job.';
COMMENT ON COLUMN @extschema@.img_object.id IS 'time-ordered UUID';
COMMENT ON COLUMN @extschema@.img_object.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_object.stored_at IS 'upload of an input, completion of an output';
COMMENT ON COLUMN @extschema@.img_object.expires_at IS 'when it is gone: stored_at + the retention of its job';
COMMENT ON COLUMN @extschema@.img_object.bytes IS 'length of the file';
COMMENT ON COLUMN @extschema@.img_object.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_object.ordinal IS 'position among the outputs of the job, from 0';
COMMENT ON COLUMN @extschema@.img_object.width IS 'pixels, as displayed';
COMMENT ON COLUMN @extschema@.img_object.height IS 'pixels, as displayed';
COMMENT ON COLUMN @extschema@.img_object.mps IS 'megapixels';
COMMENT ON COLUMN @extschema@.img_object.role IS 'input or output';
COMMENT ON COLUMN @extschema@.img_object.storage IS 'database: in the column data; row: in the row of the table that the trigger watches, or where path begins with / in the file tree, not copied; url: where path says; else a foreign server';
COMMENT ON COLUMN @extschema@.img_object.path IS 'path within the storage';
COMMENT ON COLUMN @extschema@.img_object.name IS 'file name for a download';
COMMENT ON COLUMN @extschema@.img_object.format IS 'jpeg, png, webp, gif, tiff, avif, heic';
COMMENT ON COLUMN @extschema@.img_object.mime IS 'media type';
COMMENT ON COLUMN @extschema@.img_object.ext IS 'usual file extension';
COMMENT ON COLUMN @extschema@.img_object.sha256 IS 'of the bytes';
COMMENT ON COLUMN @extschema@.img_object.made_of IS
	'stands for all that a result is made of: owner, picture, plan, other picture, version; NULL: no other job may take it over';
COMMENT ON COLUMN @extschema@.img_object.reused_from IS 'job whose result was taken over; NULL: made by this job';
COMMENT ON COLUMN @extschema@.img_object.data IS 'the picture, where storage is database';


SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_task_id', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_job_live', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_job_ended', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_job_error', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_object', '');

