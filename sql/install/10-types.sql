---------------------------------------------------------------------- types --

CREATE TYPE @extschema@.img_job_status AS ENUM
	('ACCEPTED', 'PROCESSING', 'DONE', 'ERROR', 'CANCELLED');
COMMENT ON TYPE @extschema@.img_job_status IS
	'State of a job. ACCEPTED waits, PROCESSING is with a worker; DONE, ERROR and CANCELLED are final.';

CREATE TYPE @extschema@.img_job_kind AS ENUM ('edit', 'operation', 'delete');
COMMENT ON TYPE @extschema@.img_job_kind IS
	'What a job is: an edit (operations and output as JSON), a named operation, or a deletion of files.';

CREATE TYPE @extschema@.img_metadata AS (
	format text, mime text, ext text,
	width int, height int, mps numeric, bytes bigint, pages int,
	has_alpha bool, orientation int, color_space text, has_icc bool,
	taken_at timestamp, lat float8, lng float8);
COMMENT ON TYPE @extschema@.img_metadata IS
	'Facts of a picture, from its header: see img_info().';
COMMENT ON COLUMN @extschema@.img_metadata.format IS 'jpeg, png, webp, gif, tiff, avif, heic';
COMMENT ON COLUMN @extschema@.img_metadata.mime IS 'media type, such as image/jpeg';
COMMENT ON COLUMN @extschema@.img_metadata.ext IS 'usual file extension, such as jpg';
COMMENT ON COLUMN @extschema@.img_metadata.width IS 'pixels, as displayed (after orientation); one frame of an animation';
COMMENT ON COLUMN @extschema@.img_metadata.height IS 'pixels, as displayed (after orientation); one frame of an animation';
COMMENT ON COLUMN @extschema@.img_metadata.mps IS 'megapixels: width × height / 1,000,000';
COMMENT ON COLUMN @extschema@.img_metadata.bytes IS 'length of the file';
COMMENT ON COLUMN @extschema@.img_metadata.pages IS 'frames of an animation or pages; 1 for a still';
COMMENT ON COLUMN @extschema@.img_metadata.has_alpha IS 'whether pixels may be transparent';
COMMENT ON COLUMN @extschema@.img_metadata.orientation IS 'EXIF value as stored, 1 to 8; 1 where there is none';
COMMENT ON COLUMN @extschema@.img_metadata.color_space IS 'as stored, such as srgb, cmyk, b-w';
COMMENT ON COLUMN @extschema@.img_metadata.has_icc IS 'whether it brings a colour profile';
COMMENT ON COLUMN @extschema@.img_metadata.taken_at IS 'EXIF time of exposure, in the camera''s time zone';
COMMENT ON COLUMN @extschema@.img_metadata.lat IS 'EXIF latitude, degrees, north positive';
COMMENT ON COLUMN @extschema@.img_metadata.lng IS 'EXIF longitude, degrees, east positive';

CREATE TYPE @extschema@.img_purged AS (objects bigint, links bigint, jobs bigint, bytes bigint);
COMMENT ON TYPE @extschema@.img_purged IS 'What img_purge() removed.';
COMMENT ON COLUMN @extschema@.img_purged.objects IS 'stored pictures';
COMMENT ON COLUMN @extschema@.img_purged.links IS 'download links';
COMMENT ON COLUMN @extschema@.img_purged.jobs IS 'ended jobs';
COMMENT ON COLUMN @extschema@.img_purged.bytes IS 'bytes of the stored pictures';

