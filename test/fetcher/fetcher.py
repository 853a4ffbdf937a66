"""Talks to imgapi-fetcher as PostgreSQL does: src/protocol/fetch.h in Python."""
import array
import collections
import fcntl
import os
import socket
import struct

from client import Gone, spawn

MAGIC, VERSION = 0x696D6631, 1
START, CANCEL = 1, 2
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"]
ALLOW_PRIVATE, FOLLOW = 1, 2
NOWHERE, INLINE, MEMFD = 0, 1, 2
DONE, FAILED, TIMEOUT, LIMIT, REFUSED, CANCELLED = range(6)
STAGES = ["", "url", "policy", "resolve", "connect", "tls", "send", "transfer", "redirect"]
INLINE_LENGTH, MAX_HEADERS, MAX_URL = 16 * 1024, 16 * 1024, 8 * 1024
SEALS = 0x2 | 0x4 | 0x8         # shrink, grow, write

REQUEST = struct.Struct("=IHHQ HHHH QIIIIII QQ II")
REPLY = struct.Struct("=IHHQ HHHH qqQ IIIIII 48s IIII")

PROGRAM = os.environ["IMGAPI_FETCHER"]
PROBE = os.environ["IMGAPI_FETCHER_PROBE"]
# The sanitizers need system calls and memory that the sandbox refuses.
SANITIZED = PROGRAM.endswith("-asan")
SANDBOX = "off" if SANITIZED else "require"

Reply = collections.namedtuple(
    "Reply", "outcome id stage status redirects retry_after content_length resolve connect tls "
    "first_byte total address text origin headers body in_memfd")


class Fetcher:
    def __init__(self, sandbox=SANDBOX, transfers=256, extra=(), program=PROGRAM):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.next_id = 0
        memory = ["--memory=0"] if SANITIZED else []
        self.process = spawn(program, ["owned", "--sandbox=" + sandbox, "--transfers=%d" % transfers,
                                       *memory, *extra], {3: theirs.fileno()})
        theirs.close()
        self.ready = self.receive()
        if self.ready.outcome != DONE:
            raise Gone(self.ready.text)

    def request(self, url, method="GET", headers=(), body=b"", flags=ALLOW_PRIVATE, place=None, offset=0,
                length=None, bytes=1 << 20, connect_ms=5000, total_ms=20000, low_speed=0, low_speed_s=0,
                redirects=3, kind=START, number=None):
        if number is None:
            self.next_id += 1
            number = self.next_id
        url = url.encode() + b"\0"
        lines = b"".join(line.encode("latin1") + b"\0" for line in headers)
        if place is None:
            place = INLINE if body else NOWHERE
        length = len(body) if length is None else length
        return REQUEST.pack(MAGIC, VERSION, kind, number, METHODS.index(method), flags, place, 0, bytes,
                            connect_ms, total_ms, low_speed, low_speed_s, redirects, 0, offset, length,
                            len(url), len(lines)) + url + lines + (body if place == INLINE else b"")

    def send_raw(self, message, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([message], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone(self.process.wait(timeout=10))

    def start(self, url, fd=None, **given):
        """Sends a request and returns its id."""
        self.send_raw(self.request(url, **given), [] if fd is None else [fd])
        return self.next_id

    def cancel(self, number):
        self.send_raw(REQUEST.pack(MAGIC, VERSION, CANCEL, number, *[0] * 15))

    def receive(self):
        try:
            message, ancillary, flags, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(16))
        except ConnectionResetError:
            message, ancillary = b"", []
        if not message:
            raise Gone(self.process.wait(timeout=10))
        fds = array.array("i")
        for level, kind, data in ancillary:
            fds.frombytes(data[:len(data) - len(data) % 4])
        return parse(message, list(fds))

    def fetch(self, url, fd=None, **given):
        number = self.start(url, fd, **given)
        reply = self.receive()
        assert reply.id == number, "id of a reply"
        return reply

    def status(self, key):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith(key + ":"):
                    return line.split()[1]

    def descriptors(self):
        listing = "/proc/%d/fd" % self.process.pid
        return {int(fd): os.readlink(os.path.join(listing, fd)) for fd in os.listdir(listing)}

    def close(self):
        self.socket.close()
        return self.process.wait(timeout=10)


def parse(message, fds):
    (magic, version, outcome, number, stage, status, place, redirects, retry_after, content_length,
     body_length, resolve, connect, tls, first_byte, total, _, address, text_length, origin_length,
     headers_length, _) = REPLY.unpack_from(message)
    assert magic == MAGIC and version == VERSION, "magic of a reply"
    at = REPLY.size
    parts = []
    for length in (text_length, origin_length, headers_length):
        assert length == 0 or message[at + length - 1] == 0, "the end of a string"
        parts.append(message[at:at + length][:-1])
        at += length
    fields = parts[2].split(b"\0") if parts[2] else []
    headers = list(zip(fields[::2], fields[1::2]))
    body = message[at:]
    if place == MEMFD:
        assert not body and len(fds) == 1, "where a body is"
        assert fcntl.fcntl(fds[0], 1034) & SEALS == SEALS, "seals"
        assert os.fstat(fds[0]).st_size == body_length, "size of a body's file"
        body = os.pread(fds[0], body_length, 0)
    else:
        assert not fds, "descriptors without need"
    assert len(body) == body_length, "length of a body"
    for fd in fds:
        os.close(fd)
    return Reply(outcome, number, STAGES[stage], status, redirects, retry_after, content_length, resolve,
                 connect, tls, first_byte, total, address.rstrip(b"\0").decode(), parts[0].decode(),
                 parts[1].decode(), {name.decode(): value.decode("latin1") for name, value in headers},
                 body, place == MEMFD)


_shared = None


def shared():
    """The one that most tests use; a new one if a test has ended it."""
    global _shared
    if _shared is None or _shared.process.poll() is not None:
        _shared = Fetcher()
    return _shared


def refused(reply, outcome, stage, *words):
    assert (reply.outcome, reply.stage) == (outcome, stage), \
        "outcome %d at %r: %s" % (reply.outcome, reply.stage, reply.text)
    for word in words:
        assert word in reply.text, "%r is not in %r" % (word, reply.text)


def memfd(data):
    fd = os.memfd_create("body")
    view, done = memoryview(data), 0
    while done < len(data):
        done += os.write(fd, view[done:])
    return fd
