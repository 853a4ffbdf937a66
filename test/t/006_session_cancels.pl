# While executors spin or hang, cancelling, time-outs and shutdowns are answered
# within a second, and no job is lost.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('patient', 'imgapi.executors' => 1);
slow_table($node);
my $slow = slow_edit();
my ($pool) = executors(launcher_pid($node));

# A session that has begun a statement, and the pid of its backend.
sub busy_session
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $backend = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_until(qr/begun/, "\\set VERBOSITY verbose\n\\echo begun\n$statement;\n");
	$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $backend")
	  or die 'the statement did not begin';
	return ($session, $backend);
}

sub pool_works { return wait_until(sub { cpu($pool) > $_[0] + 0.2 }); }

# Seconds until the session has answered with that error.
sub answer_after
{
	my ($act, $session, $regexp, $name) = @_;
	my $stderr;
	my $seconds = seconds {
		$act->();
		$session->query('SELECT 1');
		$stderr = $session->{stderr};
	};

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($stderr, $regexp, $name);
	cmp_ok($seconds, '<', 1, '… within a second');
	$session->{stderr} = '';
	$session->quit;
}

# --------------------------------------------------------- img_edit(): spins

my $used = cpu($pool);
my ($session, $backend) = busy_session("SELECT $slow");
ok(pool_works($used), 'an executor of the pool spins for a session');
answer_after(sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($backend)") },
	$session, qr/ERROR:  57014/, 'pg_cancel_backend() stops img_edit()');
ok(wait_until(sub { $node->psql('postgres', 'SELECT img_info(' . literal(small_png()) . ')', timeout => 5) == 0 }, 5),
	'the executor serves the next session');
my ($stdout, $stderr);
my $seconds = seconds {
	$node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '300ms';\nSELECT $slow", stderr => \$stderr);
};
like($stderr, qr/ERROR:  57014.*statement timeout/, 'statement_timeout stops img_edit()');
cmp_ok($seconds, '<', 1.3, '… within a second');

# ------------------------------------------------- img_edit(): pool is stuck

($pool) = executors(launcher_pid($node));
kill 'STOP', $pool;
$seconds = seconds {
	$node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '300ms';\nSELECT $slow", stderr => \$stderr);
};
like($stderr, qr/ERROR:  57014/, 'statement_timeout stops img_edit() when nobody answers');
cmp_ok($seconds, '<', 1.3, '… within a second');
($session, $backend) = busy_session("SELECT $slow");
$seconds = seconds {
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($backend)");
	wait_until(sub { ended($backend) });
};
cmp_ok($seconds, '<', 1, 'pg_terminate_backend() ends it within a second');
eval { $session->quit };
kill 'CONT', $pool;

# ----------------------------------------------------------------- img_wait()

my $dispatcher = worker_pid($node);
my ($executor) = executors($dispatcher);
my $job = $node->safe_psql('postgres', 'SELECT ' . slow_submit());
ok(wait_until(sub { cpu($executor) > 0.3 }), 'an executor spins with a job');
($session, $backend) = busy_session("SELECT img_wait('$job', '1 hour')");
answer_after(sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($backend)") },
	$session, qr/ERROR:  57014/, 'pg_cancel_backend() stops img_wait()');
$seconds = seconds {
	$node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '300ms';\nSELECT img_wait('$job')", stderr => \$stderr);
};
like($stderr, qr/ERROR:  57014.*statement timeout/, 'statement_timeout stops img_wait()');
cmp_ok($seconds, '<', 1.3, '… within a second');
$seconds = seconds { is(wait_job($node, $job, 0.1), 'PROCESSING', 'its own time limit ends it without an error') };
cmp_ok($seconds, '<', 1, '… within a second');

# A cancelled job answers whoever waits for it.
($session, $backend) = busy_session("SELECT img_wait('$job', '1 hour')");
my $status;
$seconds = seconds {
	$node->safe_psql('postgres', "SELECT img_cancel('$job')");
	$status = $session->query('SELECT 1');
};
like($status, qr/CANCELLED/, 'img_cancel() answers img_wait()');
cmp_ok($seconds, '<', 1, '… within a second');
$session->quit;

# ------------------------------------------- pg_terminate_backend, dispatcher

# Cancelling ends the executor at work.
poll_is($node, q{SELECT state, executors FROM img_worker WHERE database = 'postgres'}, 'idle|1',
	'a new executor is there');
($executor) = executors($dispatcher);
kill 'STOP', $executor;
my @jobs = map { submit($node, small_png($_)) } 1 .. 5;
$seconds = seconds {
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($dispatcher)");
	wait_until(sub { ended($dispatcher) });
};
cmp_ok($seconds, '<', 1, 'a dispatcher with a busy executor leaves within a second');
ok(wait_until(sub { ended($executor) }, 2), 'and its executor with it');
$dispatcher = wait_dispatcher($node, 'postgres', $dispatcher);
ok($dispatcher, 'it comes back');
is(wait_job($node, $_), 'DONE', 'no job is lost') foreach @jobs;
is($node->safe_psql('postgres', q{SELECT max(attempts) FROM img_job WHERE status = 'DONE'}), 1, 'nor an attempt');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_job_error'), 0, 'nor is there anything to report');

# ------------------------------------------------------------------ shutdown

foreach my $mode ('fast', 'immediate')
{
	$dispatcher = wait_dispatcher($node);
	($executor) = executors($dispatcher);
	($pool) = executors(launcher_pid($node));
	$used = cpu($pool);
	$job = $node->safe_psql('postgres', 'SELECT ' . slow_submit());
	($session, $backend) = busy_session("SELECT $slow");
	ok(pool_works($used), "$mode shutdown: pool at work");
	ok(wait_until(sub { cpu($executor) > 0.2 }), 'dispatcher at work');
	$seconds = seconds { $node->stop($mode) };
	cmp_ok($seconds, '<', 3, "… the server is down within seconds");
	ok(wait_until(sub { !alive($executor) && !alive($pool) }, 2), '… and its executors');
	eval { $session->quit };
	$node->start;
	poll_is($node, "SELECT status, attempts FROM img_job WHERE id = '$job'", 'PROCESSING|1', '… the job is taken up again');
	$node->safe_psql('postgres', "SELECT img_cancel('$job')");
	# which ends the executor that works on it: the next round starts with a new one
	poll_is($node, q{SELECT state, executors FROM img_worker WHERE database = 'postgres'}, 'idle|1',
		'… and given up when it is cancelled');
}

$node->stop('immediate');
done_testing();
