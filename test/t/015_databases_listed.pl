# imgapi.databases: no worker but in those that are named, as of a reload.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('listed', 'imgapi.databases' => 'postgres');
my $submit = 'SELECT img_submit(' . literal(small_png()) . q{, '{"resizing": {"width": 16}}')};
my $workers = q{SELECT string_agg(database, ',' ORDER BY database::text COLLATE "C") FROM img_worker WHERE database IS NOT NULL};

sub list
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET imgapi.databases = '$_[0]'");
	$node->reload;
}

$node->safe_psql('postgres', 'CREATE DATABASE other; CREATE DATABASE "Third One"');
$node->safe_psql($_, 'CREATE EXTENSION imgapi') foreach 'other', 'Third One';
my %job = map { $_ => $node->safe_psql($_, $submit) } 'other', 'Third One';
is(wait_job($node, submit($node, small_png())), 'DONE', 'jobs run in a database that is listed');
is($node->safe_psql('other', "SELECT img_wait('$job{other}', '100 ms')"), 'ACCEPTED', 'they wait in one that is not');
is($node->safe_psql('postgres', $workers), 'postgres', 'which has no worker');

list('postgres, other');
is($node->safe_psql('other', "SELECT img_wait('$job{other}', '30 s')"), 'DONE', 'once it is listed, and the server reloaded, they run');
poll_is($node, $workers, 'other,postgres', 'by a worker');
is($node->safe_psql('Third One', "SELECT img_wait('$job{'Third One'}', '100 ms')"), 'ACCEPTED', 'still not elsewhere');

list('postgres, "Third One"');
is($node->safe_psql('Third One', "SELECT img_wait('$job{'Third One'}', '30 s')"), 'DONE', 'names are those of SQL');
poll_is($node, $workers, 'Third One,postgres', 'a database that is not listed any more loses its worker');
my $waits = $node->safe_psql('other', $submit);
is($node->safe_psql('other', "SELECT img_wait('$waits', '100 ms')"), 'ACCEPTED', 'where jobs wait');

list('*');
is($node->safe_psql('other', "SELECT img_wait('$waits', '30 s')"), 'DONE', '* is all of them');

my ($status, $stdout, $stderr) = $node->psql('postgres', q{ALTER SYSTEM SET imgapi.databases = 'a b,,'});
isnt($status, 0, 'a list that is none is refused');
like($stderr, qr/not well formed.*HINT/s, 'with a hint');

$node->stop;
done_testing();
