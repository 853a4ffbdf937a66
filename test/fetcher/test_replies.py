"""What PostgreSQL does with replies, of which it trusts none."""
import fcntl
import os
import subprocess

import fetcher
from fetcher import DONE, INLINE, MAX_HEADERS, MEMFD, NOWHERE
from tap import equal, test

F_ADD_SEALS = 1033


def message(text=b"", origin=b"", headers=b"", body=b"", behind=b"", magic=fetcher.MAGIC, version=fetcher.VERSION,
            outcome=DONE, stage=0, place=INLINE, length=None, address=b"127.0.0.1", retry_after=0,
            content_length=-1, text_length=None, origin_length=None, headers_length=None):
    def given(value, default):
        return default if value is None else value

    return fetcher.REPLY.pack(
        magic, version, outcome, 77, stage, 200, place, 0, retry_after, content_length,
        given(length, len(body)), 0, 0, 0, 0, 0, 0, address, given(text_length, len(text)),
        given(origin_length, len(origin)), given(headers_length, len(headers)), 0) + text + origin + headers + body + behind


def taken(message, max_body=1 << 20, memfd=-1):
    return subprocess.run([fetcher.PROBE, "reply", str(max_body), str(memfd)], input=message, check=True,
                          pass_fds=[memfd] if memfd >= 0 else [], stdout=subprocess.PIPE).stdout.decode().strip("\n")


@test
def read():
    """A reply is read as it was sent"""
    equal(taken(message()), "77||||")
    equal(taken(message(b"why\0", b"http://h:1\0", b"a\0b\0etag\0\0a\0c\0", b"body")),
          "77|why|http://h:1|body|a=b|etag=|a=c (not the first)|")
    equal(taken(message(headers=b"a\0" + b"b" * (MAX_HEADERS - 3) + b"\0", body=b"x" * 16384))[:10], "77|||xxxxx")


@test
def distrusted():
    """A reply that contradicts itself, or what was agreed, is refused"""
    good = message(b"why\0", b"", b"a\0b\0", b"body")
    wrong = {
        "empty": b"", "short": good[:-1], "long": good + b"x", "header only": good[:50],
        "magic": message(magic=1), "version": message(version=2), "outcome": message(outcome=6),
        "stage": message(stage=9), "place": message(place=3), "address": message(address=b"x" * 48),
        "retry": message(retry_after=-1), "content length": message(content_length=-2),
        "body without place": message(place=NOWHERE, body=b"x"),
        "length without body": message(place=NOWHERE, length=5),
        "body too long": message(body=b"x" * 16385), "huge body": message(length=2**64 - 1),
        "no memfd": message(place=MEMFD, length=5),
        "text": message(b"why"), "two texts": message(b"a\0b\0"), "long text": message(b"x" * 600 + b"\0"),
        "origin": message(origin=b"x"), "long origin": message(origin=b"x" * 400 + b"\0"),
        "odd headers": message(headers=b"a\0b\0c\0"), "headers without end": message(headers=b"a\0b"),
        "long headers": message(headers=b"a\0" + b"b" * MAX_HEADERS + b"\0"),
        "text overlaps": message(headers=b"a\0b\0", text_length=5, headers_length=2**32 - 1),
        "lengths overflow": message(text_length=2**32 - 1, origin_length=1),
    }
    equal([name for name, bytes in wrong.items() if taken(bytes) != "refused"], [])
    equal(taken(message(body=b"12345"), max_body=4), "refused")
    equal(taken(message(body=b"12345"), max_body=5), "77|||12345|")


@test
def files():
    """A file has to be sealed and as long as is said"""
    size, all_seals = 100000, 0x2 | 0x4 | 0x8

    def with_file(seals, length=size, **given):
        fd = os.memfd_create("body", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
        answer = taken(message(place=MEMFD, length=length), memfd=fd, **given)
        os.close(fd)
        return answer

    equal(with_file(all_seals), "77||||")
    equal(with_file(all_seals | 0x1), "77||||")
    for missing in (0x2, 0x4, 0x8):
        equal(with_file(all_seals & ~missing), "refused")
    equal(with_file(0), "refused")
    equal(with_file(all_seals, length=size + 1), "refused")
    equal(with_file(all_seals, length=size - 1), "refused")
    equal(with_file(all_seals, max_body=size - 1), "refused")
    with open("/dev/zero") as device:
        equal(taken(message(place=MEMFD, length=5), memfd=device.fileno()), "refused")
