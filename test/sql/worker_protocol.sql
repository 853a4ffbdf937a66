-- The worker protocol, as any worker may speak it: claim, heartbeat, hold,
-- finish, fail, release, rescue, abandon. An answer that names another worker,
-- an old attempt or a job that is gone changes nothing.
\set ECHO none
\i test/include/pictures.sql
\i test/include/dispatcher_off.sql
\set ECHO all
\set SHOW_CONTEXT never
DELETE FROM img_job_live;
CREATE TEMP TABLE submitted (name text, id uuid);
CREATE FUNCTION pg_temp.job(name text) RETURNS uuid LANGUAGE sql STABLE AS
	'SELECT s.id FROM pg_temp.submitted s WHERE s.name = $1';
CREATE FUNCTION pg_temp.submit(name text) RETURNS void LANGUAGE sql AS
	'INSERT INTO pg_temp.submitted VALUES ($1, img_submit(pg_temp.picture(''png'')))';
CREATE FUNCTION pg_temp.claim(worker text, jobs int, lease interval DEFAULT '1 hour', OUT name text, OUT attempt smallint) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT s.name, c.attempt FROM img_claim(worker, jobs, lease) c LEFT JOIN pg_temp.submitted s USING (id)
$$;
CREATE FUNCTION pg_temp.outcome(name text, attempt int, started_at timestamptz DEFAULT NULL) RETURNS img_outcome LANGUAGE sql AS $$
	SELECT (pg_temp.job(name), attempt, started_at, NULL, img_info(pg_temp.picture('png')), 0, name || '.gif', img_info(pg_temp.picture('gif')),
		'database', 'path/' || name, pg_temp.picture('gif'), pg_temp.job(name), pg_temp.job('later'), NULL)::img_outcome
$$;
CREATE FUNCTION pg_temp.state(name text, OUT status text, OUT attempts int, OUT worker text, OUT error text, OUT errors bigint)
LANGUAGE sql AS $$
	SELECT j.status::text, j.attempts, l.lease_owner, j.error, (SELECT count(*) FROM img_job_error e WHERE e.job_id = j.id)
	FROM img_job j LEFT JOIN img_job_live l USING (id) WHERE j.id = pg_temp.job($1)
$$;

-- Claim: due jobs only, once, no more than asked for
SELECT pg_temp.submit('a'), pg_temp.submit('b'), pg_temp.submit('c');
INSERT INTO submitted VALUES ('later', img_submit(pg_temp.picture('png'), run_after => 'infinity'));
SELECT img_next_due() <= clock_timestamp() AS due;
SELECT * FROM pg_temp.claim('one', 2);
SELECT * FROM pg_temp.claim('two', 2);
SELECT * FROM pg_temp.claim('two', 2);
SELECT * FROM pg_temp.claim('two', 0);
SELECT img_next_due();
SELECT name, pg_temp.state(name) FROM submitted ORDER BY name;
SELECT lease_expires_at - started_at AS lease, started_at >= created_at AS started FROM img_job_live WHERE id = pg_temp.job('a');

-- Finish: only who has the job, and only this attempt
SELECT settled FROM img_finish('two', ARRAY[pg_temp.outcome('a', 1)]);
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('a', 2)]);
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('a', 0)]);
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('nothing', 1)]);
SELECT count(*) FROM img_finish('one', '{}');
SELECT pg_temp.state('a'), (SELECT count(*) FROM img_object WHERE job_id = pg_temp.job('a') AND role = 'output') AS outputs;
SELECT s.name, settled FROM img_finish('one', ARRAY[pg_temp.outcome('a', 1), pg_temp.outcome('c', 1)]) f JOIN submitted s USING (id) ORDER BY s.name;
SELECT pg_temp.state('a'), pg_temp.state('c');
SELECT pg_temp.shape(img_output(pg_temp.job('a')));
SELECT role, format, width, height, path = 'path/a' AS path, bytes = octet_length(data) AS bytes, sha256 = sha256(data) AS sha256
FROM img_object WHERE job_id = pg_temp.job('a') ORDER BY role;
SELECT role, made_of = pg_temp.job('a') AS made_of, reused_from = pg_temp.job('later') AS reused_from FROM img_object WHERE job_id = pg_temp.job('a') ORDER BY role;
-- a second time changes nothing
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('a', 1)]);
SELECT count(*) FROM img_object WHERE job_id = pg_temp.job('a') AND role = 'output';
-- when it started is the executor's word, if that is possible at all
SELECT settled FROM img_finish('two', ARRAY[pg_temp.outcome('c', 1, '2000-01-01')]);
SELECT started_at >= created_at AS not_before_it_was_there, started_at <= finished_at AS not_after FROM img_job WHERE id = pg_temp.job('c');

