# The dispatcher, the whole server, and the fetcher are killed at every step of a
# job that a server does: nothing is ever submitted twice.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

claid_server();
my $node = img_node('node', 'imgapi.executors' => 1);
claid($node, 'claid');

# Fetchers of the dispatcher; there is one once it has been needed.
sub fetchers
{
	my $parent = worker_pid($node);

	opendir(my $dir, '/proc') or die "could not read /proc: $!";
	return grep {
		/^\d+$/ && (status_field($_, 'Name') // '') eq 'imgapi-fetcher'
		  && !ended($_) && (status_field($_, 'PPid') // '') eq $parent
	} readdir $dir;
}

sub killed
{
	my ($how, $kill, $step, $end, $submits, %rule) = @_;

	return ends_after($node, "$how is killed while $step", $kill, sub { claid_job($node) }, $end, $submits, %rule);
}

is(wait_job($node, claid_job($node)), 'DONE', 'it works');

foreach my $how ([ 'the dispatcher', \&kill_dispatcher ], [ 'the server', \&kill_server ])
{
	my ($name, $kill) = @$how;
	my ($job, $before, $fetcher, $lock);

	killed($name, $kill, 'the submit is under way', 'ERROR', 0, call => 'submit', drop => JSON::PP::true);
	$job = killed($name, $kill, 'the answer to the submit is under way', 'ERROR', 1, call => 'submit', act => JSON::PP::true, drop => JSON::PP::true);
	is(remote($node, $job, 'state, remote_id'), 'unknown|', '… as img_remote says');
	killed($name, $kill, 'a poll is under way', 'DONE', 1, call => 'poll');
	killed($name, $kill, 'the result is under way', 'DONE', 1, call => 'download');

	# committed, but not sent
	is(wait_job($node, claid_job($node)), 'DONE', 'there is a fetcher');
	$before = submits();
	($fetcher) = fetchers();
	kill 'STOP', $fetcher;
	$job = claid_job($node);
	wait_state($node, $job, 'submitting');
	$kill->($node);
	kill 'KILL', $fetcher;
	is(wait_job($node, $job), 'ERROR', "$name is killed before the submit is sent: nobody knows");
	is(submits(), $before, '… and it is not sent');

	# answered, but not committed
	claid_rule(call => 'submit', hold => JSON::PP::true, times => 1);
	$job = claid_job($node);
	held(1, 'a submit is held');
	$lock = $node->background_psql('postgres');
	$lock->query_safe("BEGIN; SELECT state FROM img_remote WHERE job_id = '$job' FOR UPDATE");
	release();
	wait_until(sub { submits() == $before + 1 });
	$kill->($node);
	is(wait_job($node, $job), 'ERROR', "$name is killed before the answer is committed: nobody knows");
	is(submits(), $before + 1, '… and it is submitted once');
	eval { $lock->quit };
	forget();
}

# ---------------------------------------------------------------- the fetcher

my $before = submits();
claid_rule(call => 'submit', hold => JSON::PP::true, act => JSON::PP::true, drop => JSON::PP::true, times => 1);
my $job = claid_job($node);
held(1, 'a submit is held');
kill 'KILL', fetchers();
is(wait_job($node, $job), 'ERROR', 'the fetcher is killed while a submit is under way: nobody knows');
release();
is(submits(), $before + 1, '… and it is not sent again');
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$job = claid_job($node);
held(1, 'a poll is held');
kill 'KILL', fetchers();
is(wait_job($node, $job), 'DONE', 'while a poll is under way: it goes on');
release();

# ------------------------------------------------------- an orderly shutdown

$before = submits();
claid_rule(call => 'submit', hold => JSON::PP::true, times => 1);
$job = claid_job($node);
held(1, 'a submit is held');
system_or_bail('pg_ctl', '-D', $node->data_dir, '-m', 'fast', '-W', 'stop');
release();
ok(wait_until(sub { !-e $node->data_dir . '/postmaster.pid' }), 'the server stops');
$node->_update_pid(0);
$node->start;
is(wait_job($node, $job), 'DONE', 'a server that stops waits for the answer to a submit');
is(submits(), $before + 1, '… which is sent once');

$node->stop;
done_testing();
