-- Waits for one job after the other; a line for each as soon as it has ended.
SELECT format('SELECT img_wait(%L), name FROM photo WHERE id = %s', j.id, p.id)
FROM img_job j JOIN photo p ON p.id = (j.source_key::text[])[1]::bigint
WHERE j.source_table = 'photo'::regclass
ORDER BY j.task_id
\gexec
