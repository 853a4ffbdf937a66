------------------------------------------------------------------- triggers --

CREATE FUNCTION @extschema@.img_on_upload() RETURNS trigger
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_on_upload() IS
	'Trigger: queues a job for every picture that arrives in a table. Arguments: source column, operations as JSON or the name of an operation [, target column [, output as JSON [, server]]]. AFTER INSERT, UPDATE or DELETE, FOR EACH ROW or FOR EACH STATEMENT with transition tables.';

CREATE FUNCTION @extschema@.img_cancel_source(source_table regclass, source_keys text[], source_column text, target_column text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	live @extschema@.img_job_live;
BEGIN
	FOR live IN
		SELECT l.* FROM @extschema@.img_job_live l
		WHERE l.source_table = img_cancel_source.source_table AND l.source_key = ANY (source_keys)
			AND l.source_column = img_cancel_source.source_column
			AND l.target_column IS NOT DISTINCT FROM img_cancel_source.target_column
		FOR UPDATE
	LOOP
		live.stage := 'source';
		live.error := 'the picture in the row has changed, or is gone';
		PERFORM @extschema@.img_end(live, 'CANCELLED');
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_cancel_source(regclass, text[], text, text) IS
	'Internal: cancels the jobs of rows whose picture has changed or is gone.';

