# The dispatcher and the whole server are killed at every step of a job that takes
# a server several calls: it is submitted once.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use Test::More;

claid_server('steps_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'imgapi.allow_private_networks' => 'on');
claid($node, 'claid');
claid_in_steps($node);
my $yes = JSON::PP::true;

foreach my $how ([ 'the dispatcher', \&kill_dispatcher ], [ 'the server', \&kill_server ])
{
	my ($name, $kill) = @$how;
	my $killed = sub {
		my ($step, $end, $submits, %rule) = @_;
		return ends_after($node, "$name is killed while $step", $kill, sub { steps_job($node) }, $end, $submits, %rule);
	};

	$killed->('the picture is fetched', 'DONE', 1, call => 'source');
	$killed->("$_ is under way", 'DONE', 1, call => $_) foreach 'prepare', 'upload';
	$killed->('the answer to the upload is under way', 'DONE', 1, call => 'upload', act => $yes, drop => $yes);
	$killed->('the submit is under way', 'ERROR', 0, call => 'submit', drop => $yes);
	$killed->('the answer to the submit is under way', 'ERROR', 1, call => 'submit', act => $yes, drop => $yes);
	my $job = $killed->('one of the results is under way', 'DONE', 1, call => 'download');
	is(outputs($node, $job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… all of them');
	$job = $killed->('it is cleaned up', 'DONE', 1, call => 'clean');
	cleaned($node);
	is($node->safe_psql('postgres', "SELECT count(*) > 0 FROM img_remote_call WHERE job_id = '$job' AND method = 'DELETE' AND status = 204"), 't', '… by another');
}

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
$node->stop;
done_testing();
