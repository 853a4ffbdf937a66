"""Redirects: how many, where to, and what goes along."""
import json
import urllib.parse

import fetcher
from fetcher import ALLOW_PRIVATE, DONE, FOLLOW, LIMIT, REFUSED, TIMEOUT, refused
import server
from tap import equal, test

BOTH = ALLOW_PRIVATE | FOLLOW


def path_to(url, status=302):
    return "/redirect?" + urllib.parse.urlencode({"to": url, "status": status})


def get(path, **given):
    given.setdefault("flags", BOTH)
    return fetcher.shared().fetch(server.shared().url(path), **given)


@test
def followed():
    """Redirects are followed if asked, else they are the answer"""
    for status in (301, 302, 303, 307, 308):
        reply = get(path_to("/", status))
        equal((reply.outcome, reply.status, reply.body, reply.redirects, reply.origin), (DONE, 200, b"hello", 1, ""))
        reply = get(path_to("/", status), flags=ALLOW_PRIVATE)
        equal((reply.outcome, reply.status, reply.headers["location"], reply.redirects), (DONE, status, "/", 0))
    equal(get(path_to("/"), method="HEAD").content_length, 5)


@test
def only_get_and_head():
    """A request with a body goes nowhere else"""
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        reply = get(path_to("/", 307), method=method, body=b"" if method == "DELETE" else b"x")
        equal((reply.outcome, reply.status), (DONE, 307))


@test
def how_many():
    """Three and no more, fewer if asked"""
    three = path_to(path_to(path_to("/")))
    equal((get(three).body, get(three).redirects), (b"hello", 3))
    refused(get(three, redirects=2), LIMIT, "redirect", "2 redirects are allowed")
    refused(get(path_to(three)), LIMIT, "redirect", "3 redirects are allowed")
    refused(get("/loop"), LIMIT, "redirect")
    refused(get("/redirect?to=/", redirects=0), LIMIT, "redirect")


@test
def to_other_schemes():
    """A redirect to anything but http and https is refused"""
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "dict://127.0.0.1:11211/stats"):
        refused(get(path_to(target)), REFUSED, "redirect", "no http or https URL")


@test
def with_credentials():
    """A redirect to a URL with a password is refused"""
    refused(get(path_to(server.shared().url().replace("//", "//user:hush@"))), REFUSED, "url")


@test
def secrets_stay():
    """No header of the request reaches another origin"""
    other = server.Server()
    headers = ["Authorization: Bearer hush", "X-Api-Key: hush", "Cookie: hush=1", "X-Amz-Security-Token: hush"]
    reply = get(path_to(other.url("/echo")), headers=headers)
    equal((reply.outcome, reply.origin, reply.redirects), (DONE, "http://127.0.0.1:%d" % other.port, 1))
    assert "hush" not in str(other.seen), other.seen
    equal(set(json.loads(reply.body)["headers"]), {"host", "user-agent", "accept"})
    # nor does it when the way leads back
    other.seen.clear()
    home = server.shared().url("/echo")
    reply = get(path_to(other.url(path_to(home))), headers=headers)
    equal((reply.outcome, reply.redirects), (DONE, 2))
    assert b"hush" not in reply.body
    # the same host by another name is another origin
    reply = get(path_to(server.shared().url("/echo", host="localhost")), headers=headers)
    assert reply.outcome == DONE and b"hush" not in reply.body
    other.close()


@test
def headers_at_home():
    """At the same origin they go along"""
    reply = get(path_to("/echo"), headers=["Authorization: Bearer hush"])
    equal((json.loads(reply.body)["headers"]["authorization"], reply.origin), ("Bearer hush", ""))


@test
def next_request_is_clean():
    """After a redirect elsewhere the next request has its headers again"""
    one = fetcher.Fetcher(transfers=1)
    other = server.Server()
    one.fetch(server.shared().url(path_to(other.url("/echo"))), flags=BOTH, headers=["X-A: 1"])
    echo = json.loads(one.fetch(server.shared().url("/echo"), headers=["X-B: 2"]).body)["headers"]
    equal((echo.get("x-a"), echo.get("x-b")), (None, "2"))
    other.close()
    one.close()


@test
def time_is_for_all():
    """The time is for all hops together"""
    refused(get(path_to(path_to("/never")), total_ms=300), TIMEOUT, "send")
