-- The end of dispatcher_off.sql.
ALTER SYSTEM RESET imgapi.databases;
SELECT pg_reload_conf() AS reloaded \gset
CALL pg_temp.await($$SELECT img_start_worker() AND EXISTS (SELECT FROM img_worker WHERE database = current_database() AND state = 'idle')$$);
