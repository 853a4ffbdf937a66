# pg_dump and pg_restore keep jobs, pictures and operations: what waited in the
# old server runs in the new one. pg_upgrade takes them along.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = img_node('old', 'imgapi.executors' => 1, 'imgapi.reuse' => 'on');
my $picture = literal(png(64, 64));
my $dump = $old->basedir . '/dump';

# Jobs of all states: done, failed, with an executor, waiting, of a later day.
photo_table($old);
my $done = submit($old, png(64, 64), '{"resizing": {"width": 20}}');
my $failed = submit($old, 'not a picture');
is(wait_job($old, $done) . wait_job($old, $failed), 'DONEERROR', 'some jobs have ended');
my $again = submit($old, png(64, 64), '{"resizing": {"width": 20}}');
wait_job($old, $again);
is(origin($old, $again), $done, 'one has taken over the result of another');
$old->safe_psql('postgres', "INSERT INTO photo VALUES (1, 'done', $picture)");
poll_is($old, 'SELECT thumb IS NOT NULL FROM photo', 't', 'so has one of a trigger');

my ($executor) = executors(worker_pid($old));
kill 'STOP', $executor;
wait_until(sub { stopped($executor) }) or die "executor $executor did not stop";
$old->safe_psql('postgres', "INSERT INTO photo SELECT n, 'waits', $picture FROM generate_series(2, 15) n");
my @waiting = map { submit($old, small_png($_)) } 1 .. 5;
my $later = submit($old, small_png(), '{"resizing": {"width": 16}}', "run_after => now() + '1 day'");
poll_is($old, q{SELECT count(*) > 0 FROM img_job WHERE status = 'PROCESSING'}, 't', 'others run');

# Operations: one of its own, and one with the name of a template.
$old->safe_psql('postgres', q{
	SELECT img_operation_put('own', '[{"templateOperationId": "resize_fix", "option": {"width": 7, "height": 5}}]', 'mine', false);
	SELECT img_operation_put('100x100', '[{"templateOperationId": "resize_fix", "option": {"width": 9, "height": 4}}]');
});

# Files, one of them in a folder below another.
$old->safe_psql('postgres', "SELECT img_folder_create('/logos/small'), img_file_put('/shop.png', $picture)");
$old->safe_psql('postgres', "SELECT img_file_put('/logos/small/logo.png', " . literal(png(8, 8)) . ')');
my $files = q{SELECT string_agg(format('%s %s %s %s %s %s %s %s', f.id, path, name, folder, f.owner, bytes, width, md5(data)), E'\n' ORDER BY path)
	FROM img_file f LEFT JOIN img_file_content c ON c.file_id = f.id};
my $files_before = $old->safe_psql('postgres', $files);

my $operations = q{SELECT string_agg(format('%s %s %s %s %s %s', operation_id, owner, template, realtime_service, description, data), E'\n'
	ORDER BY operation_id, template) FROM img_operation};
my $operations_before = $old->safe_psql('postgres', $operations);

my $states = q{SELECT string_agg(DISTINCT status::text, ',' ORDER BY status::text) FROM img_job};
is($old->safe_psql('postgres', $states), 'ACCEPTED,DONE,ERROR,PROCESSING', 'there are jobs in every state');

my $numbers = 'SELECT md5(string_agg(format($$%s %s$$, id, task_id), $$,$$ ORDER BY id)) FROM img_job';
my $before = $old->safe_psql('postgres', $numbers);

# The job whose result that job has taken over.
sub origin
{
	my ($node, $job) = @_;

	return $node->safe_psql('postgres', "SELECT reused_from FROM img_object WHERE job_id = '$job' AND role = 'output'");
}

sub has_everything
{
	my ($node, $name) = @_;

	is($node->safe_psql('postgres', "SELECT (img_info(img_output('$done'))).width"), 20, "$name: results are kept");
	is($node->safe_psql('postgres', "SELECT count(*) FROM img_job_error WHERE job_id = '$failed'"), 1, '… and errors');
	is(wait_job($node, $_), 'DONE', '… a job that waited runs') foreach @waiting;
	poll_is($node, 'SELECT count(*) FROM photo WHERE thumb IS NULL', 0, '… those of a trigger too');
	poll_is($node, 'SELECT status, count(*) FROM img_job GROUP BY status ORDER BY status', "ACCEPTED|1\nDONE|22\nERROR|1",
		'… all jobs are there, once');
	is($node->safe_psql('postgres', "SELECT run_after > now() + '23 hours' FROM img_job WHERE id = '$later'"), 't',
		'… that of tomorrow runs tomorrow');
	is($node->safe_psql('postgres', $numbers), $before, '… numbers are kept');
	is(origin($node, $again), $done, '… whose result is whose');
	is($node->safe_psql('postgres', $operations), $operations_before, '… operations are there, templates once');
	is($node->safe_psql('postgres', "SELECT (img_info(image)).width FROM img_apply($picture, '100x100')"), 9,
		'… one with the name of a template goes before it');
	is($node->safe_psql('postgres', $files), $files_before, '… files are there');
	is($node->safe_psql('postgres', qq{SELECT (img_info(img_edit($picture, '{"watermark": {"image": "/logos/small/logo.png"}}'))).width}), 64,
		'… and can be read');
	is($node->safe_psql('postgres', 'SELECT nextval(\'img_task_id\') > max(task_id) FROM img_job'), 't', '… and go on');
}

# ------------------------------------------------------- pg_dump, pg_restore

$old->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", $old->connstr('postgres') ], 'pg_dump');
$old->command_ok([ 'pg_dump', '-f', "$dump.sql", $old->connstr('postgres') ], 'pg_dump as SQL');

# Jobs come before their pictures and before the tables whose rows they are for.
# Whoever works on them then finds nothing.
my $new = new_node('new');
$new->start;
foreach my $way ([ 'pg_restore', '--exit-on-error', '-j', 2, "$dump.custom" ], [ 'psql', '-v', 'ON_ERROR_STOP=1', '-qf', "$dump.sql" ])
{
	my ($program, @arguments) = @$way;

	$new->safe_psql('template1', 'DROP DATABASE postgres');
	$new->safe_psql('template1', 'CREATE DATABASE postgres TEMPLATE template0');
	$new->command_ok([ $program, '-d', $new->connstr('postgres'), @arguments ], $program);
	is($new->safe_psql('postgres', q{SELECT count(*) FROM img_worker WHERE database = 'postgres'}), 0,
		"$program: no worker looks while the rest is still to come");
	$new->safe_psql('postgres', 'SELECT img_start_worker()');
	has_everything($new, $program);
}
$new->stop;

# ---------------------------------------------------------------- pg_upgrade

$old->stop;

# As pg_upgrade starts both servers: nobody may change what is being copied.
$old->command_ok([ 'pg_ctl', '-w', '-D', $old->data_dir, '-l', $old->logfile, '-o', '-b', 'start' ], 'a server in binary upgrade mode');
is($old->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'imgapi%'}), 0, '… has no worker');
$old->command_ok([ 'pg_ctl', '-w', '-D', $old->data_dir, 'stop' ], '… and stops');

my $upgraded = new_node('upgraded');
my $bin = $old->config_data('--bindir');
my @upgrade = ('pg_upgrade', '--no-sync', '-b', $bin, '-B', $bin,
	'-d', $old->data_dir, '-D', $upgraded->data_dir, '-s', $old->host,
	'-p', $old->port, '-P', $upgraded->port);
chdir $upgraded->basedir or die;
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');
$upgraded->start;
has_everything($upgraded, 'pg_upgrade');
$upgraded->stop;

done_testing();
