"""Requests and answers."""
import json
import socket

import fetcher
from fetcher import DONE, FAILED, REFUSED, refused
import server
from tap import equal, test


def get(path, **given):
    return fetcher.shared().fetch(server.shared().url(path), **given)


def done(reply, status=200):
    assert (reply.outcome, reply.status) == (DONE, status), \
        "outcome %d, status %d: %s" % (reply.outcome, reply.status, reply.text)
    return reply


@test
def small():
    """GET brings status, headers, body, address and times"""
    reply = done(get("/"))
    equal((reply.body, reply.stage, reply.text, reply.origin), (b"hello", "", "", ""))
    equal((reply.address, reply.content_length, reply.headers["content-length"]), ("127.0.0.1", 5, "5"))
    assert 0 < reply.first_byte <= reply.total < 5_000_000, "times"


@test
def sizes():
    """Bodies of any length, with Content-Length, in chunks and until the end, are whole"""
    limit = fetcher.INLINE_LENGTH
    for length in (0, 1, 17, limit - 1, limit, limit + 1, 70000, 1_000_000):
        for path in ("/bytes", "/chunked", "/until-close"):
            reply = done(get("%s?n=%d" % (path, length)))
            equal(len(reply.body), length)
            assert reply.body == server.pattern(length), "bytes of %d" % length
            equal(reply.in_memfd, length > limit)


@test
def methods():
    """Each method arrives as it is, with our headers and no others that tell"""
    for method in fetcher.METHODS:
        reply = done(get("/echo", method=method, headers=["X-One: 1", "Authorization: secret"]))
        if method == "HEAD":
            equal(reply.body, b"")
            assert reply.content_length > 50, "length for HEAD"
            continue
        echo = json.loads(reply.body)
        equal((echo["method"], echo["headers"]["x-one"], echo["headers"]["authorization"]), (method, "1", "secret"))
        equal(set(echo["headers"]) - {"x-one", "authorization", "content-length"}, {"host", "accept", "user-agent"})
        equal(echo["length"], 0)


@test
def bodies():
    """PUT, POST and PATCH send a body, inline or a stretch of a file"""
    data = server.pattern(3_000_000)
    fd = fetcher.memfd(data)
    for method in ("PUT", "POST", "PATCH"):
        echo = json.loads(done(get("/echo", method=method, body=b"a\0b", headers=["Content-Type: x/y"])).body)
        equal((echo["length"], echo["start"], echo["headers"]["content-type"]), (3, "a\0b", "x/y"))
        for offset, length in ((0, 3_000_000), (100, 2_000_000), (2_999_999, 1), (3_000_000, 0)):
            echo = json.loads(done(get("/echo", method=method, fd=fd, place=fetcher.MEMFD, offset=offset,
                                       length=length)).body)
            stretch = data[offset:offset + length].decode("latin1")
            equal((echo["method"], echo["length"], echo["start"], echo["end"]),
                  (method, length, stretch[:20], stretch[-20:]))


@test
def methods_alternate():
    """What one request has set does not show in the next"""
    one = fetcher.Fetcher(transfers=1)
    url = server.shared().url("/echo")
    for method, body in [("PUT", b"x" * 500), ("GET", b""), ("HEAD", b""), ("POST", b"y"), ("DELETE", b""), ("PATCH", b"z"), ("GET", b"")]:
        reply = done(one.fetch(url, method=method, body=body, headers=["X-%s: 1" % method]))
        if method != "HEAD":
            echo = json.loads(reply.body)
            equal((echo["method"], echo["length"]), (method, len(body)))
            equal([name for name in echo["headers"] if name.startswith("x-")], ["x-" + method.lower()])
    one.close()


@test
def statuses():
    """Every status is an answer, with its body and Retry-After"""
    for code in (404, 403, 429, 500, 503):
        reply = done(get("/status?code=%d&after=7" % code), code)
        assert b"SlowDown" in reply.body
        equal(reply.retry_after, 7 if code in (429, 500, 503) else 0)
    equal(done(get("/status?code=503"), 503).retry_after, 0)


@test
def interim_headers():
    """Headers of interim answers are not those of the answer"""
    reply = done(get("/early"))
    equal((reply.headers.get("link"), reply.headers["x-odd"], reply.headers["x-empty"]), (None, "spaces", ""))


