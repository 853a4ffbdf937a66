# The row that a result is for changes, goes, or is locked while its job waits or
# runs: no result of an old picture is ever written, and nobody's lock or
# trigger stops the queue.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('rows', 'imgapi.executors' => 1);
my $dispatcher = worker_pid($node);
my $executor;

# Thumbnails are 16 wide: 16 high of the old pictures, 8 of the new ones.
my $old = literal(png(64, 64, 1));
my $new = literal(png(64, 32, 2));
# Beyond the row: in the TOAST table.
my $large_old = literal(png(1200, 1200, 1));
my $large_new = literal(png(1200, 600, 2));

photo_table($node);
$node->safe_psql('postgres', q{
	ALTER TABLE photo ALTER data SET STORAGE EXTERNAL;
	CREATE TABLE upload (id int PRIMARY KEY, name text, data bytea, thumb bytea);
	ALTER TABLE upload ALTER data SET STORAGE EXTERNAL;
	CREATE TRIGGER make_thumb AFTER INSERT ON upload FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "height": 16, "fit": "bounds"}}', 'thumb')});

# One whose job has been cancelled for too long is ended, and another comes.
sub hold
{
	wait_until(sub {
		($executor) = executors($dispatcher);
		return defined $executor && kill('STOP', $executor) && stopped($executor);
	}) or die 'no executor stopped';
}

sub go { kill 'CONT', $executor; }
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub height { return sql("SELECT (img_info(thumb)).height FROM $_[0] WHERE id = $_[1]"); }
sub jobs { return "SELECT string_agg(status::text, ',' ORDER BY created_at) FROM img_job WHERE source_key = '{$_[1]}' AND source_table = '$_[0]'::regclass"; }

# A row whose job is with the stopped executor.
sub upload
{
	my ($table, $id, $picture) = @_;

	hold();
	sql("INSERT INTO $table VALUES ($id, 'a', $picture)");
	$node->poll_query_until('postgres', jobs($table, $id) , 'PROCESSING') or die 'the job did not start';
}

# Seconds that the slowest of some jobs of no table takes.
sub slowest
{
	my $slowest = 0;

	foreach my $round (1 .. 8)
	{
		my $seconds = seconds { sql("SELECT img_wait('" . submit($node, small_png($round)) . "', '20 s')") };

		$slowest = $seconds if $seconds > $slowest;
	}
	return $slowest;
}

# ------------------------------------------------------------ while it waits

hold();
sql("INSERT INTO photo SELECT n, n, $old FROM generate_series(1, 40) n");
poll_is($node, q{SELECT status FROM img_job WHERE source_key = '{40}'}, 'ACCEPTED', 'a job waits');
sql("UPDATE photo SET data = $new WHERE id = 40");
sql('DELETE FROM photo WHERE id = 39');
is(sql(jobs('photo', 40)), 'CANCELLED,ACCEPTED', 'the picture changes: the old job is cancelled, a new one waits');
is(sql(jobs('photo', 39)), 'CANCELLED', 'the row is deleted: its job is cancelled');
go();
poll_is($node, jobs('photo', 40), 'CANCELLED,DONE', 'the new job runs');
is(height('photo', 40), 8, 'and its result is written');
is(sql('SELECT count(*) FROM written WHERE id = 40'), 1, 'only that');

# ------------------------------------------------------------ while it runs

foreach my $size ([ 'small', 100, $old, $new ], [ 'large', 200, $large_old, $large_new ])
{
	my ($name, $id, $first, $second) = @$size;

	upload('photo', $id, $first);
	sql("UPDATE photo SET data = $second WHERE id = $id");
	go();
	poll_is($node, jobs('photo', $id), 'CANCELLED,DONE', "a $name picture changes while its job runs");
	is(height('photo', $id), 8, '… the new result is written');
	is(sql("SELECT count(*) FROM written WHERE id = $id"), 1, '… only that');

	# Without a trigger for it, the picture itself has to be looked at.
	upload('upload', $id, $first);
	sql("UPDATE upload SET data = $second WHERE id = $id");
	go();
	poll_is($node, jobs('upload', $id), 'CANCELLED', "a $name picture changes and no trigger says so");
	is(sql("SELECT thumb IS NULL FROM upload WHERE id = $id"), 't', '… nothing is written');
	like(sql("SELECT error FROM img_job WHERE source_key = '{$id}' AND source_table = 'upload'::regclass"),
		qr/changed/, '… and the job says why');

	upload('upload', $id + 1, $first);
	sql("UPDATE upload SET name = 'b' WHERE id = $id + 1");
	go();
	poll_is($node, jobs('upload', $id + 1), 'DONE', "another column than the $name picture changes");
	is(sql("SELECT name, (img_info(thumb)).height FROM upload WHERE id = $id + 1"), 'b|16', '… the result is written');
}

upload('upload', 300, $old);
sql('DELETE FROM upload WHERE id = 300');
go();
poll_is($node, jobs('upload', 300), 'CANCELLED', 'a row is deleted while its job runs');
like(sql(q{SELECT error FROM img_job WHERE source_key = '{300}'}), qr/row is gone/, '… the job says so');

