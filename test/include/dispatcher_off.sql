-- No worker takes a job of this database until dispatcher_on.sql. Include
-- pictures.sql first, and this with ECHO none.
ALTER SYSTEM SET imgapi.databases = 'none';
SELECT pg_reload_conf() AS reloaded \gset
-- A dispatcher that started before looks at the setting when it starts again.
CALL pg_temp.await($$SELECT count(pg_terminate_backend(pid)) = 0 FROM img_worker WHERE database = current_database()$$);
