-- from before the submit to the moment an executor takes the picture up
SELECT clock_timestamp() AS t0 \gset
SELECT img_submit('\x89504e470d0a1a0a0000000d49484452000000080000000808020000004b6d29dc000000114944415478da633821278715310c2d090090bf4101cf70a13c0000000049454e44ae426082'::bytea) AS job \gset
SELECT img_wait(:'job', '10 s') AS status \gset
SELECT extract(epoch FROM started_at - :'t0'::timestamptz) * 1000 FROM img_job WHERE id = :'job';
