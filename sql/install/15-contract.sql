-- The edit contract, made from the declarations in src/operations and
-- src/formats.

CREATE FUNCTION @extschema@.img_operations_contract() RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_operations_contract() IS
'the keys, types, ranges, defaults and places to run of the edit contract';
