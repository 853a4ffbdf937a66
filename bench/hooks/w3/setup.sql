-- The queue alone: pictures of 8x8 pixels, copied as they are. There is no job
-- without a picture in imgapi, so "no-op" jobs go through an executor too.
SET client_min_messages = warning;
-- all dots are the same: each is to be worked on
ALTER SYSTEM SET imgapi.reuse = off;
SELECT pg_reload_conf();
DROP EXTENSION IF EXISTS imgapi CASCADE;
DROP TABLE IF EXISTS dot CASCADE;
CREATE EXTENSION imgapi;
CREATE TABLE dot (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data bytea NOT NULL);
CREATE TRIGGER dot AFTER INSERT ON dot REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{}');
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM img_worker WHERE database = current_database() AND executors > 0) LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
