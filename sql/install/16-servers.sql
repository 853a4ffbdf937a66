-------------------------------------------------------------------- servers --

CREATE FUNCTION @extschema@.img_server_validator(options text[], catalog oid) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_server_validator(text[], oid) IS
	'Internal: checks names and values of the options of servers and user mappings.';

CREATE FOREIGN DATA WRAPPER imgapi NO HANDLER VALIDATOR @extschema@.img_server_validator;
COMMENT ON FOREIGN DATA WRAPPER imgapi IS
	'Servers of image APIs, storages and web servers. It has no foreign tables.';

CREATE FUNCTION @extschema@.img_server_command() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_server_command() IS
	'Internal: checks servers and user mappings as a whole, by the type of the server.';

CREATE EVENT TRIGGER img_server_command ON ddl_command_end
	WHEN TAG IN ('CREATE SERVER', 'ALTER SERVER', 'CREATE USER MAPPING', 'ALTER USER MAPPING')
	EXECUTE FUNCTION @extschema@.img_server_command();
COMMENT ON EVENT TRIGGER img_server_command IS
	'Refuses servers of wrapper imgapi, and user mappings for them, that could not work.';

CREATE FUNCTION @extschema@.img_server_options()
RETURNS TABLE (type text, option text, of text, required bool, initial text, allowed text, help text)
	LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_server_options() IS
	'Every option of each type of server: whether it is one of the server or of its user mappings, what it may be, and its default.';

CREATE VIEW @extschema@.img_server AS
	SELECT s.srvname AS name, s.srvtype AS type,
		COALESCE(o.url, o.endpoint, (SELECT d.initial FROM @extschema@.img_server_options() d
			WHERE d.type = s.srvtype AND d.option = 'url'),
			'https://s3.' || COALESCE(o.region, 'us-east-1') || '.amazonaws.com') AS address,
		o.bucket, o.prefix,
		pg_catalog.has_server_privilege(s.oid, 'USAGE') AS usable,
		EXISTS (SELECT FROM pg_catalog.pg_user_mappings m
			WHERE m.srvid = s.oid AND (m.umuser = 0 OR m.usename = CURRENT_USER)) AS mapped
	FROM pg_catalog.pg_foreign_server s
		JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'imgapi'
		CROSS JOIN LATERAL (
			SELECT pg_catalog.max(option_value) FILTER (WHERE option_name = 'url') AS url,
				pg_catalog.max(option_value) FILTER (WHERE option_name = 'endpoint') AS endpoint,
				pg_catalog.max(option_value) FILTER (WHERE option_name = 'region') AS region,
				pg_catalog.max(option_value) FILTER (WHERE option_name = 'bucket') AS bucket,
				pg_catalog.max(option_value) FILTER (WHERE option_name = 'prefix') AS prefix
			FROM pg_catalog.pg_options_to_table(s.srvoptions)) o;
COMMENT ON VIEW @extschema@.img_server IS
	'One row a foreign server of wrapper imgapi. The storage in the database itself is none of them: its name is database.';
COMMENT ON COLUMN @extschema@.img_server.name IS 'as in storage://NAME/path';
COMMENT ON COLUMN @extschema@.img_server.type IS 'claid, topaz, nhn, kitsu, s3 or http';
COMMENT ON COLUMN @extschema@.img_server.address IS 'where it is';
COMMENT ON COLUMN @extschema@.img_server.bucket IS 's3: the bucket';
COMMENT ON COLUMN @extschema@.img_server.prefix IS 's3: the folder of the bucket that all keys are in';
COMMENT ON COLUMN @extschema@.img_server.usable IS 'whether you have USAGE on it';
COMMENT ON COLUMN @extschema@.img_server.mapped IS 'whether there is a user mapping for you or for PUBLIC';

CREATE FUNCTION @extschema@.img_storage_uri(uri text, folder bool DEFAULT false, OUT server text, OUT path text)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_storage_uri(text, bool) IS
	'Internal: the parts of storage://SERVER/PATH. Error: 22P02.';

