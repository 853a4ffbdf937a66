# A standby serves links that were made on the primary; it makes none. A copy
# of the database has the key, a dump has not: links of before are refused.

use strict;
use warnings;
use FindBin;
use HTTP::Tiny;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $http = HTTP::Tiny->new;
my $primary = img_node('links_primary', streaming => 1);
$primary->safe_psql('postgres', "CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway')");
my $job = submit($primary, small_png());
is(wait_job($primary, $job), 'DONE', 'there is a picture');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('links_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $gateway = start_gateway($standby);
my ($link, $head) = links({ node => $primary, port => $gateway->{port} }, $job);
$primary->wait_for_catchup($standby);

my $answer = $http->get($link);
is($answer->{status}, 200, 'the standby opens a link');
is(unpack('H*', $answer->{content}), $primary->safe_psql('postgres', "SELECT encode(img_output('$job'), 'hex')"), 'and has the picture');
is($http->head($head)->{status}, 200, 'HEAD too');
is($http->get($head)->{status}, 403, 'and refuses what is not right');
fails_with($standby, "SELECT img_download('$job');", '25006', qr/recovery/, 'it makes no links');

$primary->safe_psql('postgres', 'SELECT img_rotate_link_key(revoke => true)');
$primary->wait_for_catchup($standby);
is($http->get($link)->{status}, 403, 'a revoked key counts there, too');

# A row that somebody keeps locked is asked for again later, not waited for.
$primary->safe_psql('postgres', qq{
	CREATE TABLE t (id int PRIMARY KEY, data bytea, thumb bytea);
	CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{}', 'thumb');
	INSERT INTO t VALUES (1, @{[literal(small_png())]});});
my $row = $primary->safe_psql('postgres', q{SELECT id FROM img_job WHERE source_table = 't'::regclass});
is(wait_job($primary, $row), 'DONE', 'a picture in a row');
my $home = start_gateway($primary);
my ($in_row) = links($home, $row);
my $session = $primary->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE t');
is($http->get($in_row)->{status}, 503, 'of a table that is locked');
$session->query_safe('COMMIT');
is($http->get($in_row)->{status}, 200, 'and then is not');
$session->quit;

# ---------------------------------------------------------------------- dump

($link) = links($home, $job);
is($http->get($link)->{status}, 200, 'a link');
stop_gateway($home);
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
$primary->command_ok([ 'pg_dump', '-Fc', '-f', $file, 'postgres' ], 'a dump');
$primary->safe_psql('postgres', 'CREATE DATABASE restored');
$primary->command_ok([ 'pg_restore', '-d', 'restored', $file ], 'is restored');
is($primary->safe_psql('restored', 'SELECT count(*) FROM img_link'), 0, 'without links');
is($primary->safe_psql('restored', 'SELECT count(*) FROM img_link_key'), 1, 'with a key');
isnt($primary->safe_psql('restored', 'SELECT secret FROM img_link_key'),
	$primary->safe_psql('postgres', 'SELECT secret FROM img_link_key'), 'of its own');
my ($path) = $link =~ m{^http://[^/]+(.*)};
$primary->safe_psql('restored', "SELECT img_grant_gateway('imgapi_gateway')");
my $copy = start_gateway($primary, database => join(' ', 'host=' . $primary->host, 'port=' . $primary->port, 'dbname=restored user=imgapi_gateway'));
is($http->get("http://127.0.0.1:$copy->{port}$path")->{status}, 403, 'the link does not open there');

stop_gateway($_) foreach $gateway, $copy;
$standby->stop;
$primary->stop;
done_testing();
