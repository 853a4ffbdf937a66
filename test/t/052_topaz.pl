# Jobs that a server of type topaz does.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

claid_server('topaz_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none');
topaz($node, 'topaz');

sub topaz_job
{
	my ($operations, @more) = @_;

	return $node->safe_psql('postgres', 'SELECT img_submit('
		  . join(', ', "'https://example.com/cat.jpg?signature=s3cr3t'::text", "'$operations'", "server => 'topaz'", @more) . ')');
}

# The form that was sent last, but for its source.
sub sent
{
	my $call = (grep { $_->{call} eq 'submit' } @{ claid_state()->{calls} })[-1];
	my %fields = $call->{body} =~ /name="([^"]*)"\r\n\r\n(.*?)\r\n/g;

	is(delete $fields{source_url}, 'https://example.com/cat.jpg?signature=s3cr3t', 'its source');
	return join ' ', map { "$_=$fields{$_}" } sort keys %fields;
}

my @forms = (
	[ '{"restorations": {"upscale": "photo"}, "resizing": {"width": 4000}}', 'enhance', 'model=High Fidelity V2 output_width=4000' ],
	[ '{"restorations": {"upscale": "digital_art"}, "resizing": {"width": 400, "height": 300, "fit": "canvas"}}', 'enhance',
		'crop_to_fill=false model=CGI output_height=300 output_width=400' ],
	[ '{"restorations": {"upscale": "faces"}}', 'enhance', 'face_enhancement=true model=Standard V2' ],
	[ '{"background": {"remove": true}}', 'matting', 'model=Object output_format=png' ],
	[ '{"topaz": {"endpoint": "denoise", "model": "Strong", "settings": {"strength": 0.5}}}', 'denoise', 'model=Strong strength=0.5' ],
	[ '{"topaz": {"endpoint": "lighting"}}', 'lighting', '' ]);
foreach my $form (@forms)
{
	my ($operations, $endpoint, $fields) = @$form;
	my $job = topaz_job($operations);

	is(wait_job($node, $job), 'DONE', $operations) or diag job($node, $job, 'error');
	is(sent(), $fields, '… what it was asked');
	is($node->safe_psql('postgres', "SELECT path FROM img_remote_call WHERE job_id = '$job' ORDER BY id LIMIT 1"), "/$endpoint/async", '… and where');
}
my $job = topaz_job('{"restorations": {"upscale": "photo"}}', q{output => '{"format": "png"}'});
is(wait_job($node, $job), 'DONE', 'a job with a format');
is(sent(), 'model=High Fidelity V2 output_format=png', '… is asked for it');
picture_is($node, $job, '… and its result is here');
is(remote($node, $job, q{state, status, result ->> 'credits', result -> 'link' ? 'download_url', eta IS NOT NULL}), 'done|Completed|3|t|t', '… as img_remote says');
is($node->safe_psql('postgres', "SELECT string_agg(regexp_replace(path, '/[0-9a-f-]{36}', '/ID'), ' ' ORDER BY id) FROM img_remote_call WHERE job_id = '$job'"),
	'/enhance/async /status/ID /status/ID /download/ID', '… and img_remote_call');
is($node->safe_psql('postgres', "SELECT format, width, height FROM img_object WHERE job_id = '$job' AND role = 'input'"), 'jpeg|160|120', 'what it says of the source');
$node->safe_psql('postgres', $_) foreach q{ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com/x/'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.public_url') <> ''}) or die;
$job = topaz_job('{"restorations": {"upscale": "photo"}}');
is(wait_job($node, $job), 'DONE', 'a job where there is a gateway');
is(sent(), 'model=High Fidelity V2 webhook_url=https://pictures.example.com/x/webhook/topaz', '… names it for webhooks');
$node->safe_psql('postgres', q{ALTER SERVER topaz OPTIONS (ADD webhooks 'off')});
$job = topaz_job('{"restorations": {"upscale": "photo"}}');
is(wait_job($node, $job), 'DONE', 'a job of a server without webhooks');
is(sent(), 'model=High Fidelity V2', '… does not');
is(submits(), @forms + 3, 'each was submitted once');

