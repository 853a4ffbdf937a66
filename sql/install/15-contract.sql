------------------------------------------------------------------- contract --

CREATE FUNCTION @extschema@.img_operations_contract() RETURNS jsonb
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_operations_contract() IS
	'What requests may say, for programs to read: operations and output of edits, templates of named operations; every key with its type, range and default, and where it runs: "local", or the server types that can do it.';
