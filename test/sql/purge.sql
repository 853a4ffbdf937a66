-- img_purge(): what has expired goes, what still waits stays.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
CREATE TEMP TABLE submitted (name text, id uuid);
CREATE FUNCTION pg_temp.left_of(name text, OUT jobs bigint, OUT inputs bigint, OUT outputs bigint, OUT errors bigint) LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM img_job j WHERE j.id = s.id), (SELECT count(*) FROM img_object o WHERE o.job_id = s.id AND role = 'input'),
		(SELECT count(*) FROM img_object o WHERE o.job_id = s.id AND role = 'output'), (SELECT count(*) FROM img_job_error e WHERE e.job_id = s.id)
	FROM submitted s WHERE s.name = $1
$$;
-- nothing of other tests
TRUNCATE img_job_live, img_job_ended, img_job_error, img_object;
SELECT * FROM img_purge();

-- Retention is that of the moment when pictures come in and jobs end
INSERT INTO submitted VALUES ('done', img_submit(pg_temp.picture('png'))), ('broken', img_submit('broken'::bytea)),
	('kept', img_submit(pg_temp.picture('png'))), ('waiting', img_submit(pg_temp.picture('png'), run_after => 'infinity'));
CALL pg_temp.finish_jobs();
SELECT bool_and(expires_at - finished_at = '7 days') FROM img_job_ended;
SELECT bool_and(expires_at - stored_at = '7 days') FROM img_object;
SELECT * FROM img_purge();
SELECT name, pg_temp.left_of(name) FROM submitted ORDER BY name;

-- Time passes, for all but one (in a transaction, lest the worker purge first)
BEGIN;
UPDATE img_object SET expires_at = '2001-01-01' WHERE job_id <> (SELECT id FROM submitted WHERE name = 'kept');
UPDATE img_job_ended SET expires_at = '2001-01-01' WHERE id <> (SELECT id FROM submitted WHERE name = 'kept');
SELECT sum(bytes) AS expired FROM img_object WHERE job_id IN (SELECT id FROM submitted WHERE name IN ('done', 'broken')) \gset
SELECT objects, links, jobs, bytes = :expired AS bytes FROM img_purge();
SELECT name, pg_temp.left_of(name) FROM submitted ORDER BY name;
SELECT pg_temp.error_of(format('SELECT img_output(%L)', id)) FROM submitted WHERE name = 'done';
SELECT * FROM img_purge();
COMMIT;
-- the job that waited is none the worse
UPDATE img_job_live SET run_after = now();
SELECT img_start_worker();
CALL pg_temp.finish_jobs();
SELECT status FROM img_job WHERE id = (SELECT id FROM submitted WHERE name = 'waiting');

-- The output may be purged before its job
DELETE FROM img_object WHERE job_id = (SELECT id FROM submitted WHERE name = 'kept') AND role = 'output';
SELECT pg_temp.error_of(format('SELECT img_output(%L)', id)) FROM submitted WHERE name = 'kept';
SELECT img_result(id) ->> 'status' FROM submitted WHERE name = 'kept';

-- Only so many at a time
BEGIN;
TRUNCATE img_job_ended, img_object;
INSERT INTO img_object (id, job_id, stored_at, expires_at, owner, role, storage, path, bytes, data)
	SELECT img_new_id(), img_new_id(), '2000-01-01', timestamptz '2001-01-01' + g * interval '1 day', current_user::regrole, 'output', 'database', g, 1, 'x' FROM generate_series(1, 5) g;
SELECT * FROM img_purge(2);
-- oldest first
SELECT string_agg(path, ',' ORDER BY path) FROM img_object;
SELECT * FROM img_purge(2);
SELECT * FROM img_purge(2);
SELECT * FROM img_purge(2);
COMMIT;
-- pictures that are in a user's row do not count as bytes, and stay there
CREATE TABLE purge_photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT ON purge_photo FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO purge_photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
BEGIN;
UPDATE img_object SET expires_at = '2001-01-01';
UPDATE img_job_ended SET expires_at = '2001-01-01';
SELECT * FROM img_purge();
COMMIT;
SELECT pg_temp.shape(data), pg_temp.shape(thumb) FROM purge_photo;
DROP TABLE purge_photo;
SELECT pg_temp.error_of('SELECT img_purge(0)');
SELECT pg_temp.error_of('SELECT img_purge(NULL)');
SELECT pg_temp.error_of('SELECT img_purge(-5)');
SET imgapi.retention = '1 hour';
SELECT img_submit(pg_temp.picture('png'), run_after => 'infinity') AS job \gset
SELECT expires_at - stored_at FROM img_object WHERE job_id = :'job';
SELECT img_cancel(:'job');
SELECT expires_at - finished_at FROM img_job_ended WHERE id = :'job';
