----------------------------------------------------- right now, no job row --

CREATE FUNCTION @extschema@.img_info(image bytea) RETURNS @extschema@.img_metadata
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_info(bytea) IS
	'Facts of a picture from its header; decodes no pixel. Errors: 22000 when it is broken, 0A000 for a format that may not be read.';

CREATE FUNCTION @extschema@.img_edit(image bytea, operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL) RETURNS bytea
	LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_edit(bytea, jsonb, jsonb) IS
	'Edits a picture in this session and returns the result; NULL for NULL. Errors: 22023 with the JSON path, 22000 for a broken picture, 0A000 for what cannot be done here, 54000 beyond a limit.';

CREATE FUNCTION @extschema@.img_thumbnail(image bytea, width int, height int DEFAULT NULL,
	fit text DEFAULT 'bounds', format text DEFAULT NULL) RETURNS bytea
	LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 100000
AS $$
	SELECT @extschema@.img_edit(image,
		pg_catalog.jsonb_build_object('resizing', pg_catalog.jsonb_strip_nulls(
			pg_catalog.jsonb_build_object('width', width, 'height', height, 'fit', COALESCE(fit, 'bounds')))),
		CASE WHEN format IS NOT NULL THEN pg_catalog.jsonb_build_object('format', format) END)
$$;
COMMENT ON FUNCTION @extschema@.img_thumbnail(bytea, int, int, text, text) IS
	'Short form of img_edit(): resizes to width × height pixels (one of them may be NULL), in the format of the source unless another is named.';

CREATE TYPE @extschema@.img_piece AS (ordinal int, name text, image bytea);
COMMENT ON TYPE @extschema@.img_piece IS 'One result of img_apply().';
COMMENT ON COLUMN @extschema@.img_piece.ordinal IS 'position among the results, from 0';
COMMENT ON COLUMN @extschema@.img_piece.name IS 'image_{operation_id}.{ext}; with _0000, _0001, … when there are several';
COMMENT ON COLUMN @extschema@.img_piece.image IS 'the picture';

CREATE FUNCTION @extschema@.img_apply(image bytea, operation_id text) RETURNS SETOF @extschema@.img_piece
	LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 100000 ROWS 1 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_apply(bytea, text) IS
	'Runs a named operation in this session; slice and grid give several rows. No row for NULL. Errors: 02000 when there is no such operation, else as img_edit().';

CREATE FUNCTION @extschema@.img_unpack(archive bytea) RETURNS SETOF @extschema@.img_piece
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100000 ROWS 100 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_unpack(bytea) IS
	'Internal: the files in a zip archive, in its order. Errors: 22000 when it is broken, 0A000 for what is no zip archive or encrypted, 54000 beyond 10,000 files or 512 MB.';

-- IMMUTABLE, unlike the others: settings decide whether a picture is looked at,
-- never what is seen in it. So they can fill generated columns and indexes, and
-- the picture that one compares with is looked at once.
CREATE FUNCTION @extschema@.img_phash(image bytea) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_phash(bytea) IS
	'Perceptual hash: pictures that look alike have hashes that differ in few of their 64 bits, see img_phash_distance(). Errors: as img_info().';

CREATE FUNCTION @extschema@.img_phash_distance(a bigint, b bigint) RETURNS int
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_phash_distance(bigint, bigint) IS
	'In how many bits two perceptual hashes differ, 0 to 64: up to 10 for versions of one picture, about 32 for pictures that have nothing in common.';

CREATE FUNCTION @extschema@.img_blurhash(image bytea) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_blurhash(bytea) IS
	'BlurHash with 4 × 3 components: 28 characters of which a client paints a blurred placeholder. Errors: as img_info().';

CREATE FUNCTION @extschema@.img_dominant_color(image bytea) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_dominant_color(bytea) IS
	'The colour of which a picture has most, as #rrggbb; NULL if it is transparent all over. Errors: as img_info().';

CREATE FUNCTION @extschema@.img_formats()
RETURNS TABLE (format text, ext text[], mime text, can_load bool, can_save bool, animated bool, allowed bool)
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'img_formats_list';
COMMENT ON FUNCTION @extschema@.img_formats() IS
	'What this build of the executor reads and writes, and what imgapi.formats allows.';

