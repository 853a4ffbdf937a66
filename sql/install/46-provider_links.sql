-------------------------------------------------------------- provider's links --
-- What a server has made it also keeps for some time, and has links to. The one
-- that came with the result is kept in img_link; img_download() gets a fresh one
-- where the API makes them, as long as the server still has the picture. What is
-- stored at a place that the user has chosen has links of that place.

CREATE FUNCTION @extschema@.img_provider(job uuid, role text, who regrole, OUT server text, OUT path text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
BEGIN
	RETURN QUERY
	SELECT r.server, CASE WHEN r.server_type = 'topaz' THEN
		CASE img_provider.role WHEN 'output' THEN '/download/' ELSE '/download/input/' END || r.remote_id END
	FROM @extschema@.img_remote r
		JOIN @extschema@.img_object o ON o.job_id = r.job_id AND o.role = img_provider.role AND o.ordinal = 0
			AND o.storage IN ('database', 'row', 'url') AND o.expires_at > pg_catalog.clock_timestamp()
	WHERE r.job_id = img_provider.job AND r.owner = img_provider.who AND r.state = 'done'
		-- Topaz keeps inputs and results for so long
		AND CASE img_provider.role WHEN 'output' THEN r.ended_at ELSE r.submitted_at END > pg_catalog.clock_timestamp() - interval '7 days';
END $$;
COMMENT ON FUNCTION @extschema@.img_provider(uuid, text, regrole) IS
	'Internal: the server that may have a picture of a job of that role, and where a fresh link to it is asked for; path NULL: nowhere.';

CREATE FUNCTION @extschema@.img_provider_links(job uuid, role text, answer bytea) RETURNS @extschema@.img_download_links
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	r @extschema@.img_remote;
	link jsonb;
	links @extschema@.img_download_links;
BEGIN
	SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = job;
	BEGIN
		link := (@extschema@.img_remote_read(r.server_type, 'result', r, pg_catalog.convert_from(answer, 'UTF8')::jsonb)).result -> 'link';
	EXCEPTION WHEN data_exception THEN
		-- not JSON
		NULL;
	END;
	IF role = 'output' AND COALESCE((link ->> 'expiry')::bigint, 0) <= EXTRACT(epoch FROM present) THEN
		link := r.result -> 'link';
	END IF;
	links := ROW(link ->> 'download_url', link ->> 'head_url', link ->> 'expiry')::@extschema@.img_download_links;
	IF COALESCE(pg_catalog.to_timestamp(links.expiry) <= present, true) THEN
		RETURN NULL;
	END IF;
	INSERT INTO @extschema@.img_link (id, object_id, job_id, owner, created_at, expires_at, expiry, download_url, head_url)
	SELECT @extschema@.img_new_id(), o.id, o.job_id, o.owner, present, pg_catalog.to_timestamp(links.expiry), links.expiry,
		links.download_url, links.head_url
	FROM @extschema@.img_object o
	WHERE o.job_id = job AND o.role = img_provider_links.role AND o.ordinal = 0 AND links.download_url IS DISTINCT FROM r.result #>> '{link,download_url}';
	RETURN links;
END $$;
COMMENT ON FUNCTION @extschema@.img_provider_links(uuid, text, bytea) IS
	'Internal: the links of an answer of img_provider()''s server, or, without one, those that came with the result; NULL: they have expired.';
