-- Who may call what, who sees whose rows, and with whose rights jobs run.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
\set VERBOSITY terse
GRANT SELECT ON picture TO PUBLIC;
CREATE ROLE regress_imgapi_nobody;
CREATE ROLE regress_imgapi_alice;
CREATE ROLE regress_imgapi_bob;
CREATE ROLE regress_imgapi_admin;
CREATE ROLE regress_imgapi_clerk IN ROLE regress_imgapi_admin;
CREATE SCHEMA privileges AUTHORIZATION regress_imgapi_alice;
GRANT USAGE ON SCHEMA privileges TO PUBLIC;
-- seen by all, asks as whoever calls it
CREATE FUNCTION privileges.seen(job uuid, OUT asker text, OUT what text, OUT answer text) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	q text;
BEGIN
	asker := current_user;
	FOREACH q IN ARRAY ARRAY[
		'SELECT count(*) FROM img_job WHERE id = $1', 'SELECT count(*) FROM img_object WHERE job_id = $1',
		'SELECT count(*) FROM img_job_error WHERE job_id = $1', 'SELECT coalesce(sum(jobs), 0) FROM img_stats',
		'SELECT img_status($1)', 'SELECT img_wait($1, ''0'')', 'SELECT octet_length(img_output($1)) > 0',
		'SELECT img_result($1) ->> ''status''', 'SELECT img_retry($1)', 'SELECT img_cancel($1)',
		'SELECT img_read_row($1)']
	LOOP
		what := replace(q, '$1', 'job');
		BEGIN
			EXECUTE q INTO answer USING job;
		EXCEPTION WHEN OTHERS THEN
			answer := regexp_replace(sqlstate || ': ' || sqlerrm, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g');
		END;
		RETURN NEXT;
	END LOOP;
END $$;

-- Without grants: what costs is refused, what only reads is open
SET ROLE regress_imgapi_nobody;
SELECT img_info(pg_temp.picture('png'));
SELECT img_edit(pg_temp.picture('png'));
SELECT img_thumbnail(pg_temp.picture('png'), 8);
SELECT img_submit(pg_temp.picture('png'));
SELECT img_submit('/a/path'::text);
SELECT img_retry('00000000-0000-0000-0000-000000000000');
SELECT img_purge();
SELECT img_schedule_purge();
SELECT img_delete_claim('me', 1, '1 minute');
SELECT img_delete_done('me', '{}');
SELECT img_delete_failed('me', '00000000-0000-0000-0000-000000000000', 'e');
SELECT img_delete_unless_stored('s', 'p', 'postgres', '1 minute');
SELECT img_delete_next_due();
SELECT img_delete_pause(1);
SELECT img_grant('regress_imgapi_nobody');
SELECT img_start_worker();
SELECT img_claim('me', 1, '1 minute');
SELECT img_heartbeat('me', '{}', '1 minute');
SELECT img_release('me', '{}');
SELECT img_rescue('me');
SELECT img_hold('me', '{}', '{}');
SELECT img_finish('me', '{}');
SELECT img_fail('me', '00000000-0000-0000-0000-000000000000', 1::smallint, 'XX000', 'm', 'h', 's', false);
SELECT img_abandon('me', '00000000-0000-0000-0000-000000000000', 1::smallint, 'r', 's');
SELECT img_cancel_as('00000000-0000-0000-0000-000000000000', 'postgres');
SELECT img_retry_as('00000000-0000-0000-0000-000000000000', 'postgres');
SELECT img_sees_as('postgres', 'postgres');
SELECT img_cancel_source('pg_class', '{}', 'a', 'b');
SELECT img_store_input('00000000-0000-0000-0000-000000000000', 'postgres', '', now(), '1 day');
SELECT img_submit_keyed(NULL, NULL);
SELECT img_end(NULL, 'DONE');
SELECT img_new_id();
SELECT img_next_due();
SELECT count(*) FROM img_job_live;
SELECT count(*) FROM img_job_ended;
INSERT INTO img_object DEFAULT VALUES;
UPDATE img_object SET owner = owner;
DELETE FROM img_job_error;
DELETE FROM img_job;
SELECT nextval('img_task_id');
SELECT count(*) FROM img_formats() WHERE format = 'png';
SELECT jsonb_typeof(img_operations_contract());
SELECT count(*) > 0 FROM img_worker;
SELECT count(*) FROM img_worker WHERE last_error IS NOT NULL;
SELECT * FROM privileges.seen('00000000-0000-0000-0000-000000000000');
CREATE TEMP TABLE mine (id int PRIMARY KEY, data bytea);
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{}');
RESET ROLE;

-- img_grant() opens it to a role
SELECT img_grant('regress_imgapi_alice'), img_grant('regress_imgapi_bob');
SELECT img_grant('regress_imgapi_unknown');
SET ROLE regress_imgapi_alice;
SELECT pg_temp.shape(img_thumbnail(pg_temp.picture('png'), 8));
SELECT img_submit(pg_temp.picture('png'), '{"resizing": {"width": 8, "fit": "bounds"}}') AS job \gset
SELECT img_submit('garbage'::bytea) AS broken \gset
SELECT img_submit(pg_temp.picture('png'), run_after => 'infinity') AS waiting \gset
CALL pg_temp.finish_jobs();
SELECT * FROM privileges.seen(:'job');
SELECT * FROM privileges.seen(:'broken');

-- Another role sees nothing of it, and cannot tell it from a job that is not there
SET ROLE regress_imgapi_bob;
SELECT * FROM privileges.seen(:'job');
SELECT count(*) AS differences FROM (
	SELECT what, answer FROM privileges.seen(:'broken') UNION SELECT what, answer FROM privileges.seen(:'waiting')
	EXCEPT SELECT what, answer FROM privileges.seen('00000000-0000-0000-0000-000000000000')) d;
SELECT img_submit(pg_temp.picture('png'), job_key => 'k', run_after => 'infinity') AS of_bob \gset
SET ROLE regress_imgapi_alice;
SELECT img_submit(pg_temp.picture('png'), job_key => 'k', run_after => 'infinity') <> :'of_bob' AS keys_are_per_owner;
-- a function in WHERE does not see rows before the policy does
CREATE FUNCTION privileges.leak(request jsonb) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''leaked: %'', request; RETURN true; END';
SET ROLE regress_imgapi_bob;
SELECT count(*) FROM img_job WHERE privileges.leak(request) AND job_key = 'k';
SELECT count(*) FROM img_stats;

-- Members of imgapi.admin_role see all
RESET ROLE;
SET imgapi.admin_role = 'regress_imgapi_admin';
SET ROLE regress_imgapi_clerk;
SELECT * FROM privileges.seen(:'job') WHERE what NOT LIKE '%img_stats%';
SELECT img_cancel(:'waiting');
SET ROLE regress_imgapi_bob;
SELECT count(*) FROM img_job WHERE owner = 'regress_imgapi_alice'::regrole;
SET imgapi.admin_role = 'regress_imgapi_bob';
RESET ROLE;
SET imgapi.admin_role = 'regress_imgapi_no_such_role';
SET ROLE regress_imgapi_bob;
SELECT count(*) FROM img_job WHERE owner = 'regress_imgapi_alice'::regrole;
RESET ROLE;
RESET imgapi.admin_role;
SELECT count(*) > 0 FROM img_job WHERE owner = 'regress_imgapi_alice'::regrole;

-- SECURITY DEFINER: the job is its owner's
SET ROLE regress_imgapi_alice;
CREATE FUNCTION privileges.submit_as_alice() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS
	$$SELECT img_submit(decode('00', 'hex'), run_after => 'infinity')$$;
SET ROLE regress_imgapi_bob;
SELECT privileges.submit_as_alice() AS definer \gset
SELECT count(*) FROM img_job WHERE id = :'definer';
RESET ROLE;
SELECT owner FROM img_job WHERE id = :'definer';

-- A trigger: the role that uploads needs the right to write the target
SET ROLE regress_imgapi_alice;
CREATE TABLE privileges.photo (id int PRIMARY KEY, data bytea, "Thumb" bytea, note text);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON privileges.photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'Thumb');
GRANT INSERT ON privileges.photo TO regress_imgapi_bob;
\set VERBOSITY default
SET ROLE regress_imgapi_bob;
INSERT INTO privileges.photo VALUES (1, '\x00');
SET ROLE regress_imgapi_alice;
GRANT SELECT ON privileges.photo TO regress_imgapi_bob;
SET ROLE regress_imgapi_bob;
INSERT INTO privileges.photo VALUES (1, '\x00');
SET ROLE regress_imgapi_alice;
GRANT UPDATE ("Thumb") ON privileges.photo TO regress_imgapi_bob;
SET ROLE regress_imgapi_bob;
INSERT INTO privileges.photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape("Thumb") FROM privileges.photo;
RESET ROLE;
SELECT owner FROM img_job WHERE source_table = 'privileges.photo'::regclass;

