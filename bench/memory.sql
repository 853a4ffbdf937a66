-- A thousand different pictures through the queue: every kind in the corpus, in
-- several sizes and formats, so that the heap of an executor sees everything.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS imgapi;
CREATE TEMP TABLE submitted AS
	SELECT img_submit(s.data,
		jsonb_build_object('resizing', jsonb_build_object('width', 64 + (n * 37) % 900, 'fit', 'bounds')),
		jsonb_build_object('format', (ARRAY['jpeg', 'png', 'webp', 'tiff', 'gif'])[1 + n % 5])) AS job
	FROM (SELECT data, row_number() OVER (ORDER BY seq, kind) AS n
		FROM bench_src WHERE kind IN ('photo', 'real', 'tiny') AND seq <= CASE kind WHEN 'tiny' THEN 800 ELSE 100 END) s;
SELECT img_wait(job, '10 minutes') FROM submitted;
SELECT status, count(*) FROM img_job WHERE id IN (SELECT job FROM submitted) GROUP BY status;