@test
def broken_answers():
    """An answer that is not whole is a failure, and says whose"""
    for path in ("/broken", "/broken-chunk", "/negative"):
        refused(get(path), FAILED, "transfer", "127.0.0.1:%d" % server.shared().port)
    for path in ("/gone", "/nonsense"):
        reply = get(path)
        equal((reply.outcome, reply.stage in ("send", "transfer")), (FAILED, True), path)


@test
def nobody_there():
    """A port without a server is a failure to connect"""
    refused(fetcher.shared().fetch("http://127.0.0.1:1/"), FAILED, "connect", "http://127.0.0.1:1")


@test
def no_such_name():
    """A name that is none is a failure to resolve"""
    reply = fetcher.shared().fetch("http://nothing.invalid/path?secret", total_ms=15000, connect_ms=15000)
    assert reply.stage == "resolve" and reply.outcome in (FAILED, fetcher.TIMEOUT), reply
    assert "nothing.invalid" in reply.text and "secret" not in reply.text, reply.text


@test
def wrong_urls():
    """What is no http URL is refused, without repeating it"""
    for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "/path", "127.0.0.1", "http://",
                "http://[::1", "http://a b/", "http://127.0.0.1:99999/", "http://u:hush@127.0.0.1/", "https:/x",
                "http://127.0.0.1/\r\nX: y", "http://127.0.0.1:1/ HTTP/1.1\r\n"):
        reply = fetcher.shared().fetch(url)
        refused(reply, REFUSED, "url")
        assert "hush" not in reply.text and "passwd" not in reply.text, reply.text


@test
def wrong_headers():
    """A header that would be two, or none, is refused"""
    for line in ("X: a\r\nY: b", "X: a\nY: b", "nothing"):
        refused(get("/", headers=[line]), REFUSED, "url", "header")


@test
def no_secrets_in_texts():
    """Texts of failures have neither query nor path nor headers"""
    for url in (server.shared().url("/broken?X-Amz-Signature=hush"), server.shared().url("/hush?hush"),
                "http://127.0.0.1:1/hush?hush"):
        reply = fetcher.shared().fetch(url, headers=["Authorization: hush"])
        assert "hush" not in reply.text, reply.text


@test
def kept_connections():
    """Connections are kept and used again"""
    reply = [get("/") for _ in range(3)][-1]
    equal((reply.connect, reply.resolve), (0, 0))


def read_request(peer, body_length):
    """One request with a body; what of the body came."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < body_length:
        piece = peer.recv(65536)
        assert piece, "the request is cut off"
        data += piece
    return data.split(b"\r\n\r\n", 1)[1]


@test
def dead_connections():
    """A kept connection that dies under a request is replaced, and the request sent again from its start; but no POST or PATCH"""
    one = fetcher.Fetcher(transfers=2)
    data = server.pattern(50_000)
    fd = fetcher.memfd(data)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
        one.start(url)
        kept = listener.accept()[0]
        kept.recv(1000)
        kept.sendall(answer)
        done(one.receive())
        for given in ({"body": data[:9000]}, {"fd": fd, "place": fetcher.MEMFD, "offset": 7, "length": 40_000}):
            wanted = given.get("body") or data[7:40_007]
            one.start(url, method="PUT", **given)
            equal(read_request(kept, len(wanted)), wanted)
            kept.close()
            kept = listener.accept()[0]
            equal(read_request(kept, len(wanted)), wanted)
            kept.sendall(answer)
            done(one.receive())
        for method, body in (("POST", b"pay"), ("POST", b""), ("PATCH", b"pay")):
            one.start(url, method=method, body=body)
            read_request(kept, len(body))
            kept.close()
            refused(one.receive(), FAILED, "send", "not sent twice")
            listener.settimeout(0.3)
            try:
                # a connection at most, with nothing said
                equal(listener.accept()[0].recv(1000), b"")
            except socket.timeout:
                pass
            listener.settimeout(None)
            one.start(url)
            kept = listener.accept()[0]
            kept.recv(1000)
            kept.sendall(answer)
            done(one.receive())
        kept.close()
    equal(one.close(), 0)
