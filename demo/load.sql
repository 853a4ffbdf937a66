-- Uploads the files of :paths; "dragonfly_by_Bolly.jpg" becomes "Dragonfly by Bolly".
INSERT INTO photo (name, data)
SELECT upper(left(name, 1)) || substr(name, 2), pg_read_binary_file(path)
FROM unnest(:'paths'::text[]) path,
	regexp_replace(path, '^.*/|\.[^.]*$', '', 'g') file,
	regexp_replace(file, '_+', ' ', 'g') name
ORDER BY lower(name);
