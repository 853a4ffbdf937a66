# Servers and user mappings survive pg_dump, and are checked without a worker.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Nothing is preloaded: the checks come with the extension alone.
my $node = PostgreSQL::Test::Cluster->new('node');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "log_statement = 'none'");
$node->start;
$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE EXTENSION imgapi;
	CREATE ROLE app LOGIN;
	GRANT USAGE ON FOREIGN DATA WRAPPER imgapi TO app;
	CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi
		OPTIONS (endpoint 'http://10.0.0.1:9000', bucket 'photos', path_style 'true', allow_private 'true', prefix 'of app/');
	CREATE USER MAPPING FOR app SERVER photos OPTIONS (access_key_id 'key', secret_access_key 'do not tell');
	GRANT USAGE ON FOREIGN SERVER photos TO app;
	SET ROLE app;
	CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com');
	CREATE USER MAPPING FOR PUBLIC SERVER web OPTIONS (secret_headers 'X-Key: do not tell');});
fails_with($node, q{CREATE SERVER broken TYPE 's3' FOREIGN DATA WRAPPER imgapi}, 'HV002', qr/option "bucket" is missing/,
	'a server that cannot work is refused without shared_preload_libraries');

my $link = q{SELECT img_storage_presign('photos', 'a.jpg', at => '2026-01-01', role => 'app')};
my $before = $node->safe_psql('postgres', $link);
like($before, qr{^http://10\.0\.0\.1:9000/photos/of%20app/a\.jpg\?.*Signature=}, 'links are made');

foreach my $format ('plain', 'custom')
{
	my $dump = $node->basedir . "/dump.$format";

	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $dump, $node->connstr('postgres') ], "pg_dump, $format");
	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS restored");
	$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
	$node->command_ok($format eq 'plain' ? [ 'psql', '-v', 'ON_ERROR_STOP=1', '-qf', $dump, $node->connstr('restored') ]
		: [ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], '… and back');
	is($node->safe_psql('restored', $link), $before, '… the same links');
	is($node->safe_psql('restored', 'SELECT name, type, mapped FROM img_server ORDER BY name'), "photos|s3|f\nweb|http|t", '… all servers');
}

# Who may read everything but is no superuser gets no keys, and that is restored
# too.
my $dump = $node->basedir . '/dump.archivist';
$node->safe_psql('postgres', 'CREATE ROLE archivist LOGIN BYPASSRLS IN ROLE pg_read_all_data');
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') . ' user=archivist' ], 'pg_dump by an archivist');
like(slurp_file($dump), qr/CREATE USER MAPPING FOR app SERVER photos;/, '… has the user mappings');
unlike(slurp_file($dump), qr/do not tell/, '… and not what is in them');
$node->safe_psql('postgres', 'DROP DATABASE restored');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-v', 'ON_ERROR_STOP=1', '-qf', $dump, $node->connstr('restored') ], '… and back');
my ($status, $stdout, $stderr) = $node->psql('restored', $link);
like($stderr, qr/option "access_key_id" is missing.*\n.*\n.*ALTER USER MAPPING FOR app SERVER photos OPTIONS/, '… and says what is missing when it is used');

$node->stop;
is(count_log($node, qr/do not tell/), 0, 'no secret is in the log');
done_testing();