sub no_submit
{
	my ($operations, $regexp, $sqlstate, $more) = @_;

	fails_with($node, "SELECT img_submit('https://example.com/a.jpg', '$operations', server => 'topaz'" . ($more // '') . ')',
		$sqlstate // '0A000', $regexp, "refused: $operations");
}
no_submit('{}', qr/asks for nothing/);
no_submit('{"rotate": 90}', qr/operations\.rotate is not offered by servers of type topaz/);
no_submit('{"privacy": {"blur_car_plate": true}}', qr/operations\.privacy\.blur_car_plate is not offered by servers of type topaz/);
no_submit('{"resizing": {"width": "50%"}}', qr/as a percentage/);
no_submit('{"resizing": {"width": 50, "fit": "bounds"}}', qr/this operations\.resizing/);
no_submit('{"background": {"remove": true, "color": "#fff"}}', qr/background but for remove/);
no_submit('{"background": {"remove": true}, "restorations": {"upscale": "photo"}}', qr/more than one/);
no_submit('{"topaz": {"endpoint": "paint"}}', qr/one of Topaz' endpoints/, '22023');
no_submit('{"restorations": {"upscale": "photo"}}', qr/output\.format "webp"/, '0A000', q{, output => '{"format": "webp"}'});
no_submit('{"background": {"remove": true}}', qr/output\.format "jpeg"/, '0A000', q{, output => '{"format": "jpeg"}'});
fails_with($node, q{SELECT img_submit('https://example.com/a.jpg', '{"topaz": {"endpoint": "denoise"}}')}, '0A000', qr/operations\.topaz\.endpoint needs a model/, 'not here');

# ------------------------------------------------------------------ statuses

my %sqlstates = (400 => '22023', 401 => '28000', 402 => '53000', 403 => '42501', 404 => '02000', 409 => '55000', 412 => '42501',
	413 => '54000', 415 => '0A000', 422 => '22023', 425 => '55000', 503 => '58000');
my $before = submits();
foreach my $status (sort keys %sqlstates)
{
	claid_rule(call => 'submit', status => $status + 0, body => { code => $status + 0, message => "because of $status" }, times => 1);
	$job = topaz_job('{"background": {"remove": true}}', 'max_attempts => 1');
	refused($node, $job, $sqlstates{$status}, 'submit', qr/status $status: because of $status \(code $status\)/, "status $status");
}
claid_rule(call => 'submit', status => 429, body => { message => 'slow down' }, headers => { 'Retry-After' => 2 }, times => 1);
claid_rule(call => 'poll', task => 'Pending', times => 1);
claid_rule(call => 'link', status => 409, body => { message => 'not ready' }, times => 1);
$job = topaz_job('{"background": {"remove": true}}');
is(wait_job($node, $job), 'DONE', '429, Pending, and a result that is not ready: waited for');
is(submits(), $before + 1, '… submitted once');
foreach my $end ([ 'Failed', 'ERROR', qr/it does not say why/ ], [ 'Cancelled', 'CANCELLED', qr/has cancelled it/ ])
{
	claid_rule(call => 'poll', task => $end->[0], times => 1);
	$job = topaz_job('{"background": {"remove": true}}');
	is(wait_job($node, $job), $end->[1], $end->[0]);
	like(job($node, $job, 'error'), $end->[2], '… says so');
}
claid_rule(call => 'poll', task => 'Processing');
$job = topaz_job('{"background": {"remove": true}}');
poll_is($node, "SELECT polls > 0 FROM img_remote WHERE job_id = '$job'", 't', 'a job is there');
is($node->safe_psql('postgres', "SELECT img_cancel('$job')"), 't', 'it is cancelled');
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ') FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/cancel/%'", 'DELETE 204', '… and its server is told, once');
poll_is($node, 'SELECT sum(inflight) FROM img_worker', 0, '… and it is in nobody\'s hands');
is(remote($node, $job, 'state, status'), 'failed|Cancelled', '… as img_remote says');
claid_rule(call => 'submit', hold => JSON::PP::true, act => JSON::PP::true, times => 1);
$job = topaz_job('{"background": {"remove": true}}');
held(1, 'a job is submitted');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
release();
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ') FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/cancel/%'", 'DELETE 204', 'what was cancelled meanwhile is cancelled there');
is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
unlike(slurp_file($node->logfile), qr/the topaz key/, 'no key is in the log');

$node->stop;
done_testing();
