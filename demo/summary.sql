SELECT format(E'%s photographs\n%s\n%s megapixels\n\nthumbnails after %s s',
	count(*), pg_size_pretty(sum(i.bytes)), round(sum(i.mps)),
	round(extract(epoch FROM max(j.finished_at) - min(j.created_at)), 1))
FROM img_job j JOIN img_object i ON i.job_id = j.id AND i.role = 'input';
