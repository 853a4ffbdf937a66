------------------------------------------------------------------- contract --

CREATE FUNCTION @extschema@.img_operations_contract() RETURNS jsonb
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_operations_contract() IS
	'The edit contract for programs to read: every operation and format with its keys, types, ranges and defaults, and where each runs: "local", or the server types that can do it.';
