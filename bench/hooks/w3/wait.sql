-- returns when nothing that is due waits or runs
DO $$
BEGIN
	WHILE EXISTS (SELECT FROM img_job WHERE status IN ('ACCEPTED', 'PROCESSING') AND run_after < 'infinity') LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