-- A right that is gone when the job runs
CREATE PROCEDURE privileges.run_later() LANGUAGE sql AS $$
	UPDATE img_job_live SET run_after = clock_timestamp() WHERE source_table = 'privileges.photo'::regclass;
	SELECT img_start_worker();
$$;
BEGIN;
SET LOCAL ROLE regress_imgapi_bob;
INSERT INTO privileges.photo VALUES (2, pg_temp.picture('png'));
RESET ROLE;
UPDATE img_job_live SET run_after = 'infinity' WHERE source_table = 'privileges.photo'::regclass;
COMMIT;
REVOKE UPDATE ("Thumb") ON privileges.photo FROM regress_imgapi_bob;
CALL privileges.run_later();
CALL pg_temp.finish_jobs();
SELECT status, error_code, stage, error, attempts FROM img_job WHERE source_table = 'privileges.photo'::regclass AND source_key = '{2}';
SELECT "Thumb" FROM privileges.photo WHERE id = 2;
-- row security applies to a job as to its owner
GRANT UPDATE ("Thumb") ON privileges.photo TO regress_imgapi_bob;
BEGIN;
SET LOCAL ROLE regress_imgapi_bob;
INSERT INTO privileges.photo VALUES (3, pg_temp.picture('png'));
RESET ROLE;
UPDATE img_job_live SET run_after = 'infinity' WHERE source_table = 'privileges.photo'::regclass;
COMMIT;
ALTER TABLE privileges.photo ENABLE ROW LEVEL SECURITY;
CALL privileges.run_later();
CALL pg_temp.finish_jobs();
SELECT status, error FROM img_job WHERE source_table = 'privileges.photo'::regclass AND source_key = '{3}';
ALTER TABLE privileges.photo DISABLE ROW LEVEL SECURITY;
-- an owner that is gone
CREATE ROLE regress_imgapi_carol;
SELECT img_grant('regress_imgapi_carol');
GRANT ALL ON privileges.photo TO regress_imgapi_carol;
BEGIN;
SET LOCAL ROLE regress_imgapi_carol;
INSERT INTO privileges.photo VALUES (4, pg_temp.picture('png'));
SELECT img_submit(pg_temp.picture('png'), run_after => 'infinity') AS of_carol \gset
RESET ROLE;
UPDATE img_job_live SET run_after = 'infinity' WHERE source_table = 'privileges.photo'::regclass;
COMMIT;
DROP OWNED BY regress_imgapi_carol;
DROP ROLE regress_imgapi_carol;
CALL privileges.run_later();
UPDATE img_job_live SET run_after = clock_timestamp() WHERE id = :'of_carol';
SELECT img_start_worker();
CALL pg_temp.finish_jobs();
SELECT status, regexp_replace(error, '\d+', 'N') AS error FROM img_job WHERE source_table = 'privileges.photo'::regclass AND source_key = '{4}';
SELECT status, regexp_replace(error, '\d+', 'N') AS error FROM img_job WHERE id = :'of_carol';