-- Fail: a transient failure waits for its next attempt, longer each time, up to max_attempts
INSERT INTO submitted VALUES ('f', img_submit(pg_temp.picture('png'), max_attempts => 2));
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_fail('two', pg_temp.job('f'), 1::smallint, 'XX001', 'not mine', NULL, 'decode', true);
SELECT img_fail('one', pg_temp.job('f'), 2::smallint, 'XX001', 'not this attempt', NULL, 'decode', true);
SELECT pg_temp.state('f');
SELECT img_fail('one', pg_temp.job('f'), 1::smallint, '40001', 'try again', 'soon', 'store', true);
SELECT pg_temp.state('f');
SELECT run_after - clock_timestamp() BETWEEN '1 second' AND '2.5 seconds' AS soon, stage, error_code FROM img_job WHERE id = pg_temp.job('f');
SELECT img_fail('one', pg_temp.job('f'), 1::smallint, '40001', 'said twice', NULL, 'store', true);
SELECT * FROM pg_temp.claim('one', 9);
UPDATE img_job_live SET run_after = '-infinity' WHERE id = pg_temp.job('f');
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_fail('one', pg_temp.job('f'), 2::smallint, '40001', 'and again', NULL, 'store', true);
SELECT pg_temp.state('f');
SELECT attempt, transient, sqlstate, stage, error, hint FROM img_job_error WHERE job_id = pg_temp.job('f') ORDER BY attempt;
-- any other failure ends it
SELECT pg_temp.submit('g');
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_fail('one', pg_temp.job('g'), 1::smallint, '22000', 'broken', NULL, 'decode', false);
SELECT pg_temp.state('g');
-- twelve failures or a hundred: the pause has an end
INSERT INTO submitted VALUES ('patient', img_submit(pg_temp.picture('png'), max_attempts => 100));
UPDATE img_job_live SET attempts = 98 WHERE id = pg_temp.job('patient');
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_fail('one', pg_temp.job('patient'), 99::smallint, '40001', 'still', NULL, 'store', true);
SELECT run_after - clock_timestamp() BETWEEN '1 hour' AND '2 hours' AS in_an_hour FROM img_job WHERE id = pg_temp.job('patient');

-- Hold: mine, somebody else's, gone
SELECT pg_temp.submit('h');
SELECT * FROM pg_temp.claim('one', 9);
SELECT s.name, held, gone FROM img_hold('one', ARRAY[pg_temp.job('h'), pg_temp.job('a')], '{1,1}') x JOIN submitted s USING (id) ORDER BY name;
SELECT held, gone FROM img_hold('two', ARRAY[pg_temp.job('h')], '{1}');
SELECT held, gone FROM img_hold('one', ARRAY[pg_temp.job('h')], '{2}');

-- Heartbeat: renews what is mine, and says what that is
UPDATE img_job_live SET lease_expires_at = clock_timestamp() + interval '1 second' WHERE id = pg_temp.job('h');
SELECT count(*) FROM img_heartbeat('two', ARRAY[pg_temp.job('h')], '1 day');
SELECT lease_expires_at < clock_timestamp() + interval '1 minute' AS not_renewed FROM img_job_live WHERE id = pg_temp.job('h');
SELECT count(*) FROM img_heartbeat('one', ARRAY[pg_temp.job('h'), pg_temp.job('a')], '1 day');
SELECT lease_expires_at > clock_timestamp() + interval '23 hours' AS renewed FROM img_job_live WHERE id = pg_temp.job('h');

-- Release: back to the queue, at no cost
SELECT img_release('two', ARRAY[pg_temp.job('h')]);
SELECT pg_temp.state('h');
SELECT img_release('one', ARRAY[pg_temp.job('h')]);
SELECT pg_temp.state('h');
SELECT img_release('one', ARRAY[pg_temp.job('h')]);
SELECT pg_temp.state('h');
SELECT * FROM pg_temp.claim('two', 9);
-- who comes back late is not heard, though the attempt has the same number
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('h', 1)]);
SELECT pg_temp.state('h');

