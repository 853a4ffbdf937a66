# Dispatchers are sessions of their databases, and yet nobody has to know of
# them to drop, rename or copy a database, or to drop the extension.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('databases', max_worker_processes => 30);
my $quick = 'SELECT img_submit(' . literal(small_png()) . q{, '{"resizing": {"width": 16}}')};
my $limit = 5;

slow_table($node, 'template1');

sub statement_works
{
	my ($database, $statement, $name) = @_;
	my ($status, $stderr);
	my $seconds = seconds { $status = $node->psql($database, $statement, stderr => \$stderr) };

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status, 0, $name) or diag $stderr;
	cmp_ok($seconds, '<', $limit, '… promptly');
}

# A database with a dispatcher that is idle or busy; its executors.
sub database
{
	my ($name, $busy) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION imgapi');
	my $dispatcher = wait_dispatcher($node, $name);
	my @executors = executors($dispatcher);
	if ($busy)
	{
		$node->safe_psql($name, 'SELECT ' . slow_submit());
		wait_until(sub { grep { cpu($_) > 0.4 } @executors }) or die 'the executor does nothing';
	}
	return @executors;
}

foreach my $busy (0, 1)
{
	my $state = $busy ? 'busy' : 'idle';
	my @executors = database('dropped', $busy);

	statement_works('postgres', 'DROP DATABASE dropped', "DROP DATABASE, dispatcher $state");
	ok(wait_until(sub { !grep { alive($_) } @executors }, 2), '… its executors are gone');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM img_worker WHERE database = 'dropped' OR (database IS NULL AND inflight > 0)}),
		0, '… and its worker');

	@executors = database("moved_$state", $busy);
	statement_works('postgres', "ALTER DATABASE moved_$state RENAME TO renamed_$state", "ALTER DATABASE … RENAME, dispatcher $state");
	wait_dispatcher($node, "renamed_$state");
	my $job = $node->safe_psql("renamed_$state", $quick);
	if ($busy)
	{
		is($node->safe_psql("renamed_$state", q{SELECT count(*), max(attempts) FROM img_job WHERE status = 'PROCESSING' AND request ? 'output'}),
			'1|1', '… the job that it was busy with runs again');
		$node->safe_psql("renamed_$state", q{SELECT img_cancel(id) FROM img_job WHERE request ? 'output'});
	}
	is($node->safe_psql("renamed_$state", "SELECT img_wait('$job', '60 s')"), 'DONE', '… jobs run under the new name');

	database("original_$state", $busy);
	$node->safe_psql("original_$state", "SET imgapi.max_attempts = 7; " . $quick =~ s/\)$/, run_after => now() + '1 day')/r);
	statement_works('postgres', "CREATE DATABASE copy_$state TEMPLATE original_$state", "CREATE DATABASE … TEMPLATE, dispatcher $state");
	is($node->safe_psql("copy_$state", 'SELECT count(*) FROM img_job WHERE max_attempts = 7'), 1, '… the copy has the jobs');
	$node->safe_psql("copy_$state", q{SELECT img_cancel(id) FROM img_job WHERE request ? 'output'});
	$job = $node->safe_psql("copy_$state", $quick);
	is($node->safe_psql("copy_$state", "SELECT img_wait('$job', '60 s')"), 'DONE', '… jobs run in the copy');
	ok(wait_dispatcher($node, "original_$state"), '… and the original has its dispatcher again');
	$node->safe_psql('postgres', "DROP DATABASE $_") foreach "renamed_$state", "original_$state", "copy_$state";
}

# ------------------------------------------------------------ DROP EXTENSION

foreach my $busy (0, 1)
{
	my $state = $busy ? 'busy' : 'idle';
	my @executors = database("left_$state", $busy);
	my $dispatcher = worker_pid($node, "left_$state");

	statement_works("left_$state", 'DROP EXTENSION imgapi', "DROP EXTENSION, dispatcher $state");
	ok(wait_until(sub { !alive($dispatcher) && !grep { alive($_) } @executors }, 2), '… it leaves, and its executors');
	statement_works("left_$state", 'CREATE EXTENSION imgapi', '… CREATE EXTENSION again');
	my $job = $node->safe_psql("left_$state", $quick);
	is($node->safe_psql("left_$state", "SELECT img_wait('$job', '60 s')"), 'DONE', '… and jobs run');
	$node->safe_psql("left_$state", 'CREATE SCHEMA other; DROP EXTENSION imgapi; CREATE EXTENSION imgapi SCHEMA other');
	$job = $node->safe_psql("left_$state", "SET search_path = other, public; $quick");
	is($node->safe_psql("left_$state", "SELECT other.img_wait('$job', '60 s')"), 'DONE', '… in another schema too');
	$node->safe_psql('postgres', "DROP DATABASE left_$state");
}

# --------------------------------------------------------- many databases

my @names = map { "many_$_" } 1 .. 10;
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach @names;
$node->safe_psql($_, "CREATE EXTENSION imgapi; $quick FROM generate_series(1, 20)") foreach @names;
poll_is($node, q{SELECT count(*) FROM img_job WHERE status = 'DONE'}, 20, "jobs of $_ run", $_) foreach @names;
is($node->safe_psql('postgres', q{SELECT count(DISTINCT pid) FROM img_worker WHERE database LIKE 'many%'}), 10,
	'each of ten databases has its dispatcher');
$node->safe_psql('postgres', "DROP DATABASE $_") foreach @names;
is($node->safe_psql('postgres', q{SELECT string_agg(COALESCE(database, 'launcher'), ',' ORDER BY 1) FROM img_worker}),
	'launcher,postgres', 'when they are gone, none is left');

$node->stop;
done_testing();
