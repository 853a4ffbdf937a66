----------------------------------------------------------------- privileges --
-- Nothing that costs or reaches out is open to PUBLIC: img_grant() opens it to
-- a role. What only reads one's own rows is open.

ALTER TABLE @extschema@.img_job_error ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_job_error FOR SELECT USING (@extschema@.img_sees(owner));
ALTER TABLE @extschema@.img_object ENABLE ROW LEVEL SECURITY;
-- What has expired is gone, whenever its row may be purged.
CREATE POLICY owner ON @extschema@.img_object FOR SELECT
	USING (@extschema@.img_sees(owner) AND expires_at > pg_catalog.statement_timestamp());
ALTER TABLE @extschema@.img_delete ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_delete FOR SELECT USING (@extschema@.img_sees(owner));
ALTER TABLE @extschema@.img_operation ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_operation FOR SELECT USING (template OR @extschema@.img_sees(owner));
ALTER TABLE @extschema@.img_file ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_file FOR SELECT USING (@extschema@.img_sees(owner));
ALTER TABLE @extschema@.img_file_content ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_file_content FOR SELECT USING (@extschema@.img_sees(owner));
ALTER TABLE @extschema@.img_job_live ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.img_job_ended ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON @extschema@.img_job, @extschema@.img_job_error, @extschema@.img_object,
	@extschema@.img_operation, @extschema@.img_delete, @extschema@.img_file, @extschema@.img_file_content,
	@extschema@.img_worker, @extschema@.img_stats, @extschema@.img_server TO PUBLIC;

CREATE FUNCTION @extschema@.img_grant(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN
		SELECT p.oid FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = '@extschema@'::regnamespace
			AND p.proname IN ('img_info', 'img_edit', 'img_thumbnail', 'img_apply', 'img_phash', 'img_blurhash',
				'img_dominant_color', 'img_estimate', 'img_submit', 'img_submit_batch', 'img_storage_list', 'img_submit_operation', 'img_retry', 'img_callback_secret', 'img_callback_retry', 'img_webhook', 'img_on_upload', 'img_operation_put', 'img_operation_delete',
				'img_folder_create', 'img_file_put', 'img_files_put', 'img_file_store', 'img_archive_put', 'img_file_delete', 'img_folder_delete', 'img_delete_async',
				'img_operations_exec', 'img_file_operate', 'img_folder_inputs', 'img_unpack', 'img_submit_operation_beside')
	LOOP
		EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s', f, role);
	END LOOP;
	EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %s TO %s', '@extschema@', role);
END $$;
COMMENT ON FUNCTION @extschema@.img_grant(regrole) IS
	'Lets a role edit pictures, submit jobs, name operations and put files: EXECUTE on img_info, img_edit, img_thumbnail, img_apply, img_phash, img_blurhash, img_dominant_color, img_estimate, img_submit, img_submit_batch, img_storage_list, img_submit_operation, img_retry, img_callback_secret, img_callback_retry, img_webhook, img_on_upload, img_operation_put, img_operation_delete, img_folder_create, img_file_put, img_files_put, img_file_delete, img_folder_delete, img_delete_async and img_operations_exec.';

DO $$
DECLARE
	f record;
BEGIN
	FOR f IN
		SELECT p.oid::regprocedure AS name, p.proname, l.lanname
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
		WHERE p.pronamespace = '@extschema@'::regnamespace AND p.proname LIKE 'img\_%'
	LOOP
		-- An operator found on somebody's search_path must not run with our rights.
		-- img_thumbnail() has none, and is inlined as long as nothing is set.
		IF f.lanname <> 'c' AND f.proname <> 'img_thumbnail' THEN
			EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', f.name);
		END IF;
		IF f.proname NOT IN ('img_status', 'img_wait', 'img_cancel', 'img_output', 'img_result',
				'img_formats', 'img_operations_contract', 'img_phash_distance', 'img_sees', 'img_worker_list',
				'img_server_options', 'img_download', 'img_download_input', 'img_downloads',
				'img_no_such_job', 'img_read_row', 'img_object_document', 'img_queue', 'img_named_picture', 'img_read_remote',
				'img_file_list', 'img_folder_properties', 'img_file_read', 'img_file_check', 'img_path_check', 'img_no_such_file',
				'img_no_such_folder') THEN
			EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
		END IF;
	END LOOP;
END $$;

-- A restore loads jobs before their pictures: no worker may look at them yet.
-- (pg_dump's scripts turn row_security off.)
SELECT @extschema@.img_start_worker()
WHERE pg_catalog.current_setting('row_security')::bool;