-- A trigger on the target's table runs as the owner of the job, and stays so
CREATE TABLE privileges.ran (who text, context text, error text);
GRANT INSERT, SELECT ON privileges.ran TO PUBLIC;
GRANT CREATE ON SCHEMA privileges TO regress_imgapi_bob;
SET ROLE regress_imgapi_bob;
CREATE FUNCTION privileges.tries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	statement text;
BEGIN
	INSERT INTO privileges.ran VALUES (current_user, 'trigger');
	FOREACH statement IN ARRAY ARRAY['RESET ROLE', 'SET ROLE postgres', 'SET ROLE NONE', 'SET SESSION AUTHORIZATION postgres',
		'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'SELECT set_config(''role'', ''none'', false)',
		'CREATE TEMP TABLE left_behind ()', 'SELECT * FROM pg_authid', 'COMMIT', 'LISTEN x', 'SET LOCAL search_path = public']
	LOOP
		BEGIN
			EXECUTE statement;
			INSERT INTO privileges.ran VALUES (current_user, statement);
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO privileges.ran VALUES (current_user, statement, sqlerrm);
		END;
	END LOOP;
	RETURN NULL;
END $$;
CREATE FUNCTION privileges.late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO privileges.ran VALUES (current_user, 'constraint trigger');
	RETURN NULL;
