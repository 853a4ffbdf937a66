# The dispatcher and the whole server are killed while some jobs are done, some
# are with executors and some wait: all end as DONE, each is written once.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 300;
my $node = img_node('crashing');
photo_table($node);

# Loads rows and waits until, with one executor held back, others have been
# written. Returns all executors of the server.
sub half_done
{
	my ($from) = @_;
	my $to = $from + $jobs - 1;
	my $picture = literal(small_png());
	my ($held) = executors(worker_pid($node));

	kill 'STOP', $held;
	wait_until(sub { stopped($held) }) or die "executor $held did not stop";
	$node->safe_psql('postgres', "INSERT INTO photo SELECT n, n, $picture FROM generate_series($from, $to) n");
	poll_is($node, "SELECT count(*) >= 20 FROM photo WHERE thumb IS NOT NULL AND id >= $from", 't', 'some jobs are done');
	cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM img_job WHERE status = 'PROCESSING'}),
		'>', 0, 'others are with an executor');
	return server_executors($node);
}

sub all_is_well
{
	my ($to, $executors) = @_;

	ok(wait_until(sub { !grep { alive($_) } @$executors }, 10), 'the executors of the dead server are gone');
	poll_is($node, 'SELECT count(*) FROM photo WHERE thumb IS NULL', 0, 'every picture has its thumbnail');
	poll_is($node, 'SELECT status, count(*) FROM img_job GROUP BY status', "DONE|$to", 'every job is DONE');
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM written'), "$to|$to",
		'every thumbnail was written once');
	is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT job_id) FROM img_object WHERE role = 'output'}),
		"$to|$to", 'and recorded once');
	is($node->safe_psql('postgres', 'SELECT max(attempts) FROM img_job'), 1, 'no job lost an attempt');
}

# --------------------------------------------------- kill -9 the dispatcher

my @executors = half_done(1);
my $dispatcher = worker_pid($node);
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
kill 'KILL', $dispatcher;
ok(wait_until(sub { ended($dispatcher) }), 'the dispatcher is dead');
$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM img_worker WHERE database = 'postgres' AND pid <> $dispatcher)")
  or die 'no dispatcher came';
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server came back by itself');
all_is_well($jobs, \@executors);

# --------------------------------------------------- kill -9 the postmaster

wait_dispatcher($node);
@executors = half_done($jobs + 1);
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
$node->kill9;
ok(wait_until(sub { !grep { alive($_) } @executors }, 5), 'the executors die with the postmaster');
# A zombie still counts as a running server.
wait_until(sub { !-e "/proc/$postmaster" }) or die "postmaster $postmaster did not go";
$node->start;
wait_dispatcher($node);
all_is_well(2 * $jobs, \@executors);

# -------------------------------------------------------- immediate shutdown

@executors = half_done(2 * $jobs + 1);
$node->stop('immediate');
$node->start;
wait_dispatcher($node);
all_is_well(3 * $jobs, \@executors);

$node->stop;
done_testing();
