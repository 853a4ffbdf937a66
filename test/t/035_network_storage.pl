# Storages that refuse, are away, or change while jobs are under way.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use NetworkTest;
use S3Test;
use Test::More;

my $node = network_node('node', log_statement => 'none', log_min_error_statement => 'panic');
my $web = web_server();

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub fails_as
{
	my ($id, $code, $stage, $transient, $message, $hint, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $name => sub {
		is(wait_job($node, $id), 'ERROR', 'the job fails');
		job_is($node, $id, 'error_code, stage', "$code|$stage", 'SQLSTATE and stage');
		is(sql("SELECT transient FROM img_job_error WHERE job_id = '$id' LIMIT 1"), $transient, 'tried again?');
		like(job($node, $id, 'error'), $message, 'message');
		like(sql("SELECT hint FROM img_job_error WHERE job_id = '$id' LIMIT 1"), $hint, 'hint') if $hint;
	};
}

# --------------------------------------------- a server that checks keys

my $ceph = s3_server('ceph');
s3_connect($node, $ceph, 'photos');
status_is(s3_sign($node, 'photos', 'PUT'), 200, 'a bucket is made');
status_is(s3_call($node, 'photos', 'put', 'a.png', small_png()), 200, '… with a picture');
s3_connect($node, $ceph, 'forged', mapping => { secret_access_key => 'hush-wrong' });
s3_connect($node, $ceph, 'unknown', mapping => { access_key_id => 'nobody' });
s3_connect($node, $ceph, 'nowhere', bucket => 'nowhere');

fails_as(fetch_job($node, 'storage://photos/b.png'), '02000', 'status', 'f', qr/server "photos" answered 404 NoSuchKey/, qr/no such object/, 'no such object');
fails_as(fetch_job($node, 'storage://nowhere/a.png'), '02000', 'status', 'f', qr/NoSuchBucket/, qr/Create the bucket/, 'reading: the bucket is gone');
fails_as(store_job($node, 'storage://nowhere/b.png'), '02000', 'store', 'f', qr/NoSuchBucket/, qr/Create the bucket/, 'writing: the bucket is gone');
fails_as(fetch_job($node, 'storage://forged/a.png'), '28000', 'status', 'f', qr/SignatureDoesNotMatch/, qr/secret_access_key/, 'reading: a wrong secret');
fails_as(store_job($node, 'storage://forged/b.png'), '28000', 'store', 'f', qr/SignatureDoesNotMatch/, qr/secret_access_key/, 'writing: a wrong secret');
fails_as(fetch_job($node, 'storage://unknown/a.png'), '28000', 'status', 'f', qr/InvalidAccessKeyId/, qr/access_key_id/, 'a key that nobody has');
status_is(s3_call($node, 'photos', 'head', 'b.png'), 404, 'nothing has been written');

# ------------------------------------------- one that says what it is told

bucket($node, 'told');
my $error = '<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message>%s</Error>';

web_rule(method => 'PUT', path => 'denied', do => 'status', code => 403, body => sprintf($error, 'AccessDenied', 'no longer', ''));
fails_as(store_job($node, 'storage://told/denied.png'), '42501', 'store', 'f', qr/AccessDenied: no longer/, qr/needs the right/, 'a permission that was lost');
web_rule(method => 'PUT', path => 'skewed', do => 'status', code => 403,
	body => sprintf($error, 'RequestTimeTooSkewed', 'The difference is too large.', '<ServerTime>2001-02-03T04:05:06Z</ServerTime>'));
fails_as(store_job($node, 'storage://told/skewed.png'), '28000', 'store', 'f', qr/its time: 2001-02-03T04:05:06Z; ours: 20\d\d-/, qr/Set the clock/, 'another time: the error names both');
web_rule(method => 'PUT', path => 'quota', do => 'status', code => 403, body => sprintf($error, 'QuotaExceeded', '', ''));
fails_as(store_job($node, 'storage://told/quota.png'), '53100', 'store', 'f', qr/QuotaExceeded/, qr/quota/, 'a quota');

foreach my $case (['SlowDown', 503, '53400'], ['InternalError', 500, '58000'], ['BadDigest', 400, '58000'])
{
	my ($code, $status, $sqlstate) = @$case;

	web_rule(method => 'PUT', path => "$code.png", do => 'status', code => $status, body => sprintf($error, $code, '', ''));
	my $id = store_job($node, "storage://told/$code.png");
	is(wait_job($node, $id), 'DONE', "$code: the job is done");
	is(errors_of($node, $id), "1|t|$sqlstate|store", '… by its second attempt');
}
web_rule(method => 'PUT', path => 'cut.png', do => 'close');
my $id = store_job($node, 'storage://told/cut.png');
is(wait_job($node, $id), 'DONE', 'a connection that is closed: the job is done');
is(sql("SELECT count(*) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 1, '… with one row');

# ------------------------------------------------------- away and back

stop_web_server();
$id = store_job($node, 'storage://told/patient.png');
my $reading = fetch_job($node, web('picture/patient.png'));
poll_is($node, "SELECT count(*) FROM img_job_error WHERE job_id IN ('$id', '$reading') AND transient AND sqlstate = '58000' AND attempt = 1", 2, 'a server that is down');
is(sql("SELECT status, attempts FROM img_job WHERE id = '$_'"), 'ACCEPTED|1', '… the job waits') foreach $id, $reading;
web_server();
sql("UPDATE img_job_live SET run_after = now(); SELECT img_start_worker()");
is(wait_job($node, $_), 'DONE', '… and is done when it is back') foreach $id, $reading;
ok(exists objects()->{'patient.png'}, '… and stored');

# -------------------------------------------- what changes under way

sql(q{CREATE ROLE painter LOGIN; GRANT USAGE ON FOREIGN SERVER told TO painter;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO painter});
my $later = sql(q{SET ROLE painter; SELECT img_submit('\x00'::bytea, output => '{"destination": "storage://told/later.png"}', run_after => now() + interval '1 day')} =~ s/'\\x00'::bytea/literal(small_png())/er);
my $other = sql(q{SET ROLE painter; SELECT img_submit('storage://told/patient.png'::text, run_after => now() + interval '1 day')});
sql('REVOKE USAGE ON FOREIGN SERVER told FROM painter; UPDATE img_job_live SET run_after = now(); SELECT img_start_worker()');
forget();
fails_as($later, '42501', 'store', 'f', qr/permission denied for foreign server told/, undef, 'USAGE is lost after submit: nothing is written');
fails_as($other, '42501', 'fetch', 'f', qr/permission denied for foreign server told/, undef, '… nothing is read');
is_deeply(web_state()->{seen}, [], '… nobody is asked');
is(sql("SELECT count(*) FROM img_delete WHERE path = 'later.png'"), 0, '… and no removal is promised');

# While a request is under way.
bucket($node, 'fleeting');
put_object('x');
web_rule(method => 'GET', path => 'read.png', do => 'hold');
web_rule(method => 'PUT', path => 'written.png', do => 'hold');
sql(q{CREATE SERVER pages TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '} . web('picture') . q{', allow_private 'true')});
$reading = fetch_job($node, 'storage://pages/read.png');
$id = store_job($node, 'storage://fleeting/written.png');
held(2, 'two requests are under way');
my $waiting = sql(q{SELECT img_submit('storage://pages/never.png'::text, run_after => now() + interval '1 day')});
sql('DROP SERVER fleeting CASCADE; DROP SERVER pages CASCADE');
release();
is(wait_job($node, $_), 'DONE', 'DROP SERVER: what is under way is done') foreach $reading, $id;
sql("UPDATE img_job_live SET run_after = now(); SELECT img_start_worker()");
fails_as($waiting, '42704', 'fetch', 'f', qr/server "pages" does not exist/, undef, '… and what waited fails');

# A failure that comes after the server has gone.
bucket($node, 'fleeting');
web_rule(method => 'PUT', path => 'late.png', do => 'hold_answer');
$id = store_job($node, 'storage://fleeting/late.png', 'max_attempts => 2');
held(1, 'a request is under way');
sql('DROP SERVER fleeting CASCADE');
web_rule(method => 'PUT', path => 'late.png', do => 'close');
stop_web_server();
is(wait_job($node, $id), 'ERROR', '… and fails when the server is gone');
like(job($node, $id, 'error_code, error'), qr/^42704\|server "fleeting" does not exist/, '… which is what is said');
web_server();

# Another place: the next attempt goes there.
bucket($node, 'moving');
web_rule(method => 'PUT', path => '/bucket/move.png', do => 'status', code => 503);
$id = store_job($node, 'storage://moving/move.png');
poll_is($node, "SELECT attempts, status FROM img_job WHERE id = '$id'", '1|ACCEPTED', 'a job waits for its second attempt');
sql("ALTER SERVER moving OPTIONS (ADD prefix 'elsewhere/')");
is(wait_job($node, $id), 'DONE', 'ALTER SERVER: it is done');
is(join(',', sort keys %{ objects() }), 'elsewhere/move.png', '… at the new place');

$node->stop;
is(count_log($node, qr/TRAP|PANIC|terminated by signal/), 0, 'no process has crashed');
is(count_log($node, qr/hush-wrong|imgapi-secret/), 0, 'no secret is in the log');
done_testing();