END $$;
CREATE FUNCTION privileges.defers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET CONSTRAINTS ALL DEFERRED;
	RETURN new;
END $$;
CREATE TABLE privileges.bobs (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER tries AFTER UPDATE ON privileges.bobs FOR EACH ROW EXECUTE FUNCTION privileges.tries();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON privileges.bobs DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION privileges.late();
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON privileges.bobs FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO privileges.bobs VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT * FROM privileges.ran;
SELECT pg_temp.shape(thumb) FROM privileges.bobs;
-- nor by deferring what would then run at the end, as nobody in particular
RESET ROLE;
TRUNCATE privileges.ran;
SET ROLE regress_imgapi_bob;
CREATE TRIGGER defers BEFORE UPDATE ON privileges.bobs FOR EACH ROW EXECUTE FUNCTION privileges.defers();
UPDATE privileges.bobs SET data = pg_temp.picture('gif');
RESET ROLE;
TRUNCATE privileges.ran;
CALL pg_temp.finish_jobs();
SELECT * FROM privileges.ran WHERE who <> 'regress_imgapi_bob';
SELECT status, error_code, error FROM img_job WHERE source_table = 'privileges.bobs'::regclass ORDER BY task_id;
-- one that fails fails the job, not its neighbours
SET ROLE regress_imgapi_bob;
DROP TRIGGER defers ON privileges.bobs;
DROP TRIGGER tries ON privileges.bobs;
DROP TRIGGER late ON privileges.bobs;
CREATE OR REPLACE FUNCTION privileges.tries() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF new.id = 2 THEN RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0002', HINT = 'Never.'; END IF; RETURN new; END$$;
CREATE TRIGGER tries BEFORE UPDATE ON privileges.bobs FOR EACH ROW EXECUTE FUNCTION privileges.tries();
INSERT INTO privileges.bobs SELECT g, pg_temp.picture('png') FROM generate_series(2, 4) g;
CALL pg_temp.finish_jobs();
SELECT id, pg_temp.shape(thumb) FROM privileges.bobs WHERE id BETWEEN 2 AND 4 ORDER BY id;
SELECT e.attempt, e.sqlstate, e.stage, e.error, e.hint, e.transient FROM img_job_error e JOIN img_job j ON j.id = e.job_id WHERE j.source_key = '{2}' AND j.source_table = 'privileges.bobs'::regclass;
RESET ROLE;

-- What one user's trigger sets does not meet another's
CREATE TABLE privileges.settings (who text, name text, setting text);
GRANT INSERT ON privileges.settings TO PUBLIC;
CREATE FUNCTION privileges.note_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO privileges.settings SELECT current_user, s, current_setting(s, true)
	FROM unnest(ARRAY['search_path', 'lock_timeout', 'x.y']) s;
	RETURN new;
END $$;
SET ROLE regress_imgapi_bob;
CREATE OR REPLACE FUNCTION privileges.tries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET search_path = evil;
	SET LOCAL lock_timeout = 0;
	PERFORM set_config('x.y', 'z', false);
	RETURN new;
END $$;
CREATE TRIGGER what AFTER UPDATE ON privileges.bobs FOR EACH ROW EXECUTE FUNCTION privileges.note_settings();
INSERT INTO privileges.bobs VALUES (5, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SET ROLE regress_imgapi_alice;
CREATE TRIGGER what AFTER UPDATE ON privileges.photo FOR EACH ROW EXECUTE FUNCTION privileges.note_settings();
INSERT INTO privileges.photo VALUES (10, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
RESET ROLE;
SELECT * FROM privileges.settings;

-- Other tests need no row of these roles
DELETE FROM img_job_live WHERE owner IN ('regress_imgapi_alice'::regrole, 'regress_imgapi_bob'::regrole);
SET client_min_messages = warning;
DROP SCHEMA privileges CASCADE;
DROP OWNED BY regress_imgapi_nobody, regress_imgapi_alice, regress_imgapi_bob, regress_imgapi_admin, regress_imgapi_clerk;
DROP ROLE regress_imgapi_nobody, regress_imgapi_alice, regress_imgapi_bob, regress_imgapi_admin, regress_imgapi_clerk;
