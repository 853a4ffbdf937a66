"""https: whom it trusts."""
import os

import fetcher
from fetcher import DONE, FAILED, REFUSED, refused
import server
from tap import equal, test

_secure = None


def secure():
    global _secure
    if _secure is None:
        _secure = server.Server(tls=server.tls_context())
    return _secure


def trusting():
    return fetcher.Fetcher(extra=["--ca=" + os.path.join(server.certificates(), "ca.pem")])


@test
def known():
    """A server whose certificate a known authority has signed is trusted, by name and by address"""
    one = trusting()
    for host in ("localhost", "127.0.0.1"):
        reply = one.fetch(secure().url("/bytes?n=100000", host, "https"))
        equal((reply.outcome, len(reply.body)), (DONE, 100000), reply.text)
        assert 0 < reply.connect < reply.tls < reply.first_byte, reply
    one.close()


@test
def unknown():
    """An unknown authority is refused at the stage of TLS, and nothing sent"""
    before = len(secure().seen)
    reply = fetcher.shared().fetch(secure().url("/?hush", "localhost", "https"))
    refused(reply, FAILED, "tls", "https://localhost:%d" % secure().port, "certificate")
    equal(len(secure().seen), before)


@test
def wrong_name():
    """A certificate for another name is refused"""
    one = trusting()
    other = server.Server("127.0.0.2", server.tls_context())
    refused(one.fetch(other.url("/", "127.0.0.2", "https")), FAILED, "tls", "127.0.0.2")
    other.close()
    one.close()


@test
def no_tls():
    """A server that speaks no TLS is a failure of TLS"""
    refused(fetcher.shared().fetch(server.shared().url("/", scheme="https")), FAILED, "tls")


@test
def policy_first():
    """The address is judged before anything is said"""
    refused(fetcher.shared().fetch(secure().url("/", "localhost", "https"), flags=0), REFUSED, "policy", "loopback")


@test
def downgrade():
    """A redirect from https to http is refused"""
    one = trusting()
    url = secure().url("/redirect?to=" + server.shared().url(), "localhost", "https")
    refused(one.fetch(url, flags=fetcher.ALLOW_PRIVATE | fetcher.FOLLOW), REFUSED, "redirect", "from https to")
    one.close()


@test
def no_such_file():
    """A file of authorities that is not there is an error at the start"""
    from client import Gone
    try:
        fetcher.Fetcher(extra=["--ca=/nowhere.pem"])
    except Gone as gone:
        assert "certificates" in gone.args[0], gone
        return
    raise AssertionError("it started")
