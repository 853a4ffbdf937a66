# img_schedule_purge() with a real pg_cron: it purges to the end, replaces its
# schedule whoever made it, and says what is missing and what to type.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('cron', 'shared_preload_libraries' => 'imgapi, pg_cron', 'cron.use_background_workers' => 'on',
	'max_worker_processes' => 16, 'imgapi.auto_purge' => 'off');

sub schedule { return $node->safe_psql('postgres', 'SELECT img_schedule_purge(' . ($_[0] // '') . ')'); }

# The part of psql's complaint that is to be typed, without what leads to it.
sub hint
{
	my ($database, $statement) = @_;
	my ($status, $stdout, $stderr) = $node->psql($database, $statement);

	return $stderr =~ /^HINT:  (.*)$/m ? $1 : "no hint: $stderr";
}

$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION imgapi');

# ------------------------------------------------ preloaded, but not created

fails_with($node, 'SELECT img_schedule_purge()', '55000', qr/has not been created in this database/, 'without the extension');
is(hint('postgres', 'SELECT img_schedule_purge()'), 'CREATE EXTENSION pg_cron;', 'the hint creates it');
$node->safe_psql('postgres', hint('postgres', 'SELECT img_schedule_purge()'));

# ---------------------------------------------------------- it really purges

# More than a batch, and one that has not expired.
$node->safe_psql('postgres', q{
	INSERT INTO img_job_ended (id, task_id, created_at, run_after, finished_at, expires_at, retention, owner, kind, status,
		priority, attempts, max_attempts, request)
	SELECT img_new_id(), g, now(), now(), now(), CASE WHEN g > 1 THEN now() ELSE 'infinity' END, '1 minute', current_user::regrole,
		'edit', 'CANCELLED', 0, 0, 1, '{}' FROM generate_series(1, 2501) g});
my $first = schedule(q{'* * * * *'});
like($first, qr/^\d+$/, 'the id of the job');
is($node->safe_psql('postgres', 'SELECT jobid, schedule, database, username, active, jobname FROM cron.job'),
	"$first|* * * * *|postgres|" . $node->safe_psql('postgres', 'SELECT current_user') . '|t|imgapi purge postgres',
	'pg_cron has it');
ok(wait_until(sub { $node->safe_psql('postgres', 'SELECT count(*) FROM img_job_ended') eq '1' }, 90), 'it purges more than a batch, and no more than it may');
is($node->safe_psql('postgres', 'SELECT task_id FROM img_job_ended'), '1', 'what has not expired is left');
poll_is($node, q{SELECT string_agg(DISTINCT status, ',') FROM cron.job_run_details WHERE end_time IS NOT NULL}, 'succeeded', 'pg_cron was content');

# ------------------------------------------------------- one schedule, or none

is(schedule(), $first, 'again: it is the same job');
is($node->safe_psql('postgres', q{SELECT string_agg(schedule, ',') FROM cron.job}), '7 * * * *', 'there is one');
$node->safe_psql('postgres', 'CREATE ROLE other SUPERUSER LOGIN; SET ROLE other; SELECT img_schedule_purge()');
is($node->safe_psql('postgres', 'SELECT username FROM cron.job'), 'other', 'another administrator replaces it');
fails_with($node, q{SELECT img_schedule_purge('whenever')}, '22023', qr/whenever.*HINT: .*img_schedule_purge\('7 \* \* \* \*'\)/s, 'a schedule that is none');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '1', 'leaves the one there is');
$node->safe_psql('postgres', q{SELECT cron.schedule('mine', '0 0 * * *', 'SELECT 1')});
is(schedule('NULL'), '', 'NULL ends it');
is(schedule('NULL'), '', 'and again');
is($node->safe_psql('postgres', 'SELECT jobname FROM cron.job'), 'mine', 'jobs of others stay');

# ------------------------------------------------------- in another database

$node->safe_psql('postgres', q{CREATE DATABASE "it's"});
$node->safe_psql(q{it's}, 'CREATE SCHEMA "Odd Place"; CREATE EXTENSION imgapi SCHEMA "Odd Place"');
my ($status, $stdout, $stderr) = $node->psql(q{it's}, q{\set VERBOSITY verbose
	SELECT "Odd Place".img_schedule_purge('1 2 3 4 5')});
like($stderr, qr/ERROR:  55000: pg_cron is in database "postgres", not in this one/, 'pg_cron is elsewhere');
my $line = hint(q{it's}, q{SELECT "Odd Place".img_schedule_purge('1 2 3 4 5')});
ok($line =~ s/^In database "postgres": //, 'the hint says where');
$node->safe_psql('postgres', $line);
is($node->safe_psql('postgres', q{SELECT schedule, database, jobname FROM cron.job WHERE jobname LIKE 'imgapi%'}),
	q{1 2 3 4 5|it's|imgapi purge it's}, 'and what to type');
$node->safe_psql(q{it's}, $node->safe_psql('postgres', q{SELECT command FROM cron.job WHERE jobname LIKE 'imgapi%'}));
$line = hint(q{it's}, 'SELECT "Odd Place".img_schedule_purge(NULL)') =~ s/^In database "postgres": //r;
$node->safe_psql('postgres', $line);
is($node->safe_psql('postgres', 'SELECT jobname FROM cron.job'), 'mine', 'the same to end it');

# -------------------------------------------------------------------- without

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'imgapi'");
$node->restart;
fails_with($node, 'SELECT img_schedule_purge()', '0A000', qr/this server has no pg_cron.*imgapi\.auto_purge.*shared_preload_libraries = imgapi, pg_cron;.*CREATE EXTENSION pg_cron;/s,
	'without pg_cron');
$node->stop;
done_testing();
