# Calls to the API of a server that belong to no job: img_server_call() and
# img_estimate().

use strict;
use warnings;
use Digest::SHA 'sha256_hex';
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $port = claid_server('topaz_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none', 'log_min_messages' => 'debug1');
$node->safe_psql('postgres', "CREATE SERVER topaz TYPE 'topaz' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://127.0.0.1:$port/', allow_private 'true');
	CREATE USER MAPPING FOR PUBLIC SERVER topaz OPTIONS (api_key 'the topaz key');
	CREATE SERVER wrong TYPE 'topaz' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://127.0.0.1:$port', allow_private 'true');
	CREATE USER MAPPING FOR PUBLIC SERVER wrong OPTIONS (api_key 'a wrong key');
	CREATE SERVER claid TYPE 'claid' FOREIGN DATA WRAPPER imgapi;
	CREATE USER MAPPING FOR PUBLIC SERVER claid OPTIONS (api_key 'a claid key');
	CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com');
	CREATE ROLE app LOGIN; SELECT img_grant('app')");

sub asked { return (grep { $_->{call} eq $_[0] } @{ claid_state()->{calls} })[-1]->{body}; }

# ------------------------------------------------------------------ estimates

sub cost_is
{
	my ($arguments, $cost, $body, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', "SELECT credits, seconds FROM img_estimate($arguments)"), $cost, $name);
	is_deeply(decode_json(asked('estimate')), decode_json($body), '… as was asked') if $body;
}
cost_is(q{4000, 3000, '{"restorations": {"upscale": "photo"}, "resizing": {"width": 8000}}', server => 'topaz'}, '2|12.5',
	'{"category": "Enhance", "model": "High Fidelity V2", "input_width": 4000, "input_height": 3000, "output_width": 8000}', 'an enlargement');
cost_is(q{4000, 3000, '{"topaz": {"endpoint": "restore-gen", "settings": {"grain": true}}}', server => 'topaz'}, '4|12.5',
	'{"category": "Restore", "input_width": 4000, "input_height": 3000}', 'a generative model');
cost_is(q{100, 50, '{"background": {"remove": true}}', server => 'topaz'}, '1|12.5',
	'{"category": "Matting", "model": "Object", "output_format": "png", "input_width": 100, "input_height": 50}', 'a background');
cost_is(literal(png(300, 200)) . q{, '{"topaz": {"endpoint": "denoise", "model": "Strong"}}', '{"format": "jpeg"}', 'topaz'}, '1|12.5',
	'{"category": "Denoise", "model": "Strong", "output_format": "jpeg", "input_width": 300, "input_height": 200}', 'a picture is looked at here');
cost_is(q{100, 50, '{"resizing": {"width": 10}}'}, '0|', undef, 'what is done here costs nothing');
is($node->safe_psql('postgres', q{SET imgapi.default_servers = 'background.remove = topaz'; SELECT (img_estimate(100, 50, '{"background": {"remove": true}}')).credits}), 1,
	'the server for it is asked');
foreach my $gen (qw(enhance enhance-gen sharpen sharpen-gen denoise restore-gen lighting matting tool))
{
	is($node->safe_psql('postgres', qq{SELECT credits > 0 FROM img_estimate(100, 50, '{"topaz": {"endpoint": "$gen"}}', server => 'topaz')}), 't', "an estimate of $gen");
}

sub no_estimate
{
	my ($arguments, $sqlstate, $regexp, $name) = @_;
	fails_with($node, "SELECT img_estimate($arguments)", $sqlstate, $regexp, $name);
}
my $denoise = q{'{"topaz": {"endpoint": "denoise"}}'};
no_estimate("100, 50, $denoise", '0A000', qr/operations\.topaz\.endpoint needs a model/, 'no server');
no_estimate("100, 50, '{}', server => 'claid'", '0A000', qr/servers of type claid do not say what a job costs/, 'a server that does not say');
no_estimate("100, 50, '{}', server => 'web'", '0A000', qr/sends no jobs to servers of type http/, 'a server without jobs');
no_estimate("100, 50, '{\"rotate\": 90}', server => 'topaz'", '0A000', qr/operations\.rotate is not offered/, 'what it does not do');
no_estimate("0, 50, $denoise, server => 'topaz'", '22023', qr/width is out of range.*Given: 0\. Allowed: 1 to 32000/s, 'no width');
no_estimate("100, 32001, $denoise, server => 'topaz'", '22023', qr/height is out of range/, 'too high');
no_estimate("100, NULL, $denoise, server => 'topaz'", '22023', qr/height must not be null/, 'no height');
no_estimate("'\\x00'::bytea, $denoise, server => 'topaz'", '22000', qr/./, 'no picture');
no_estimate("100, 50, $denoise, server => 'wrong'", '28000', qr/status 401: Unauthorized \(code 401\), request [0-9a-f-]{36}.*ALTER USER MAPPING/s, 'a wrong key');
claid_rule(call => 'estimate', say => $_, times => 1) foreach { duration => 1 }, 'not JSON', [], '';
no_estimate("100, 50, $denoise, server => 'topaz'", '58000', qr/the answer of server "topaz" makes no sense/, 'an answer that is none') foreach 1 .. 4;
claid_rule(call => 'estimate', status => 402, body => { message => 'buy some' }, times => 1);
no_estimate("100, 50, $denoise, server => 'topaz'", '53000', qr/status 402: buy some/, 'no credits');
fails_with($node, "SET ROLE app; SELECT img_estimate(100, 50, $denoise, server => 'topaz')", '42501', qr/GRANT USAGE ON FOREIGN SERVER topaz TO app/, 'without USAGE');
is($node->safe_psql('postgres', "GRANT USAGE ON FOREIGN SERVER topaz TO app; SET ROLE app; SELECT (img_estimate(100, 50, $denoise, server => 'topaz')).credits"), 1, 'with USAGE');
is($node->safe_psql('postgres', "BEGIN READ ONLY; SELECT (img_estimate(100, 50, $denoise, server => 'topaz')).credits"), 1, 'it writes nothing');

# ---------------------------------------------------------------------- calls

is($node->safe_psql('postgres', q{SELECT img_server_call('topaz', 'GET', '/status')}), '[]', 'a call');
is($node->safe_psql('postgres', q{SELECT img_server_call('topaz', 'get', '/status?paginated=true&limit=2') -> 'pagination' ->> 'has_next_page'}), 'false', 'one with a query');
is($node->safe_psql('postgres', q{SELECT img_server_call('topaz', 'POST', '/estimate', '{"input_width": 7000, "input_height": 7000}') ->> 'credits'}), 3, 'one with a body');
my $job = $node->safe_psql('postgres', "SELECT img_submit('https://example.com/a.jpg'::text, $denoise, server => 'topaz')");
is(wait_job($node, $job), 'DONE', 'a job');
my $id = remote($node, $job, 'remote_id');
is($node->safe_psql('postgres', "SELECT img_server_call('topaz', 'DELETE', '/status/$id') IS NULL"), 't', 'one without an answer');

sub no_call
{
	my ($arguments, $sqlstate, $regexp, $name) = @_;
	fails_with($node, "SELECT img_server_call($arguments)", $sqlstate, $regexp, $name);
}
no_call("'topaz', 'GET', '/status/$id'", '02000', qr/status 404: no such process \(code 404\)/, 'an error of the API');
no_call(q{'topaz', 'POST', '/estimate', '{"input_width": 0}'}, '22023', qr/status 422/, 'another');
no_call(q{'topaz', 'TRACE', '/status'}, '22023', qr/Given: "TRACE"\. Allowed: GET, POST, PUT, PATCH, DELETE\./, 'no such method');
no_call(q{'topaz', 'GET', '/status', '{}'}, '22023', qr/GET has no body/, 'GET has no body');
no_call("'topaz', 'GET', $_", '22023', qr/path (is none below|must not be null)/, "no path: $_")
  foreach q{''}, q{'status'}, q{'http://example.com/'}, q{'/a b'}, q{E'/a\r\nX: y'}, q{'/../x'}, q{'/a/..'}, q{'/a/./b'}, q{'/a#b'}, q{'/ä'}, q{'/a\\b'}, q{'/' || repeat('a', 2000)}, 'NULL';
no_call(q{'web', 'GET', '/'}, '0A000', qr/server "web" has no API to call: it is of type http/, 'no API');
no_call(q{'nobody', 'GET', '/'}, '42704', qr/server "nobody" does not exist/, 'no server');
no_call(q{'topaz', 'POST', '/estimate', jsonb_build_object('a', repeat('x', 17000))}, '54000', qr/body has \d+ bytes/, 'too large a body');
fails_with($node, q{SET ROLE app; SELECT img_server_call('topaz', 'GET', '/status')}, '42501', qr/permission denied for function/, 'it is not granted with the rest');
is($node->safe_psql('postgres', q{GRANT EXECUTE ON FUNCTION img_server_call TO app; SET ROLE app; SELECT img_server_call('topaz', 'GET', '/status')}), '[]', '… but can be');
fails_with($node, q{SET ROLE app; SELECT img_server_call('wrong', 'GET', '/status')}, '42501', qr/permission denied for foreign server wrong/, '… and needs USAGE');

# ---------------------------------------------------------- provider's links

sub ended_job { my $id = $node->safe_psql('postgres', "$_[0] SELECT img_submit('https://example.com/a.jpg'::text, $denoise, server => 'topaz')"); is(wait_job($node, $id), 'DONE', 'a job'); return $id; }
sub link_of { return $node->safe_psql('postgres', ($_[2] // '') . "SELECT download_url, head_url, expiry > EXTRACT(epoch FROM now()) + 3500 FROM img_download$_[1]('$_[0]')"); }
sub stored { return $node->safe_psql('postgres', "SELECT string_agg(regexp_replace(l.download_url, '.*-', '') || ' ' || o.role, ', ' ORDER BY l.id) FROM img_link l JOIN img_object o ON o.id = l.object_id WHERE l.job_id = '$_[0]'"); }
$job = ended_job('');
$id = remote($node, $job, 'remote_id');
my $url = "http://127.0.0.1:$port/tmp/$id";
is(stored($job), 'output.png?token=signed1 output', 'the link of the server is kept');
is(link_of($job, ''), "$url-output.png?token=signed2|$url-output.png?token=signed2&head|t", 'img_download() gets a fresh one');
is(link_of($job, '_input'), "$url-input.png?token=signed3|$url-input.png?token=signed3&head|t", '… and img_download_input()');
is(stored($job), 'output.png?token=signed1 output, output.png?token=signed2 output, input.png?token=signed3 input', '… which are kept');
my $first = "$url-output.png?token=signed1|$url-output.png?token=signed1&head|t";
foreach my $trouble ({ status => 404, body => '{"message": "gone"}' }, { status => 500, body => '' }, { status => 429, body => '{}', headers => { 'Retry-After' => 60 } },
	{ drop => JSON::PP::true }, { say => 'not JSON' }, { say => {} }, { say => { download_url => 'file:///etc/passwd', head_url => '', expiry => 9999999999 } },
	{ say => { download_url => 'http://example.com/', head_url => '', expiry => 1 } })
{
	my ($shown) = grep { $_ ne 'body' && $_ ne 'headers' } keys %$trouble;
	claid_rule(call => 'link', times => 1, %$trouble);
	is(link_of($job, ''), $first, "no fresh one ($shown " . (ref $trouble->{$shown} ? encode_json([ $trouble->{$shown} ]) : $trouble->{$shown}) . '): the first');
}
is(stored($job), 'output.png?token=signed1 output, output.png?token=signed2 output, input.png?token=signed3 input', '… which is not kept twice');
lose();
is(link_of($job, ''), $first, 'the server has lost the picture: the first, while it opens');
is(link_of($job, '_input'), 'https://example.com/a.jpg|https://example.com/a.jpg|t', '… and of the input what was given');
$node->safe_psql('postgres', "UPDATE img_remote SET result = jsonb_set(result, '{link,expiry}', '1') WHERE job_id = '$job'");
fails_with($node, "SELECT img_download('$job')", '55000', qr/before imgapi\.public_url is set/, 'it has expired: there is only ours');
like(link_of($job, '', q{SET imgapi.public_url = 'https://pictures.example.com'; }), qr{^https://pictures\.example\.com/o/[0-9a-f-]{36}/}, '… of the gateway');
my $before = @{ claid_state()->{calls} };
$node->safe_psql('postgres', "UPDATE img_remote SET ended_at = ended_at - interval '7 days' WHERE job_id = '$job'");
fails_with($node, "SELECT img_download('$job')", '55000', qr/public_url/, 'after 7 days');
is(@{ claid_state()->{calls} }, $before, '… the server is not asked');
$job = ended_job('SET ROLE app;');
$before = @{ claid_state()->{calls} };
fails_with($node, "SELECT img_download('$job')", '55000', qr/public_url/, 'nobody uses the key of somebody else, not even a superuser');
is(@{ claid_state()->{calls} }, $before, '… the server is not asked');
$node->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER topaz FROM app');
like(link_of($job, '', 'SET ROLE app; '), qr/-output\.png\?token=signed1\|/, 'without USAGE: the first');
is(@{ claid_state()->{calls} }, $before, '… the server is not asked');

# ------------------------------------------------------------------ uploads

# Needs no gateway: see 056_routing.pl for what is sent as a link.
$node->safe_psql('postgres', q{CREATE TABLE picture (id int PRIMARY KEY, data bytea, cut bytea);
	CREATE TRIGGER cut AFTER INSERT OR UPDATE OF data ON picture FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"background": {"remove": true}}', 'cut', '', 'topaz')});
my $picture = png(300, 200);
$node->safe_psql('postgres', 'INSERT INTO picture VALUES (1, ' . literal($picture) . ')');
$job = $node->safe_psql('postgres', q{SELECT id FROM img_job WHERE source_table = 'picture'::regclass});
is(wait_job($node, $job), 'DONE', 'a picture in a row goes to a server that is sent bytes') or diag job($node, $job, 'error');
is(claid_state()->{forms}[-1]{image}{sha256}, sha256_hex($picture), '… which are its');
is($node->safe_psql('postgres', q{SELECT (img_info(cut)).format || ' ' || (img_info(cut)).width FROM picture}), 'png 4', '… and the result is in the row');
is($node->safe_psql('postgres', "SELECT string_agg(role || ' ' || storage, ', ' ORDER BY role) FROM img_object WHERE job_id = '$job'"), 'input row, output row', '… which has both');

# ------------------------------------------------------------- interruptible

claid_rule(call => 'find', hold => JSON::PP::true);
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $backend = $session->query_safe('SELECT pg_backend_pid()');
$session->query_until(qr/started/, "\\echo started\nSELECT img_server_call('topaz', 'GET', '/status');\n");
held(1, 'a call is held');
is($node->safe_psql('postgres', "SELECT string_agg(locktype, ' ') FROM pg_locks WHERE pid = $backend"), 'virtualxid', '… and locks nothing');
my $seconds = seconds {
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($backend)");
	poll_is($node, "SELECT state FROM pg_stat_activity WHERE pid = $backend", 'idle', 'it is cancelled')
};
cmp_ok($seconds, '<', 2, '… at once');
fails_with($node, q{SET statement_timeout = '300ms'; SELECT img_server_call('topaz', 'GET', '/status')}, '57014', qr/statement timeout/, 'or when its time is over');
forget();
release();
$session->quit;
$node->safe_psql('postgres', q{ALTER SERVER topaz OPTIONS (ADD timeout '300ms')});
claid_rule(call => 'find', hold => JSON::PP::true);
no_call(q{'topaz', 'GET', '/status'}, '58000', qr/./, 'a server that does not answer');
forget();
release();

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
unlike(slurp_file($node->logfile), qr/the topaz key|a wrong key/, 'no key is in the log');
$node->stop;
done_testing();
