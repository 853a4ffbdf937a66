-- A job through the queue, for bench/purge: submitted, claimed, ended.
SELECT img_submit('\x89504e470d0a1a0a'::bytea) AS job \gset
SELECT id, attempt FROM img_claim('bench', 1, '1 hour') \gset
SELECT img_abandon('bench', :id, :attempt, 'measured', 'store');
