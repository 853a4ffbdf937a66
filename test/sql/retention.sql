-- Retention: chosen at submit within the administrator's limit, kept with the
-- job, and honoured to the second whether or not the purge has come by.
\set ECHO none
\i test/include/pictures.sql
\i test/include/dispatcher_off.sql
\set ECHO all
\set SHOW_CONTEXT never
TRUNCATE img_job_live, img_job_ended, img_job_error, img_object;
CREATE ROLE regress_imgapi_keeper;
SELECT img_grant('regress_imgapi_keeper');
CREATE TEMP TABLE submitted (name text, id uuid);
GRANT ALL ON submitted, picture TO regress_imgapi_keeper;
CREATE FUNCTION pg_temp.job(name text) RETURNS uuid LANGUAGE sql STABLE AS
	'SELECT s.id FROM pg_temp.submitted s WHERE s.name = $1';
CREATE FUNCTION pg_temp.submit(name text) RETURNS void LANGUAGE sql AS
	'INSERT INTO pg_temp.submitted VALUES ($1, img_submit(pg_temp.picture(''png'')))';
-- Ends all jobs as some worker does.
CREATE FUNCTION pg_temp.finish() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM img_claim('worker', 100, '1 hour') c, LATERAL img_finish('worker', ARRAY[(c.id, c.attempt, NULL, NULL,
		img_info(pg_temp.picture('png')), 0, 'a.gif', img_info(pg_temp.picture('gif')), 'database', '', pg_temp.picture('gif'), NULL, NULL, NULL)::img_outcome]) f
$$;
CREATE FUNCTION pg_temp.kept(name text, OUT input interval, OUT output interval, OUT job interval) LANGUAGE sql AS $$
	SELECT (SELECT expires_at - stored_at FROM img_object WHERE job_id = e.id AND role = 'input'),
		(SELECT expires_at - stored_at FROM img_object WHERE job_id = e.id AND role = 'output'), expires_at - finished_at
	FROM img_job_ended e WHERE id = pg_temp.job(name)
$$;

-- A user may have less than imgapi.retention, for a transaction or longer
SET ROLE regress_imgapi_keeper;
SELECT pg_temp.submit('default');
BEGIN;
SET LOCAL imgapi.job_retention = '1 day';
SELECT pg_temp.submit('day');
COMMIT;
SHOW imgapi.job_retention;
SET imgapi.job_retention = '1 minute';
SELECT pg_temp.submit('minute');
SET imgapi.job_retention = '7 days';
SELECT pg_temp.submit('limit');
-- not more, and no more than is possible
SET imgapi.job_retention = '7 days 1 second';
SELECT pg_temp.error_of('SELECT pg_temp.submit(''more'')');
SET imgapi.job_retention = '1 month';
SELECT pg_temp.error_of('SELECT pg_temp.submit(''more'')');
SET imgapi.job_retention = '59 seconds';
SET imgapi.job_retention = '11 years';
SET imgapi.job_retention = 'for ever';
SET imgapi.retention = '1 month';
SET imgapi.job_retention = '';
SELECT pg_temp.submit('empty');
RESET ROLE;
SELECT name FROM submitted ORDER BY name;

