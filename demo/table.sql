SELECT p.name AS photograph,
	format('%s × %s, %s', i.width, i.height, pg_size_pretty(i.bytes)) AS source,
	format('%s × %s, %s kB', o.width, o.height, round(o.bytes / 1024.0, 1)) AS thumb,
	round(1000 * extract(epoch FROM j.finished_at - j.started_at)) AS ms
FROM img_job j
	JOIN img_object i ON i.job_id = j.id AND i.role = 'input'
	JOIN img_object o ON o.job_id = j.id AND o.role = 'output'
	JOIN photo p ON p.id = (j.source_key::text[])[1]::bigint
ORDER BY j.task_id;
