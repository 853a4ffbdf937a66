# Addresses that a database must not be talked into reaching.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use NetworkTest;
use Test::More;

my $node = img_node('node', 'imgapi.executors' => 1);
my $web = web_server();
my ($port) = $web =~ /:(\d+)$/;

sub sql { return $node->safe_psql('postgres', $_[0]); }

my %hosts = (
	'127.0.0.1' => 'loopback', 'localhost' => 'loopback', '127.1' => 'loopback',
	'2130706433' => 'loopback', '0x7f000001' => 'loopback', '0177.0.0.1' => 'loopback', '127.0.0.1.' => undef,
	'[::1]' => 'loopback', '[::ffff:127.0.0.1]' => 'loopback', '[::ffff:7f00:1]' => 'loopback', '[::127.0.0.1]' => 'loopback',
	'[64:ff9b::7f00:1]' => 'loopback', '[64:ff9b::a9fe:a9fe]' => 'link-local', '[2002:7f00:1::]' => 'loopback',
	'0.0.0.0' => 'unspecified', '[::]' => 'unspecified',
	'10.1.2.3' => 'private', '172.16.0.1' => 'private', '192.168.1.1' => 'private', '100.64.0.1' => 'carrier-grade NAT',
	'169.254.169.254' => 'link-local', '2852039166' => 'link-local', '[fe80::1]' => 'link-local', '[fd00:ec2::254]' => 'unique local',
	'224.0.0.1' => 'multicast', '255.255.255.255' => 'broadcast', '198.18.0.1' => 'benchmark', '192.0.2.1' => 'documentation');

# All at once, one attempt each: what is refused once is refused for good.
my %job = map { $_ => fetch_job($node, "http://$_:$port/picture/a.png", 'max_attempts => 2') } sort keys %hosts;
foreach my $host (sort keys %hosts)
{
	my $kind = $hosts{$host};

	is(wait_job($node, $job{$host}), 'ERROR', "http://$host is refused");
	next unless defined $kind;
	is(sql("SELECT sqlstate, stage, transient FROM img_job_error WHERE job_id = '$job{$host}'"), '42501|policy|f', '… by policy, for good');
	like(job($node, $job{$host}, 'error'), qr/may not be reached: .* is not a public address \(\Q$kind\E\)/, "… which is named: $kind");
	like(sql("SELECT hint FROM img_job_error WHERE job_id = '$job{$host}'"), qr/allow_private.*imgapi\.allow_private_networks/, '… and who may allow it');
}
is_deeply(web_state()->{seen}, [], 'no request was made');

# The same of servers.
sql(qq{CREATE SERVER indoors TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '$web')});
my $id = fetch_job($node, 'storage://indoors/picture/a.png');
is(wait_job($node, $id), 'ERROR', 'a server on a private address is refused');
job_is($node, $id, 'error_code, stage', '42501|policy', '… by policy');
sql(qq{CREATE SERVER store TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint '$web', bucket 'bucket', path_style 'true');
	CREATE USER MAPPING FOR PUBLIC SERVER store OPTIONS (access_key_id 'key', secret_access_key 'secret')});
$id = submit($node, small_png(), undef, q{'{"destination": "storage://store/a.png"}'});
is(wait_job($node, $id), 'ERROR', '… also for writing');
like(job($node, $id, 'error_code, stage, error'), qr/^42501\|.*loopback/, '… by policy');
is_deeply(web_state()->{seen}, [], 'no request was made');

# Who may allow it.
sql(q{CREATE ROLE maker LOGIN; GRANT USAGE ON FOREIGN DATA WRAPPER imgapi TO maker});
fails_with($node, "SET ROLE maker; CREATE SERVER mine TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '$web', allow_private 'true')",
	'42501', qr/permission denied to use option "allow_private"/, 'allow_private is for administrators');
fails_with($node, "SET ROLE maker; ALTER SYSTEM SET imgapi.allow_private_networks = on", '42501', qr/permission denied/, 'and so is imgapi.allow_private_networks');
sql(qq{SET ROLE maker; CREATE SERVER mine TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '$web')});
fails_with($node, q{SET ROLE maker; ALTER SERVER mine OPTIONS (ADD allow_private 'true')},
	'42501', qr/permission denied to use option "allow_private"/, '… later too');

# One server.
sql(q{ALTER SERVER indoors OPTIONS (ADD allow_private 'true')});
is(wait_job($node, fetch_job($node, 'storage://indoors/picture/a.png')), 'DONE', 'an administrator allows it for a server');
is(wait_job($node, fetch_job($node, "$web/picture/a.png")), 'ERROR', '… for no other URL');

# All.
sql(q{ALTER SYSTEM SET imgapi.allow_private_networks = on});
$node->reload;
ok(wait_until(sub { wait_job($node, fetch_job($node, "$web/picture/a.png")) eq 'DONE' }, 10), 'or for all');

$node->stop;
done_testing();