-- It stays with the job, whatever holds when that ends
SET imgapi.retention = '30 days';
SELECT pg_temp.submit('administrator');
SET imgapi.retention = '3 hours';
SELECT pg_temp.finish();
SELECT name, pg_temp.kept(name) FROM submitted ORDER BY name;
-- through failure and retry as well
SET imgapi.job_retention = '2 hours';
SELECT pg_temp.submit('failed');
RESET imgapi.job_retention;
RESET imgapi.retention;
SELECT img_fail('worker', id, attempt, '22000', 'broken', NULL, 'decode', false) FROM img_claim('worker', 1, '1 hour');
SELECT pg_temp.kept('failed');
SELECT img_retry(pg_temp.job('failed'));
SELECT pg_temp.finish();
SELECT pg_temp.kept('failed');
-- submitted again under its key, it is a new upload with the retention of now
SELECT img_submit(pg_temp.picture('png'), job_key => 'kept') AS job \gset
UPDATE img_object SET stored_at = stored_at - interval '1 day', expires_at = expires_at - interval '1 day' WHERE job_id = :'job';
SET imgapi.job_retention = '2 hours';
SELECT img_submit(pg_temp.picture('gif'), job_key => 'kept') = :'job' AS same;
RESET imgapi.job_retention;
SELECT expires_at - stored_at AS kept, stored_at > clock_timestamp() - interval '1 hour' AS uploaded_now FROM img_object WHERE job_id = :'job';
INSERT INTO submitted VALUES ('keyed', :'job');
SELECT pg_temp.finish();
SELECT pg_temp.kept('keyed');
-- and with triggers: the session's, from upload and from completion
CREATE TABLE retention_photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT ON retention_photo FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{}', 'thumb');
SET imgapi.job_retention = '90 minutes';
INSERT INTO retention_photo VALUES (1, pg_temp.picture('png'));
RESET imgapi.job_retention;
INSERT INTO submitted SELECT 'trigger', id FROM img_job WHERE source_table = 'retention_photo'::regclass;
UPDATE img_job_live SET created_at = created_at - interval '1 hour' WHERE id = pg_temp.job('trigger');
SELECT pg_temp.finish();
SELECT pg_temp.kept('trigger');
SELECT expires_at < now() + interval '31 minutes' AS from_upload FROM img_object WHERE job_id = pg_temp.job('trigger') AND role = 'input';
SET imgapi.job_retention = '8 days';
SELECT pg_temp.error_of('INSERT INTO retention_photo VALUES (2, pg_temp.picture(''png''))');
RESET imgapi.job_retention;
DROP TABLE retention_photo;

-- To the second: what has expired is gone before anybody purges
CREATE FUNCTION pg_temp.expire(role text) RETURNS void LANGUAGE sql AS
	'UPDATE img_object SET expires_at = clock_timestamp() WHERE role = $1 AND job_id = pg_temp.job(''day'')';
BEGIN;
SELECT pg_temp.expire('output');
SET LOCAL ROLE regress_imgapi_keeper;
SELECT role FROM img_object WHERE job_id = pg_temp.job('day');
SELECT pg_temp.error_of('SELECT img_output(pg_temp.job(''day''))');
SELECT img_result(pg_temp.job('day')) -> 'result' ? 'output_object' AS has_output, img_result(pg_temp.job('day')) #> '{result,output_object}' AS output;
SELECT count(*) FROM img_object WHERE job_id = pg_temp.job('limit');
RESET ROLE;
-- their members see no more of it
SET LOCAL imgapi.admin_role = 'regress_imgapi_keeper';
SET LOCAL ROLE regress_imgapi_keeper;
SELECT count(*) FROM img_object WHERE job_id = pg_temp.job('day');
ROLLBACK;
BEGIN;
UPDATE img_job_ended SET expires_at = clock_timestamp() WHERE id = pg_temp.job('day');
SELECT count(*) FROM img_job WHERE id = pg_temp.job('day');
SELECT pg_temp.error_of(format('SELECT %s(pg_temp.job(''day''))', f)) AS error FROM unnest('{img_status,img_wait,img_output,img_result,img_cancel,img_retry}'::text[]) f;
ROLLBACK;
-- an input that has expired is not used again
BEGIN;
SELECT img_submit(pg_temp.picture('png'), run_after => 'infinity') AS job \gset
SELECT img_cancel(:'job');
UPDATE img_object SET expires_at = clock_timestamp() WHERE job_id = :'job';
SELECT pg_temp.error_of(format('SELECT img_retry(%L)', :'job'));
ROLLBACK;
DELETE FROM img_job_ended WHERE owner = 'regress_imgapi_keeper'::regrole;
DELETE FROM img_object WHERE owner = 'regress_imgapi_keeper'::regrole;

-- Without pg_cron: what there is instead
SELECT pg_temp.error_of('SELECT img_schedule_purge()');
SELECT pg_temp.error_of('SELECT img_schedule_purge(NULL)');
SET ROLE regress_imgapi_keeper;
SELECT pg_temp.error_of('SELECT img_schedule_purge()');
RESET ROLE;
GRANT EXECUTE ON FUNCTION img_schedule_purge TO regress_imgapi_keeper;
SET ROLE regress_imgapi_keeper;
SELECT pg_temp.error_of('SELECT img_schedule_purge()');
RESET ROLE;
DROP OWNED BY regress_imgapi_keeper;
DROP ROLE regress_imgapi_keeper;
\set ECHO none
\i test/include/dispatcher_on.sql