-- Rescue: leases that are over, also one's own: whoever lets one run out has lost the job
SELECT img_rescue('one');
UPDATE img_job_live SET lease_expires_at = clock_timestamp() WHERE id = pg_temp.job('h');
SELECT img_rescue('two');
SELECT img_rescue('one');
SELECT pg_temp.state('h');
SELECT attempt, transient, sqlstate, stage, error FROM img_job_error WHERE job_id = pg_temp.job('h');
-- dispatchers of this database follow one another: the lease of the last is void at once
SELECT * FROM pg_temp.claim('home/1/1', 9);
SELECT img_rescue('two');
SELECT img_rescue('home/1/1');
SELECT pg_temp.state('h');
SELECT img_rescue('home/2/2');
SELECT pg_temp.state('h');
-- that of a worker elsewhere is not
SELECT * FROM pg_temp.claim('elsewhere', 9);
SELECT img_rescue('home/2/2');
-- a job that always kills its worker is given up
CREATE FUNCTION pg_temp.kill(OUT deaths int) LANGUAGE plpgsql AS $$
BEGIN
	deaths := 2;
	LOOP
		UPDATE img_job_live SET lease_expires_at = clock_timestamp() WHERE id = pg_temp.job('h');
		PERFORM img_rescue('one');
		deaths := deaths + 1;
		EXIT WHEN NOT EXISTS (SELECT FROM img_job_live WHERE id = pg_temp.job('h')) OR deaths > 20;
		PERFORM img_claim('two', 1, '1 hour');
	END LOOP;
END $$;
SELECT pg_temp.kill();
SELECT pg_temp.state('h');
SELECT error_code, stage FROM img_job WHERE id = pg_temp.job('h');

-- Abandon: the picture has changed meanwhile
SELECT pg_temp.submit('i');
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_abandon('two', pg_temp.job('i'), 1::smallint, 'not mine', 'store');
SELECT img_abandon('one', pg_temp.job('i'), 2::smallint, 'not this attempt', 'store');
SELECT pg_temp.state('i');
SELECT img_abandon('one', pg_temp.job('i'), 1::smallint, 'the row is gone', 'store');
SELECT pg_temp.state('i');

-- Cancelled while it ran: what the worker still says is not heard
SELECT pg_temp.submit('j');
SELECT * FROM pg_temp.claim('one', 9);
SELECT img_cancel(pg_temp.job('j'));
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('j', 1)]);
SELECT img_fail('one', pg_temp.job('j'), 1::smallint, '22000', 'broken', NULL, 'decode', false);
SELECT count(*) FROM img_heartbeat('one', ARRAY[pg_temp.job('j')], '1 hour');
SELECT img_release('one', ARRAY[pg_temp.job('j')]);
SELECT pg_temp.state('j'), (SELECT count(*) FROM img_object WHERE job_id = pg_temp.job('j') AND role = 'output') AS outputs;
-- nor after it has been queued again
SELECT img_retry(pg_temp.job('j'));
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('j', 1)]);
SELECT pg_temp.state('j');
SELECT * FROM pg_temp.claim('two', 9);
SELECT settled FROM img_finish('one', ARRAY[pg_temp.outcome('j', 1)]);
SELECT settled FROM img_finish('two', ARRAY[pg_temp.outcome('j', 1)]);
SELECT pg_temp.state('j');

-- Rows that would be nonsense cannot be
SELECT split_part(pg_temp.error_of($$UPDATE img_job_live SET lease_owner = 'x', lease_expires_at = NULL WHERE id = pg_temp.job('later')$$), ' | ', 1) AS error;
SELECT split_part(pg_temp.error_of($$SELECT img_claim('x', 9, NULL) FROM (SELECT pg_temp.submit('k')) s$$), ' | ', 1) AS error;
SELECT split_part(pg_temp.error_of($$SELECT img_claim('x', -1, '1 hour')$$), ' | ', 1) AS error;
SELECT split_part(pg_temp.error_of($$UPDATE img_job_ended SET status = 'PROCESSING'$$), ' | ', 1) AS error;
SELECT split_part(pg_temp.error_of($$UPDATE img_job_ended SET status = 'ERROR', error = NULL$$), ' | ', 1) AS error;
-- No job is in both tables
SELECT count(*) FROM img_job_live JOIN img_job_ended USING (id);

-- However many wait, now or for later, a claim reads little more than it takes
CREATE FUNCTION pg_temp.entries_read() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
	WHERE oid = 'img_job_live'::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'img_job_live'::regclass)
$$;
INSERT INTO img_job_live (created_at, run_after, retention, owner, kind, priority, max_attempts, request)
	SELECT now(), CASE WHEN g % 2 = 0 THEN now() ELSE 'infinity' END, '7 days', current_user::regrole, 'edit', g % 4 / 2, 3, '{}' FROM generate_series(1, 20000) g;
ANALYZE img_job_live;
BEGIN;
SELECT pg_temp.entries_read() AS read_before \gset
SELECT count(*) FROM img_claim('one', 64, '1 hour');
SELECT pg_temp.entries_read() - :read_before BETWEEN 64 AND 500 AS few;
ROLLBACK;
DELETE FROM img_job_live;
\set ECHO none
\i test/include/dispatcher_on.sql
