-- Thumbnails end to end, as the README has it: a trigger on the table with the
-- pictures, results in a column of the same row.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS imgapi CASCADE;
CREATE EXTENSION imgapi;
ALTER TABLE upload ADD COLUMN thumb bytea;
ALTER TABLE upload ALTER COLUMN thumb SET STORAGE EXTERNAL;
SELECT :'work' = 'tiny' AS tiny \gset
\if :tiny
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON upload FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 64, "height": 64, "fit": "crop"}}', 'thumb',
		'{"format": {"type": "webp", "compression": {"type": "lossy", "quality": 80}}}');
\else
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON upload FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 512, "height": 512, "fit": "bounds"}}', 'thumb',
		'{"format": {"type": "jpeg", "quality": 80, "progressive": false}}');
\endif
-- the peers' workers are running and warm when the clock starts
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM img_worker WHERE database = current_database() AND executors > 0) LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
