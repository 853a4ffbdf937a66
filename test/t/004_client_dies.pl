# A client that is killed while it submits: what it has committed runs, what it
# has not was never there.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = img_node('clients');
my $submit = 'img_submit(' . literal(small_png()) . q{, '{"resizing": {"width": 16}}')};

# A client that has printed some ids and goes on submitting; killed.
sub kill_while_submitting
{
	my ($statements) = @_;
	my $file = $node->basedir . '/statements.sql';
	append_to_file($file, $statements);
	my $client = $node->background_psql('postgres');
	my $backend = $client->query_safe('SELECT pg_backend_pid()');
	my $output = $client->query_until(qr/(?:^[0-9a-f-]{36}\n){100}/m, "\\i $file\n");
	unlink $file;

	$client->{run}->signal('KILL');
	eval { $client->{run}->finish };
	$output .= $client->{stdout};
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $backend)")
	  or die 'the backend did not notice';
	return $output =~ /^([0-9a-f-]{36})$/mg;
}

my @ids = kill_while_submitting("BEGIN;\n" . "SELECT $submit FROM generate_series(1, 20);\n" x 200);
cmp_ok(scalar(@ids), '>=', 100, 'a client had submitted jobs in one transaction');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_job'), 0, 'it is killed, and there is no job');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_object'), 0, 'and no picture');

@ids = kill_while_submitting("SELECT $submit;\n" x 4000);
my $known = join ', ', map { "'$_'" } @ids;
cmp_ok(scalar(@ids), '<', 4000, 'another client is killed in the middle of many transactions');
is($node->safe_psql('postgres', "SELECT count(*) FROM img_job WHERE id IN ($known)"), scalar(@ids),
	'every job that it was told of is there');
poll_is($node, q{SELECT count(*) FROM img_job WHERE status <> 'DONE'}, 0, 'and all run');
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM img_job) = (SELECT count(*) FROM img_object WHERE role = 'output')}),
	't', 'each to one result');

$node->stop;
done_testing();
