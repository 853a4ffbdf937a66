# Keys, secret headers, signatures and the queries of URLs are for those whom
# they are sent to, and for nobody else.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use NetworkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = network_node('node', log_min_messages => 'debug1', log_statement => 'none', log_min_error_statement => 'panic',
	log_min_duration_statement => '-1', 'imgapi.auto_purge' => 'off');
my $web = web_server();

sub sql { return $node->safe_psql('postgres', $_[0]); }

my @secrets = ('KEYKEYKEY', 'SECRETSECRET', 'TOKENTOKEN', 'SESAMESESAME', 'QUERYQUERY', 'PATHPATH');
my $secret = qr/KEYKEYKEY|SECRETSECRET|TOKENTOKEN|SESAMESESAME|QUERYQUERY|Signature=[0-9a-f]{16}/;

# Said by users: the log of their statements is theirs.
sql(qq{CREATE SERVER store TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint '$web', bucket 'bucket', path_style 'true', timeout '2s');
	CREATE USER MAPPING FOR PUBLIC SERVER store OPTIONS (access_key_id 'KEYKEYKEY', secret_access_key 'SECRETSECRET', session_token 'TOKENTOKEN');
	CREATE SERVER pages TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '$web', timeout '2s');
	CREATE USER MAPPING FOR PUBLIC SERVER pages OPTIONS (secret_headers 'X-Key: SESAMESESAME');
	ALTER SERVER store OPTIONS (ADD allow_private 'true'); ALTER SERVER pages OPTIONS (ADD allow_private 'true')});
my @jobs;
foreach my $page ('status?code=403&', 'status?code=500&', 'broken?', 'gone?', 'html?', 'loop?', 'negative?', 'nonsense?', 'picture/a.png?',
	'empty?', 'redirect?to=http://169.254.169.254/QUERYQUERY?', 'redirect?to=file:///QUERYQUERY&', 'redirect?to=/status?code%3D404%26x%3DQUERYQUERY%26')
{
	push @jobs, fetch_job($node, web($page . 'token=QUERYQUERY'), 'max_attempts => 1');
}
push @jobs, fetch_job($node, 'http://no-such.invalid/?token=QUERYQUERY', 'max_attempts => 1'),
  fetch_job($node, web('a.png?QUERYQUERY', 'https'), 'max_attempts => 1');
foreach my $page ('status', 'broken', 'gone', 'picture/a.png', 'nonsense', 'drip')
{
	push @jobs, fetch_job($node, "storage://pages/$page", 'max_attempts => 1');
}
web_rule(method => 'PUT', path => 'PUT-403', do => 'status', code => 403,
	body => '<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><AWSAccessKeyId>KEYKEYKEY</AWSAccessKeyId><StringToSign>SECRETSECRET</StringToSign></Error>');
web_rule(method => 'PUT', path => 'PUT-302', do => 'status', code => 302, headers => { Location => '/elsewhere?QUERYQUERY' });
web_rule(method => 'PUT', path => 'PUT-hold', do => 'hold');
push @jobs, store_job($node, "storage://store/PUT-$_", 'max_attempts => 1') foreach '403', '302', 'fine';
my $held = store_job($node, 'storage://store/PUT-hold');
held(1, 'a request is under way');

# While it is: what other users see of us.
my $worker = worker_pid($node);
my ($fetcher) = fetchers($worker);
foreach my $pid ($worker, $fetcher, executors($worker))
{
	unlike(slurp_file("/proc/$pid/$_") =~ tr/\0/ /r, $secret, status_field($pid, 'Name') . ": nothing in its $_") foreach 'cmdline';
}
unlike(slurp_file("/proc/$fetcher/environ"), $secret, 'nor in the environment of the fetcher');
unlike(sql('SELECT string_agg(a::text, chr(10)) FROM pg_stat_activity a WHERE pid <> pg_backend_pid()'), $secret, 'pg_stat_activity');
release();

# A worker that is told to say all there is to say, and a fetcher that dies.
wait_job($node, $_) foreach @jobs, $held;
is(sql('SELECT count(*) > 15 FROM img_job_error'), 't', 'many jobs have failed');
unlike(sql('SELECT string_agg(e::text, chr(10)) FROM img_job_error e'), $secret, 'img_job_error');
unlike(sql('SELECT string_agg(concat_ws(chr(10), stage, error, error_code, warning), chr(10)) FROM img_job'), $secret, 'img_job, but for the input itself');
unlike(sql('SELECT string_agg(w::text, chr(10)) FROM img_worker w'), $secret, 'img_worker');
unlike(sql(q{SELECT string_agg(o::text, chr(10)) FROM img_object o WHERE storage <> 'url'}), $secret, 'img_object');
unlike(sql('SELECT string_agg(d::text, chr(10)) FROM img_delete d'), $secret, 'img_delete');
like(sql('SELECT string_agg(input, chr(10)) FROM img_job'), $secret, 'the input is as it was given');
is(sql(q{CREATE ROLE stranger LOGIN; SET ROLE stranger; SELECT count(*) FROM img_job}), 0, '… and no stranger sees it')
  if sql(q{SELECT has_table_privilege('public', 'img_job', 'SELECT')}) eq 't';

# They were needed.
my ($seen) = grep { ($_->{headers}{'x-key'} // '') eq 'SESAMESESAME' } @{ web_state()->{seen} };
ok($seen, 'the secret header was sent');
is(scalar(grep { ($_->{headers}{'x-key'} // '') ne '' && $_->{path} =~ /bucket/ } @{ web_state()->{seen} }), 0, '… to nobody else');
my ($put) = web_seen('PUT', qr/PUT-fine/);
like($put->{headers}{authorization}, qr/Credential=KEYKEYKEY\/.*Signature=[0-9a-f]{64}/, 'a request was signed');
is($put->{headers}{'x-amz-security-token'}, 'TOKENTOKEN', '… with the session token');
is(scalar(grep { grep { /SECRETSECRET/ } values %{ $_->{headers} } } @{ web_state()->{seen} }), 0, 'the secret itself was never sent');
is(scalar(web_seen('PUT', qr/elsewhere/)), 0, 'a signed request follows no redirect');

$node->stop;
my $log = slurp_file($node->logfile);
like($log, qr/DEBUG:/, 'the log says what there is to say');
unlike($log, $secret, '… and no secret');
done_testing();
