# An executor that dies costs one attempt of one job, or one call, and nothing
# else.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('mortal', 'imgapi.executors' => 1);
slow_table($node);
my $dispatcher = worker_pid($node);
my @seen = server_executors($node);

is(scalar(@seen), 2, 'an executor each for dispatcher and pool');

my $innocent = $node->background_psql('postgres');
$innocent->query_safe('CREATE TABLE mine (a int); BEGIN; INSERT INTO mine VALUES (1)');
my $innocent_pid = $innocent->query_safe('SELECT pg_backend_pid()');

# Ends the dispatcher's executor by a signal, and waits for the next one.
sub kill_executor
{
	my ($signal) = @_;
	my ($old) = executors($dispatcher);

	kill $signal, $old or die "no executor to kill";
	kill 'CONT', $old;
	wait_until(sub { my @now = executors($dispatcher); @now == 1 && $now[0] != $old })
	  or die "no executor came after $old";
	push @seen, executors($dispatcher);
	wait_dispatcher($node);
}

# Holds the executor before it can answer anything.
sub stop_executor
{
	my ($pid) = executors($dispatcher);

	kill 'STOP', $pid;
	wait_until(sub { stopped($pid) }) or die "executor $pid did not stop";
}

# ------------------------------------------- SIGSEGV, with a queue behind it

stop_executor();
my $picture = literal(small_png());
my ($victim, @neighbours) = split /\n/, $node->safe_psql('postgres', qq{
	SELECT img_submit($picture, '{"resizing": {"width": 16}}', priority => (n > 1)::int, max_attempts => 3)
	FROM generate_series(1, 12) n});
poll_is($node, q{SELECT count(*) > 2 FROM img_job WHERE status = 'PROCESSING'}, 't',
	'several jobs are with the executor');
kill_executor('SEGV');
is(wait_job($node, $_), 'DONE', 'a neighbour is done') foreach $neighbours[0], $neighbours[-1];
is($node->safe_psql('postgres', q{SELECT count(*), min(attempts), max(attempts) FROM img_job WHERE priority = 1 AND status = 'DONE'}),
	'11|1|1', 'no neighbour has lost an attempt');
job_is($node, $victim, 'status, attempts, error_code', 'ACCEPTED|1|58000', 'the victim waits for its second attempt');
is(wait_job($node, $victim), 'DONE', 'which is successful');
job_is($node, $victim, 'attempts', 2, 'two attempts were counted');
is($node->safe_psql('postgres', "SELECT attempt, transient, sqlstate, stage FROM img_job_error WHERE job_id = '$victim'"),
	'1|t|58000|executor', 'the lost attempt is on record');

# ----------------------------------- SIGKILL, until the attempts are used up

stop_executor();
$victim = submit($node, small_png(), '{"resizing": {"width": 16}}', 'max_attempts => 2');
poll_is($node, qq{SELECT img_status('$victim')}, 'PROCESSING', 'the victim is with the executor');
kill_executor('KILL');
poll_is($node, qq{SELECT img_status('$victim')}, 'ACCEPTED', 'it waits again');
stop_executor();
poll_is($node, qq{SELECT img_status('$victim'), attempts FROM img_job WHERE id = '$victim'}, 'PROCESSING|2',
	'it is with the next executor');
kill_executor('KILL');
is(wait_job($node, $victim), 'ERROR', 'two attempts were all it had');
job_is($node, $victim, 'attempts, error_code, stage', '2|58000|executor', 'its row says so');
like(job($node, $victim, 'error'), qr/executor died .*killed by signal 9/, 'and why');
is($node->safe_psql('postgres', "SELECT array_agg(attempt ORDER BY attempt) FROM img_job_error WHERE job_id = '$victim'"),
	'{1,2}', 'both failures are on record');

# -------------------------------------------------------- truly in mid-work

$victim = $node->safe_psql('postgres', 'SELECT ' . slow_submit('max_attempts => 1'));
poll_is($node, qq{SELECT img_status('$victim')}, 'PROCESSING', 'a long job runs');
my ($busy) = executors($dispatcher);
ok(wait_until(sub { cpu($busy) > 0.2 }), 'its executor works on it');
kill_executor('ABRT');
is(wait_job($node, $victim), 'ERROR', 'it ends as ERROR after its only attempt');
like(job($node, $victim, 'error'), qr/killed by signal 6/, 'naming the signal');

# ------------------------------------------------------ immediate functions

my $launcher = launcher_pid($node);
my ($pool) = executors($launcher);
my $caller = $node->background_psql('postgres', on_error_stop => 0);
my $before = cpu($pool);
$caller->query_until(qr/called/, "\\set VERBOSITY verbose\n\\echo called\n"
	  . 'SELECT ' . slow_edit() . ";\n");
ok(wait_until(sub { cpu($pool) > $before + 0.2 }), 'an executor of the pool works for a session');
kill 'SEGV', $pool;
my $answer = $caller->query('SELECT 42');
is($answer, 42, 'the session goes on');
like($caller->{stderr}, qr/ERROR:  58000: the image executor died/, 'its call has failed, saying why');
$caller->{stderr} = '';
ok(wait_until(sub { my @now = executors($launcher); @now == 1 && $now[0] != $pool }), 'the pool has a new executor');
push @seen, executors($launcher);
is($caller->query_safe("SELECT (img_info($picture)).width"), 64, 'which serves the same session');
$caller->quit;

# ------------------------------------------------------------------- nobody

is($innocent->query_safe('INSERT INTO mine VALUES (2); COMMIT; SELECT count(*), pg_backend_pid() FROM mine'),
	"2|$innocent_pid", 'a session idle in its transaction has not noticed');
$innocent->quit;
is(worker_pid($node), $dispatcher, 'nor has the dispatcher');
is(count_log($node, qr/terminating any other active server processes/), 0, 'the server has not been reset');
my %current = map { $_ => 1 } server_executors($node);
is(scalar(keys %current), 2, 'as many executors as before');
is_deeply([ grep { !$current{$_} && alive($_) } @seen ], [], 'and none is left behind');
$node->stop;
ok(wait_until(sub { !grep { alive($_) } @seen }, 5), 'all have gone with the server');

done_testing();
