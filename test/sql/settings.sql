-- The settings: where they may be set, their defaults, their limits.
\pset footer off
\set VERBOSITY default
SELECT name, context, vartype, unit, min_val, max_val, enumvals, boot_val FROM pg_settings WHERE name LIKE 'imgapi.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'imgapi.%' AND (short_desc IS NULL OR short_desc !~ '\.$') ORDER BY name;

-- The prefix is reserved: a slip of the pen is no setting
SET imgapi.retentoin = '7 days';

-- What is no value is refused, with what is allowed
SET imgapi.max_source_bytes = 0;
SET imgapi.max_source_bytes = '2GB';
SET imgapi.max_source_bytes = '1 pixel';
SET imgapi.max_source_pixels = 0;
SET imgapi.max_frames = -1;
SET imgapi.max_output_side = 65501;
SET imgapi.job_timeout = '99ms';
SET imgapi.job_timeout = '2h';
SET imgapi.max_attempts = 0;
SET imgapi.max_attempts = 101;
SET imgapi.formats = 'jpeg, bmp';
SET imgapi.formats = 'jpeg,, png';
SET imgapi.formats = 'svg';
SET imgapi.formats = 'pdf, magick';
SET imgapi.retention = '0';
SET imgapi.retention = '-1 day';
SET imgapi.retention = '11 years';
SET imgapi.retention = 'for ever';
SET imgapi.retention = '';
-- for the server's files only
SET imgapi.executors = 2;
SET imgapi.executor_memory = '1GB';
SET imgapi.sandbox = off;
SET imgapi.databases = 'a';
SET imgapi.auto_purge = off;
SET imgapi.notify = on;
SET imgapi.max_inflight = 1;
ALTER SYSTEM SET imgapi.databases = '"a';
ALTER SYSTEM SET imgapi.executors = 65;
ALTER SYSTEM SET imgapi.executor_memory = '255MB';
ALTER SYSTEM SET imgapi.sandbox = 'maybe';

-- Values as they are shown
SET imgapi.max_source_bytes = '1500kB';
SHOW imgapi.max_source_bytes;
SET imgapi.job_timeout = '2min';
SHOW imgapi.job_timeout;
SET imgapi.formats = 'PNG ,jpeg';
SHOW imgapi.formats;
SELECT string_agg(format, ',') FROM img_formats() WHERE allowed;
SET imgapi.formats = '';
SELECT count(*) FROM img_formats() WHERE allowed;
RESET imgapi.formats;
SELECT count(*) = count(*) FILTER (WHERE allowed) FROM img_formats();
SET imgapi.retention = '1 year 2 days';
SHOW imgapi.retention;

-- A user may choose how often a job is tried, and nothing that guards the server
CREATE ROLE regress_imgapi_settings;
SET ROLE regress_imgapi_settings;
SET imgapi.max_attempts = 5;
SET imgapi.max_source_bytes = '1GB';
SET imgapi.max_source_pixels = 1;
SET imgapi.max_frames = 1;
SET imgapi.max_output_side = 1;
SET imgapi.job_timeout = '1s';
SET imgapi.formats = 'jpeg';
SET imgapi.retention = '1 day';
SET imgapi.admin_role = 'regress_imgapi_settings';
RESET ROLE;
DROP ROLE regress_imgapi_settings;
