# Without preloading: immediate functions work, jobs wait and say so. They run
# once the server has been restarted with imgapi preloaded.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('plain', shared_preload_libraries => '');
my ($stdout, $stderr, $status);

$node->start;

($status, $stdout, $stderr) = $node->psql('postgres', 'CREATE EXTENSION imgapi');
is($status, 0, 'CREATE EXTENSION works without preloading');
like($stderr, qr/WARNING: .*not in shared_preload_libraries/, 'and warns');
like($stderr, qr/HINT: .*ALTER SYSTEM SET shared_preload_libraries = 'imgapi'/, 'with the line to type');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_worker'), 0, 'there is no worker');

my $picture = literal(png(60, 40));
is($node->safe_psql('postgres', "SELECT (img_info($picture)).width"), 60, 'img_info() works');
is($node->safe_psql('postgres', "SELECT (img_info(img_thumbnail($picture, 30))).height"),
	20, 'img_thumbnail() works');

# A session's own executor serves it again and again, and ends with it.
my $session = $node->background_psql('postgres');
my $backend = $session->query_safe('SELECT pg_backend_pid()');
$session->query_safe("SELECT length(img_thumbnail($picture, 30))");
my @first = executors($backend);
$session->query_safe("SELECT length(img_thumbnail($picture, 20))");
is(scalar(@first), 1, 'the session has an executor of its own');
is_deeply([ executors($backend) ], \@first, 'which serves the next call too');
$session->quit;
ok(wait_until(sub { ended($first[0]) }, 5), 'and ends with the session');

# What only the server's start may set, a session cannot set before the library
# is there to say so.
$session = $node->background_psql('postgres', on_error_stop => 0);
$backend = $session->query("SET imgapi.sandbox = off; SELECT pg_backend_pid()");
$session->query("SELECT length(img_thumbnail($picture, 30))");
my ($own) = executors($backend);
is(status_field($own, 'Seccomp'), 2, 'a user cannot take the sandbox from an executor');
$session->quit;

($status, $stdout, $stderr) = $node->psql('postgres', "SELECT img_submit($picture, '{\"resizing\": {\"width\": 16}}')");
is($status, 0, 'img_submit() works');
like($stderr, qr/WARNING: .*jobs will wait/, 'and warns that the job will wait');
my $job = $stdout;
is($node->safe_psql('postgres', "SELECT img_wait('$job', '100 ms')"), 'ACCEPTED', 'it waits');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'imgapi'");
$node->restart;
is(wait_job($node, $job), 'DONE', 'it runs after a restart with preloading');
is($node->safe_psql('postgres', "SELECT (img_info(img_output('$job'))).width"), 16, 'and has its result');

($status, $stdout, $stderr) = $node->psql('postgres', 'DROP EXTENSION imgapi; CREATE EXTENSION imgapi');
is($status, 0, 'CREATE EXTENSION works with preloading');
unlike($stderr, qr/WARNING/, 'and does not warn');

$node->stop;
done_testing();
