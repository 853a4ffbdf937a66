------------------------------------------------- retention, clocked by pg_cron --

CREATE FUNCTION @extschema@.img_schedule_purge(schedule text DEFAULT '7 * * * *') RETURNS bigint
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT
AS $$
DECLARE
	-- The name makes the schedule ours. One pg_cron serves all databases.
	job_name text := 'imgapi purge ' || pg_catalog.current_database();
	-- to the end, but in transactions of a batch each
	command text := pg_catalog.format('DO $purge$ DECLARE gone %1$s.img_purged; BEGIN LOOP '
		'gone := %1$s.img_purge(1000); COMMIT; '
		'EXIT WHEN greatest(gone.objects, gone.links, gone.jobs) < 1000; END LOOP; END $purge$',
		'@extschema@'::regnamespace);
	purge_owner regrole := (SELECT p.proowner FROM pg_catalog.pg_proc p
		WHERE p.oid = '@extschema@.img_purge(int)'::regprocedure);
	-- NULL: not preloaded
	cron_database text := (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'cron.database_name');
	cron regnamespace := (SELECT p.pronamespace FROM pg_catalog.pg_extension e
			JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
				AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
			JOIN pg_catalog.pg_proc p ON p.oid = d.objid
		WHERE e.extname = 'pg_cron' AND p.proname = 'schedule' AND p.pronargs = 3);
	earlier bigint;
	job bigint;
BEGIN
	IF NOT pg_catalog.pg_has_role(current_user, purge_owner, 'USAGE') THEN
		RAISE EXCEPTION 'permission denied: pg_cron runs a command as the role that schedules it, and role "%" may not purge', current_user
			USING ERRCODE = '42501',
				HINT = pg_catalog.format('SET ROLE %s;', purge_owner);
	ELSIF cron_database IS NULL THEN
		RAISE EXCEPTION 'this server has no pg_cron'
			USING ERRCODE = '0A000',
				DETAIL = 'It is not needed: the worker purges once a minute unless imgapi.auto_purge is off.',
				HINT = pg_catalog.format('ALTER SYSTEM SET shared_preload_libraries = %s, pg_cron; and restart the server, then in database "postgres": CREATE EXTENSION pg_cron;',
					COALESCE(NULLIF(pg_catalog.current_setting('shared_preload_libraries', true), ''), 'imgapi'));
	ELSIF cron_database <> pg_catalog.current_database() THEN
		RAISE EXCEPTION 'pg_cron is in database "%", not in this one', cron_database
			USING ERRCODE = '55000',
				DETAIL = 'It takes orders in its own database only.',
				HINT = pg_catalog.format(CASE WHEN schedule IS NULL
						THEN 'In database "%1$s": SELECT cron.unschedule(%2$L);'
						ELSE 'In database "%1$s": SELECT cron.schedule_in_database(%2$L, %3$L, %4$L, %5$L);' END,
					cron_database, job_name, schedule, command, pg_catalog.current_database());
	ELSIF cron IS NULL THEN
		RAISE EXCEPTION 'extension pg_cron 1.3 or later has not been created in this database'
			USING ERRCODE = '55000',
				DETAIL = 'The server preloads it.',
				HINT = CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_cron')
					THEN 'ALTER EXTENSION pg_cron UPDATE;' ELSE 'CREATE EXTENSION pg_cron;' END;
	END IF;

	-- Names are unique for each role only: whoever scheduled it before, it goes.
	FOR earlier IN EXECUTE pg_catalog.format(
		'SELECT j.jobid FROM %s.job j WHERE j.jobname = $1 AND ($2 OR j.username <> current_user)', cron)
		USING job_name, schedule IS NULL
	LOOP
		EXECUTE pg_catalog.format('SELECT %s.unschedule($1)', cron) USING earlier;
	END LOOP;
	IF schedule IS NOT NULL THEN
		EXECUTE pg_catalog.format('SELECT %s.schedule($1, $2, $3)', cron)
			INTO job USING job_name, schedule, command;
	END IF;
	RETURN job;
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE EXCEPTION 'pg_cron refuses the schedule "%"', schedule
		USING ERRCODE = '22023',
			DETAIL = SQLERRM,
			HINT = 'Give minute, hour, day of month, month and day of week: SELECT img_schedule_purge(''7 * * * *'');';
END $$;
COMMENT ON FUNCTION @extschema@.img_schedule_purge(text) IS
	'Lets pg_cron remove what has expired; replaces an earlier schedule and returns pg_cron''s job id. NULL ends it. Errors: 0A000 without pg_cron, 55000 where it is in another database, 22023 for a schedule it does not understand.';