upload('upload', 301, $old);
sql('UPDATE upload SET data = NULL WHERE id = 301');
go();
poll_is($node, jobs('upload', 301), 'CANCELLED', 'a picture becomes NULL while its job runs');
is(sql('SELECT thumb IS NULL FROM upload WHERE id = 301'), 't', '… nothing is written');

# -------------------------------------------------------------- locked row

my $locker = $node->background_psql('postgres');
upload('photo', 400, $old);
$locker->query_safe('BEGIN; SELECT id FROM photo WHERE id = 400 FOR UPDATE');
go();
sql("INSERT INTO photo VALUES (401, 'other', $new)");
poll_is($node, jobs('photo', 401), 'DONE', 'a row is locked when its result is ready: other jobs of the table go on');
is(wait_job($node, submit($node, small_png())), 'DONE', '… and those of no table');
is(sql(jobs('photo', 400)), 'PROCESSING', '… the job waits for the row');
$locker->query_safe('COMMIT');
poll_is($node, jobs('photo', 400), 'DONE', '… and ends when the lock is gone');
is(height('photo', 400), 16, '… with its result');
is(sql(q{SELECT attempts FROM img_job WHERE source_key = '{400}'}), 1, '… at the first attempt');

# The lock was for a new picture.
upload('upload', 402, $old);
$locker->query_safe("BEGIN; UPDATE upload SET data = $new WHERE id = 402");
go();
is(wait_job($node, submit($node, small_png())), 'DONE', 'a row is being changed when its result is ready: others go on');
$locker->query_safe('COMMIT');
poll_is($node, jobs('upload', 402), 'CANCELLED', '… the old result is not written');
is(sql('SELECT thumb IS NULL FROM upload WHERE id = 402'), 't', '… at all');

# Of many rows, more than a dispatcher keeps in hand.
hold();
sql("INSERT INTO photo SELECT n, 'c', $old FROM generate_series(1001, 1400) n");
$locker->query_safe('BEGIN; SELECT count(*) FROM (SELECT FROM photo WHERE id > 1000 FOR UPDATE) AS x');
go();
cmp_ok(slowest(), '<', 2, 'hundreds of rows are locked: other jobs go on as if they were not');
$locker->query_safe('COMMIT');
poll_is($node, 'SELECT count(*) FROM photo WHERE id > 1000 AND thumb IS NOT NULL', 400, '… results are written when the lock is gone');
is(sql('SELECT count(*) FROM written WHERE id > 1000'), 400, '… once');

# ------------------------------------------------------------- locked table

# Jobs that have a result to write, and jobs that have not yet been fetched.
upload('photo', 500, $old);
$locker->query_safe("BEGIN; INSERT INTO photo SELECT n, 'b', $old FROM generate_series(501, 520) n; COMMIT");
$locker->query_safe('BEGIN; LOCK TABLE photo IN ACCESS EXCLUSIVE MODE');
go();
cmp_ok(slowest(), '<', 2, 'a table is locked: jobs of no table go on as if it was not');
# Longer than the pauses between attempts together.
poll_is($node, q{SELECT clock_timestamp() - max(query_start) > '8 s' FROM pg_stat_activity
	WHERE query LIKE '%LOCK TABLE photo IN ACCESS EXCLUSIVE%' AND pid <> pg_backend_pid()}, 't', '… for long');
$locker->query_safe('COMMIT');
poll_is($node, q{SELECT count(*) FROM photo WHERE id BETWEEN 500 AND 520 AND thumb IS NOT NULL}, 21,
	'… results are written when the lock is gone');
is(sql(q{SELECT max(attempts) FROM img_job WHERE source_table = 'photo'::regclass AND status = 'DONE'}), 1,
	'… no job has lost an attempt');
is(sql(q{SELECT count(*) FROM img_job WHERE status = 'ERROR'}), 0, '… or was given up');
$locker->quit;

# ------------------------------------------------------- a trigger that sleeps

sql(q{
	CREATE TABLE sleepy (id int PRIMARY KEY, data bytea, thumb bytea);
	CREATE TRIGGER make_thumb AFTER INSERT ON sleepy FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16}}', 'thumb');
	CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN new; END';
	CREATE TRIGGER sleep BEFORE UPDATE ON sleepy FOR EACH ROW EXECUTE FUNCTION sleep()});
sql("INSERT INTO sleepy VALUES (1, $old)");
$node->poll_query_until('postgres', qq{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $dispatcher AND wait_event = 'PgSleep')})
  or die "the dispatcher does not run the trigger";
my $seconds = seconds { is(wait_job($node, submit($node, small_png())), 'DONE', 'a trigger on the target table sleeps: other jobs go on') };
cmp_ok($seconds, '<', 8, '… when its time is over');
poll_is($node, q{SELECT status, error_code, stage FROM img_job WHERE source_table = 'sleepy'::regclass}, 'ERROR|57014|store', '… its job fails');
is(worker_pid($node), $dispatcher, 'the dispatcher is still the same');

$node->stop;
done_testing();
