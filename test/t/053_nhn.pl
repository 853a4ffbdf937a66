# Named operations that a server of type nhn runs: what it is asked, every code
# that its contract has, and its dispatcher killed at every step.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use HTTP::Tiny;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $port = claid_server('nhn_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none');
my $picture = small_png();
$node->safe_psql('postgres', "CREATE SERVER nhn TYPE 'nhn' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://127.0.0.1:$port/image/v2.0', allow_private 'true', poll_interval '100ms');
	CREATE USER MAPPING FOR PUBLIC SERVER nhn OPTIONS (appkey 'theAppKey', secret_key 'the NHN key');
	SELECT img_operation_put('tiles', '[{\"templateOperationId\": \"gray\"}, {\"templateOperationId\": \"grid\", \"option\": {\"countX\": 3, \"countY\": 2}}]')");

sub nhn_job
{
	my ($operation, @more) = @_;

	return $node->safe_psql('postgres', 'SELECT img_submit_operation(' . join(', ', literal($picture), "'$operation'", q{server => 'nhn'}, @more) . ')');
}

sub sent { return grep { $_->{call} eq $_[0] } @{ claid_state()->{calls} }; }

# What it was asked, one call after the other.
sub asked
{
	my ($job) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(method || ' ' || regexp_replace(path, '[?].*|/[0-9a-f]{8}-.*|imgapi.{14}\$', ''), ', ' ORDER BY id)
		FROM img_remote_call WHERE job_id = '$job'");
}

# Each call once, but for the polls, and in this order.
my $whole = 'POST /folders, PUT /images, PUT /operations/, POST /operations-exec, GET /queues, GET /queues, GET /folders, DELETE /images/sync';

# ------------------------------------- the examples of the contract's document

# What all else here is proven with is the server, so it has to take what the
# document sends, and to answer with the members that it shows.

# Names of members, one below the other; those of a list are those of its first.
sub members
{
	my ($value, $path) = @_;

	return ref $value eq 'ARRAY' ? (@$value ? members($value->[0], $path) : $path)
	  : ref $value eq 'HASH' && %$value ? map { members($value->{$_}, $path ne '' ? "$path.$_" : $_) } sort keys %$value : $path;
}

sub nhn_call
{
	my ($method, $path, $type, $body) = @_;
	my $answer = HTTP::Tiny->new->request($method, "http://127.0.0.1:$port/image/v2.0/appkeys/theAppKey$path",
		{ headers => { Authorization => 'the NHN key', $type ? ('Content-Type' => $type) : () }, content => $body // '' });

	return decode_json($answer->{content});
}

my $file = 'bytes createdBy id imageProperty.coordinate.lat imageProperty.coordinate.lng imageProperty.createdAt imageProperty.height imageProperty.width '
  . 'isFolder name operationId path updatedAt url';
my $queue = 'name operationId path queueId queueType queuedAt status tryCount url';
my $folder = 'id isFolder name path updatedAt';
my $operation = 'appKey description jobTemplate.jobType jobTemplate.option.height jobTemplate.option.quality jobTemplate.option.resizeType '
  . 'jobTemplate.option.upDownSizeType jobTemplate.option.width jobTemplate.templateOperationId operationId realtimeService updatedAt';
sub below { my ($path, $names) = @_; return map { "$path.$_" } split / /, $names; }
my @json = ('application/json');
my $form = join "\r\n", map { ("--b", @$_) } [ 'Content-Disposition: form-data; name="params"', '', '{"basepath": "/myfolder/banner", "overwrite": true, "operationIds":["100x100"]}' ],
  map { [ "Content-Disposition: form-data; name=\"files\"; filename=\"$_\"", '', small_png() ] } 'left.png', 'right.png';
my @examples = (
	[ [ 'POST', '/folders', @json, '{"path": "/myfolder"}' ], below('folder', $folder) ],
	[ [ 'POST', '/folders', @json, '{"path": "/myfolder/banner"}' ], below('folder', $folder) ],
	[ [ 'PUT', '/operations/100x100', @json, '{"description": "", "realtimeService": true, "data": [{"templateOperationId": "resize_max_fit",
		"option": {"resizeType": "max_fit", "width": 100, "height": 100, "quality": 80, "upDownSizeType": "downOnly"}}]}' ], below('operation', $operation) ],
	[ [ 'PUT', '/images?path=/myfolder/sample.png&overwrite=true', 'application/octet-stream', small_png() ], below('file', "$file queues") ],
	[ [ 'PUT', '/images?path=/myfolder/sample.png&overwrite=true&operationIds=100x100', 'application/octet-stream', small_png() ], below('file', $file), below('file.queues', $queue) ],
	[ [ 'POST', '/images', 'multipart/form-data; boundary=b', "$form\r\n--b--\r\n" ], 'errors', below('successes', $file), below('successes.queues', $queue) ],
	[ [ 'POST', '/operations-exec', @json, '{"basepath": "/myfolder", "operationIds": ["100x100"], "filepaths": ["/myfolder/banner/left.png", "/myfolder/banner/right.png"]}' ],
		below('operations', $operation), below('paging', 'page rows totalCount'), below('queues', $queue) ],
	[ [ 'GET', '/folders?basepath=/myfolder' ], below('files', "$file queues"), below('folders', $folder), below('paging', 'page rows totalFileCount totalFolderCount') ],
	[ [ 'GET', '/properties?path=/myfolder' ], below('folder', "bytes $folder totalFileCount totalFolderCount") ],
	[ [ 'GET', '/operations' ], below('operations', $operation), below('paging', 'page rows totalCount') ],
	[ [ 'GET', '/operations/100x100' ], below('operation', $operation) ],
	[ [ 'GET', '/users' ], below('user', 'appKey containerName realtimeService') ],
	[ [ 'PUT', '/users', @json, '{"realtimeService": false}' ] ],
	[ [ 'DELETE', '/operations/100x100' ] ]);
foreach my $example (@examples)
{
	my ($call, @names) = @$example;
	my $answer = nhn_call(@$call);

	is_deeply([ members($answer, '') ], [ sort { $a cmp $b } below('header', 'isSuccessful resultCode resultMessage'), @names ], "$call->[0] $call->[1]") or diag encode_json($answer);
	is($answer->{header}{resultCode}, 0, '… is taken');
}
my ($id) = map { $_->{id} } grep { $_->{createdBy} eq 'U' } @{ nhn_call('GET', '/folders?basepath=/myfolder')->{files} };
is_deeply(nhn_call('DELETE', "/images/sync?fileId=$id"), { header => { isSuccessful => JSON::PP::true, resultCode => 0, resultMessage => 'Success' } }, 'DELETE /images/sync');
$id = join ',', map { $_->{id} } @{ nhn_call('GET', '/folders?basepath=/myfolder/banner')->{files} };
my $deleted = nhn_call('DELETE', "/images/async?fileIds=$id");
is_deeply([ members($deleted->{queue}, '') ], [ split / /, $queue ], 'DELETE /images/async');
is_deeply([ members(nhn_call('GET', "/queues/$deleted->{queue}{queueId}")->{queue}, '') ], [ split / /, $queue ], 'GET /queues');
is_deeply(nhn_call('GET', '/nowhere')->{header}, { isSuccessful => JSON::PP::false, resultCode => 404, resultMessage => 'Please check your API Url, HTTP Method.' }, 'the example of a failure');
is_deeply(claid_state()->{problems}, ['GET /image/v2.0/appkeys/theAppKey/nowhere'], '… is noted');
my $before = submits();
is($before, 1, 'one run was begun');

# ------------------------------------------------------------------ it works

my $job = nhn_job('100x100');
is(wait_job($node, $job), 'DONE', 'an operation is run there') or diag job($node, $job, 'error');
picture_is($node, $job, '… and its result is here');
is(submits(), $before + 1, '… submitted once');
poll_is($node, "SELECT count(*) FROM img_remote_call WHERE job_id = '$job' AND method = 'DELETE' AND error IS NULL", 1, '… and removed there');
is(asked($job), $whole, '… what it was asked');
is_deeply([ grep { m{^/imgapi/} } keys %{ claid_state()->{files} } ], [], '… nothing is left there');
is(remote($node, $job, 'state, status, server_type'), 'done|D|nhn', '… as img_remote says');
is($node->safe_psql('postgres', "SELECT role, ordinal, name, format, width, height FROM img_object WHERE job_id = '$job' ORDER BY role"),
	"input|0||png|200|150\noutput|0|${job}_100x100.png|png|4|2", '… and img_object');
ok((sent('upload'))[-1]->{body} eq $picture, 'the picture went there as it is');
is_deeply(decode_json((sent('operation'))[-1]->{body})->{data}, [ { templateOperationId => 'resize_max_fit', option => { width => 100, height => 100, quality => 80 } } ],
	'… and the steps');

$job = nhn_job('tiles', q{job_key => 'mine'});
is(wait_job($node, $job), 'DONE', 'an operation with several results') or diag job($node, $job, 'error');
is($node->safe_psql('postgres', "SELECT string_agg(ordinal || ' ' || name || ' ' || width, ', ' ORDER BY ordinal) FROM img_object WHERE job_id = '$job' AND role = 'output'"),
	join(', ', map { sprintf '%d %s_tiles_%04d.png %d', $_, $job, $_, 4 + $_ } 0 .. 5), '… which all are here, in order');
is(submits(), $before + 2, '… submitted once');

# Every template, as the server takes it: it refuses what it does not know.
my @steps = (
	'{"templateOperationId": "resize_fixed", "option": {"width": 10, "height": 20, "resizeType": "fixed", "targetExtension": "png"}}',
	'{"templateOperationId": "resize_fix", "option": {"width": 10, "height": 20, "targetExtension": null}}',
	'{"templateOperationId": "resize_min_fit", "option": {"width": 10, "height": 20, "shrinkLargerOnly": false}}',
	'{"templateOperationId": "resize_width_fit", "option": {"width": 10, "quality": 80.5}}',
	'{"templateOperationId": "resize_height_fit", "option": {"height": 10, "keepExif": false, "autoOrient": true}}',
	'{"templateOperationId": "rectangle", "option": {"width": 10, "height": 20, "gravity": "SouthEast", "offsetX": -5}}',
	'{"templateOperationId": "circle", "option": {"radius": 5}}',
	'{"templateOperationId": "slice", "option": {"sliceSize": 20, "sliceCropType": "horizontal"}}');
$node->safe_psql('postgres', join ';', map { "SELECT img_operation_put('t$_', '[$steps[$_]]')" } 0 .. $#steps);
my @jobs = (map({ nhn_job("t$_") } 0 .. $#steps), map { nhn_job($_) } split /\n/, $node->safe_psql('postgres', 'SELECT operation_id FROM img_operation WHERE template'));
is(wait_job($node, $_), 'DONE', 'an operation of every kind') or diag job($node, $_, 'error') foreach @jobs;
is($node->safe_psql('postgres', "SELECT count(*) FROM img_object WHERE role = 'output' AND job_id = '$jobs[$#steps]'"), 3, 'slices all come');

# A watermark is where the server is; a picture may be a file here.
nhn_call('POST', '/folders', @json, '{"path": "/logos"}');
nhn_call('PUT', '/images?path=/logos/mark.png', 'application/octet-stream', small_png());
$node->safe_psql('postgres', q{SELECT img_operation_put('marked', '[{"templateOperationId": "watermark", "option": {"gravity": "SouthEast", "watermarkImagePath": "/logos/mark.png"}}]');
	SELECT img_folder_create('/album'); SELECT img_file_put('/album/cat.png', } . literal($picture) . ')');
$job = $node->safe_psql('postgres', q{SELECT img_submit_operation('/album/cat.png'::text, 'marked', server => 'nhn')});
is(wait_job($node, $job), 'DONE', 'a file gets a watermark') or diag job($node, $job, 'error');
is($node->safe_psql('postgres', "SELECT name FROM img_object WHERE job_id = '$job' AND role = 'output'"), 'cat_marked.png', '… and its own name');
$before = submits();

# ------------------------------------------------------- refused at submit

fails_with($node, q{SELECT img_submit('https://example.com/a.png', '{}', server => 'nhn')}, '0A000', qr/edits are not offered by servers of type nhn/, 'no edits');
fails_with($node, q{SELECT img_submit('https://example.com/a.png', '{"gray": true}', server => 'nhn')}, '0A000', qr/gray is not offered by servers of type nhn/, '… whichever');
fails_with($node, q{SELECT img_submit_operation('https://example.com/a.png', 'nothing', server => 'nhn')}, '02000', qr/no operation "nothing"/, 'no such operation');
$node->safe_psql('postgres', q{SELECT img_operation_put('mark', '[{"templateOperationId": "watermark", "option": {"watermarkImagePath": "storage://database/x"}}]'); CREATE ROLE somebody; SELECT img_grant('somebody')});
fails_with($node, q{SELECT img_submit_operation('https://example.com/a.png', 'mark', server => 'nhn')}, '0A000', qr/has to be a path at the server/, 'a watermark that is not there');
fails_with($node, q{SET ROLE somebody; SELECT img_submit_operation('https://example.com/a.png', 'gray', server => 'nhn')}, '42501', qr/permission denied for foreign server nhn/, 'no server without USAGE');
is($node->safe_psql('postgres', q{SELECT count(*) FROM img_job WHERE status <> 'DONE'}), 0, 'no job is left by those');

# -------------------------------------------------------------------- codes

# One job a code, all at once: which gets which does not matter.
my %sqlstates = (
	'22023' => [ 1, 2, 400, 5000 .. 5007, 10001, 10002, 11001, 11002, 11050, 11051, 11060, 40003, 40004 ],
	'28000' => [ 401, 30004, 30005 ],
	'42501' => [ 403, 40000, 50001 .. 50004, 50011 .. 50013 ],
	'02000' => [ 404, 20001, 20002, 21011 ],
	'55000' => [ 20000, 20010, 21002, 40002 ],
	'54000' => [ 11003, 11004, 21003 ],
	'0A000' => [ 415 ],
	'58000' => [ -1, 21030, 21031, 22001, 23001, 23002, 24001 .. 24005, 40001, 500201 ]);
my @codes = sort map { my $state = $_; map { "$_ $state" } @{ $sqlstates{$state} } } keys %sqlstates;
claid_rule(call => 'submit', code => (split)[0] + 0, times => 1) foreach @codes;
$node->safe_psql('postgres', 'SELECT img_submit_operation(' . literal($picture) . ", '100x100', server => 'nhn', max_attempts => 1) FROM generate_series(1, " . @codes . ')');
poll_is($node, q{SELECT count(*) FROM img_job WHERE status = 'ERROR'}, scalar @codes, 'every code of operations-exec ends a job');
is($node->safe_psql('postgres', q{SELECT string_agg(substring(error FROM 'because of (-?\d+) \(code ') || ' ' || error_code, E'\n' ORDER BY substring(error FROM 'because of (-?\d+) \(code ') || ' ' || error_code COLLATE "C")
	FROM img_job WHERE status = 'ERROR' AND stage = 'submit'}), join("\n", @codes), '… with its SQLSTATE');
is(submits(), $before, '… and nothing was begun');

# The other calls: what is refused ends the job, what may pass is asked again.
$before = submits();
foreach my $end ([ 'upload', 11004, '54000' ], [ 'upload', 10002, '22023' ], [ 'operation', 40003, '22023' ], [ 'folder', 30004, '28000' ])
{
	my ($call, $code, $sqlstate) = @$end;

	claid_rule(call => $call, code => $code, times => 1);
	refused($node, nhn_job('gray'), $sqlstate, $call, qr/because of $code \(code $code\)/, "$code of $call");
}
is(submits(), $before, 'nothing was begun');
claid_rule(call => 'folder', code => 22001, times => 1);
claid_rule(call => 'upload', drop => JSON::PP::true, act => JSON::PP::true, times => 1);
claid_rule(call => 'operation', say => 'x' x 2_000_000, times => 1);
claid_rule(call => 'operation', status => 502, body => '<html>', times => 1);
claid_rule(call => 'submit', status => 503, body => '', times => 1);
claid_rule(call => 'poll', drop => JSON::PP::true, times => 1);
claid_rule(call => 'poll', task => 'P', times => 2);
claid_rule(call => 'folders', say => 'garbage', times => 1);
claid_rule(call => 'download', status => 403, body => '', times => 1);
claid_rule(call => 'delete', code => 21030, times => 1);
@jobs = map { nhn_job('gray') } 1 .. 8;
is(wait_job($node, $_), 'DONE', 'a job that something goes wrong with') or diag job($node, $_, 'error') foreach @jobs;
is(submits(), $before + @jobs, '… is submitted once');
claid_rule(call => 'poll', task => 'F', times => 1);
$job = nhn_job('gray');
refused($node, $job, '58000', 'remote', qr/server "nhn" failed: it does not say why/, 'F');
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$job = nhn_job('gray');
held(1, 'a poll is held');
lose();
release();
refused($node, $job, '02000', 'poll', qr/has lost the job/, 'a task that is lost');
claid_rule(call => 'upload', status => 429, body => '', headers => { 'Retry-After' => 2 }, times => 1);
my $calls = @{ claid_state()->{calls} };
@jobs = (nhn_job('gray'), nhn_job('gray'));
is(wait_job($node, $_), 'DONE', '429 is heeded') foreach @jobs;
is($node->safe_psql('postgres', "SELECT count(*) FROM img_job WHERE id IN ('$jobs[0]', '$jobs[1]') AND attempts = 1"), 2, '… at no cost');
my @calls = @{ claid_state()->{calls} };
my ($uploaded) = grep { $calls[$_]{call} eq 'upload' } $calls .. $#calls;
ok((grep { $_->{at} < $calls[$uploaded]{at} + 1.9 } @calls[ $uploaded + 1 .. $#calls ]) <= 1, '… by all jobs');

# ------------------------------------------------------------- what it has besides

sub called { return decode_json($node->safe_psql('postgres', 'SELECT img_server_call(' . join(', ', map { "'$_'" } 'nhn', @_) . ')')); }
is(called('GET', '/users')->{user}{realtimeService}, JSON::PP::false, 'its user is asked for');
called('PUT', '/users', '{"realtimeService": true}');
is(called('GET', '/users')->{user}{realtimeService}, JSON::PP::true, '… and changed');
is(called('POST', '/folders', '{"path": "/made"}')->{folder}{path}, '/made', 'a folder is made');
is(called('GET', '/properties?path=/made')->{folder}{totalFileCount}, 0, '… and looked at');
my @operations = map { $_->{operationId} } @{ called('GET', '/operations?rows=100&name=imgapi')->{operations} };
cmp_ok(@operations, '>', 10, 'its operations are listed');
called('DELETE', "/operations/$operations[0]");
fails_with($node, "SELECT img_server_call('nhn', 'GET', '/operations/$operations[0]')", '22023', qr/status 400: there is no operation $operations[0] \(code 5000\)/, '… and deleted');
fails_with($node, q{SELECT img_server_call('nhn', 'POST', '/folders', '{"path": "/made"}')}, '55000', qr/There is same folder name\. \(code 20000\)/, 'a code is an error');
$node->safe_psql('postgres', "CREATE SERVER wrong TYPE 'nhn' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://127.0.0.1:$port/image/v2.0', allow_private 'true');
	CREATE USER MAPPING FOR PUBLIC SERVER wrong OPTIONS (appkey 'theAppKey', secret_key 'a wrong one')");
fails_with($node, q{SELECT img_server_call('wrong', 'GET', '/users')}, '28000', qr/Unauthorized \(code 401\)[^*]*SET secret_key/, 'a wrong key, and what helps');

# ------------------------------------------------------------------- webhooks

$node->safe_psql('postgres', $_) foreach q{ALTER SERVER nhn OPTIONS (SET poll_interval '600s')}, q{ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.public_url') <> ''}) or die;
claid_rule(call => 'poll', task => 'D', times => 1);
$job = nhn_job('gray');
wait_state($node, $job, 'submitted');
is(decode_json((sent('submit'))[-1]->{body})->{callbackUrl}, "https://pictures.example.com/webhook/nhn?id=$job", 'it is told whom to call back');
is($node->safe_psql('postgres', "SELECT img_webhook('nhn', '{}', convert_to('{\"header\": {\"isSuccessful\": true, \"resultCode\": 0, \"resultMessage\": \"Success\"}, \"id\": \"$job\",
	\"overwritten\": true, \"operationId\": \"gray\", \"sourceFile\": {\"url\": \"http://h/a.png\", \"name\": \"a.png\", \"path\": \"/imgapi/a.png\"}}', 'UTF8'))"), 't', 'it calls back');
is(wait_job($node, $job), 'DONE', '… and is asked at once');
$node->safe_psql('postgres', $_) foreach q{ALTER SERVER nhn OPTIONS (SET poll_interval '100ms')}, q{ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com:8443'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.public_url') ~ '8443'}) or die;
is(wait_job($node, nhn_job('gray')), 'DONE', 'where it would not call, it is not told to');

# ------------------------------------------------------------------- crashes

# A job at every step, and then the dispatcher dies. What it was doing has been
# done there, but for the last one.
$node->safe_psql('postgres', q{ALTER SERVER nhn OPTIONS (ADD max_connections '32')});
$before = submits();
my $count = 0;
my %held;
foreach my $step (qw(folder upload operation submit poll folders download delete split never))
{
	my %rule = (call => $step, act => JSON::PP::true);

	%rule = (call => 'submit', act => $step eq 'split' ? JSON::PP::true : JSON::PP::false, drop => JSON::PP::true) if $step =~ /^(split|never)$/;
	claid_rule(%rule, hold => JSON::PP::true, times => 1);
	$held{$step} = nhn_job($step eq 'split' ? 'tiles' : 'gray');
	held(++$count, "a job is held at: $step");
}
kill_dispatcher($node);
release();
foreach my $step (sort keys %held)
{
	my $end = $step =~ /^(split|never)$/ ? 'ERROR' : 'DONE';

	is(wait_job($node, $held{$step}), $end, "the dispatcher was killed at: $step") or diag job($node, $held{$step}, 'error');
	like(job($node, $held{$step}, 'error'), qr/not known whether server "nhn" has begun this job/, '… and the error says so') if $end eq 'ERROR';
	picture_is($node, $held{$step}, '… and its result is here') if $end eq 'DONE';
}
is(submits(), $before + $count - 1, 'each was submitted once');
is(remote($node, $held{submit}, 'left(remote_id, 1)'), '/', 'one was found by what it has made');
poll_is($node, 'SELECT sum(inflight) FROM img_worker', 0, 'nothing is in hand');
is(remote($node, $held{never}, 'state'), 'unknown', 'one was looked for, and not found');
$node->safe_psql('postgres', "SELECT img_retry('$held{never}')");
is(wait_job($node, $held{never}), 'DONE', '… who knows better has it tried again');
is(submits(), $before + $count, '… which submits it anew');

is(@{ claid_state()->{problems} }, 1, 'the server has nothing else to complain about');
unlike(slurp_file($node->logfile), qr/the NHN key|theAppKey/, 'neither key nor account is in the log');
is($node->safe_psql('postgres', "SELECT count(*) FROM img_remote r, img_remote_call c WHERE r::text || c::text ~ 'NHN key|theAppKey'"), 0, '… nor in a row');

$node->stop;
done_testing();
