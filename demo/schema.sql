CREATE EXTENSION imgapi;

CREATE TABLE photo (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text,
	data bytea,
	thumb bytea
);

CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON photo
FOR EACH ROW EXECUTE FUNCTION img_on_upload('data',
	'{"resizing": {"width": 256, "height": 256, "fit": "bounds"}}', 'thumb');
