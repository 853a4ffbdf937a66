-- Returns when every upload has its thumbnail. The harness counts the rows of
-- table thumb, so they are copied there, within the measured time.
DO $$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	WHILE EXISTS (SELECT FROM upload WHERE thumb IS NULL) LOOP
		IF clock_timestamp() - started > interval '240 seconds' THEN
			RAISE EXCEPTION '% thumbnails are missing', (SELECT count(*) FROM upload WHERE thumb IS NULL);
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
INSERT INTO thumb (upload_id, data) SELECT id, thumb FROM upload;
