"""The process: its socket, its sandbox, its beginning and its end."""
import os
import random
import socket
import subprocess
import tempfile
import time

from client import Gone
import fetcher
from fetcher import DONE, SANITIZED
import server
from tap import equal, test


def ends(message, fds=()):
    """A fetcher that is told nonsense ends by itself, not by a signal."""
    one = fetcher.Fetcher(transfers=4)
    try:
        one.send_raw(message, fds)
        one.receive()
    except Gone as gone:
        assert gone.args[0] == 1, "status %r" % gone.args
        return
    raise AssertionError("it answered")


@test
def confined():
    """It runs under seccomp and Landlock, without new privileges, with the descriptors it needs"""
    if SANITIZED:
        return
    one = fetcher.Fetcher()
    equal(one.ready.text, "seccomp+landlock")
    equal((one.status("Seccomp"), one.status("NoNewPrivs")), ("2", "1"))
    equal(one.status("SigBlk"), "0" * 16)
    equal(os.readlink("/proc/%d/cwd" % one.process.pid), "/")
    kinds = sorted(name.split(":")[0] for name in one.descriptors().values())
    equal([kind for kind in kinds if kind not in ("socket", "anon_inode")], ["/dev/null"] * 3)
    with open("/proc/%d/limits" % one.process.pid) as file:
        limits = file.read()
    for line in ("Max core file size        0 ",):
        assert line in limits, limits
    equal(one.close(), 0)


@test
def sandbox():
    """Inside, the network and the resolver's files are all there is"""
    if SANITIZED:
        return
    with tempfile.NamedTemporaryFile() as file, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(file.name + ".socket")
        listener.listen()
        lines = subprocess.run([fetcher.PROBE, "sandbox", file.name, listener.getsockname()],
                               stdout=subprocess.PIPE, text=True, timeout=20, check=True).stdout.splitlines()
        os.unlink(listener.getsockname())
    at = lines.index("inside seccomp+landlock")
    outside = dict(line.split() for line in lines[:at])
    inside = dict(line.split() for line in lines[at + 1:])
    equal(set(outside.values()), {"yes"}, "outside")
    equal([name for name, works in inside.items() if works == "yes"],
          ["read_hosts", "internet_socket", "internet6_socket", "memory_file", "thread", "resolve"])


@test
def arguments():
    """It does not start with arguments it does not know"""
    for given in ([], ["pool"], ["owned", "--sandbox=maybe"], ["owned", "--transfers=0"], ["owned", "--what"]):
        done = subprocess.run([fetcher.PROGRAM, *given], stderr=subprocess.PIPE, timeout=10)
        equal(done.returncode, 2)
        assert b"usage" in done.stderr


@test
def parents():
    """It stays with the parent it was started for, and with no other"""
    equal(fetcher.Fetcher(extra=["--parent=%d" % os.getpid()]).close(), 0)
    try:
        fetcher.Fetcher(extra=["--parent=1"])
    except Gone as gone:
        equal(gone.args[0], 1)
        return
    raise AssertionError("it started")


@test
def end_of_owner():
    """It ends at once when its owner closes the socket, whatever is under way"""
    one = fetcher.Fetcher(transfers=4)
    for _ in range(8):
        one.start(server.shared().url("/never"))
    time.sleep(0.1)
    begin = time.monotonic()
    equal(one.close(), 0)
    assert time.monotonic() - begin < 1


@test
def nonsense():
    """Messages that are no requests end it, without a crash"""
    one = fetcher.Fetcher()
    url = server.shared().url()
    good = one.request(url)
    random.seed(3)
    ends(b"x")
    ends(random.randbytes(500))
    ends(random.randbytes(60000))
    ends(b"????" + good[4:])
    ends(good[:4] + b"\x09\x00" + good[6:])
    ends(good + b"behind")
    ends(good[:-1])
    ends(good[:-1] + b"x")
    ends(one.request(url + "\0behind"))
    ends(one.request(url, kind=7))
    ends(one.request(url, number=0))
    ends(one.request(url, flags=64))
    ends(one.request(url, redirects=4))
    ends(one.request(url, body=b"x" * 20000, method="PUT"))
    ends(one.request(url, body=b"x"))
    ends(one.request(url, length=2**63, place=fetcher.INLINE, method="PUT"))
    ends(one.request(url + "x" * 9000))
    ends(one.request(url, headers=["X: " + "y" * 17000]))
    ends(one.request(url, place=fetcher.MEMFD, length=5, method="PUT"))
    one.close()


@test
def wrong_files():
    """A body that its file does not hold ends it too"""
    one = fetcher.Fetcher()
    fd = fetcher.memfd(b"12345")
    for offset, length in ((0, 6), (5, 1), (2**63, 2**63), (1, 2**64 - 1)):
        ends(one.request(server.shared().url(), place=fetcher.MEMFD, offset=offset, length=length, method="PUT"), [fd])
    with open("/dev/zero") as device:
        ends(one.request(server.shared().url(), place=fetcher.MEMFD, length=1, method="PUT"), [device.fileno()])
    one.close()
    os.close(fd)


@test
def shortened_body():
    """A body that is shortened on the way fails that request"""
    one = fetcher.shared()
    fd = fetcher.memfd(b"x" * 50_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one.start("http://127.0.0.1:%d/" % listener.getsockname()[1], method="PUT", place=fetcher.MEMFD,
                  length=50_000_000, fd=fd, headers=["Expect:"])
        peer = listener.accept()[0]
        peer.recv(1000)
        os.ftruncate(fd, 0)
        while peer.recv(1 << 20):
            pass
        fetcher.refused(one.receive(), fetcher.FAILED, "send", "body of the request")
        peer.close()
    os.close(fd)
    equal(one.fetch(server.shared().url()).outcome, DONE)


@test
def unused_files():
    """Descriptors that a request does not need are closed"""
    one = fetcher.Fetcher(transfers=4)
    equal(one.fetch(server.shared().url()).outcome, DONE)
    before = len(one.descriptors())
    fd = fetcher.memfd(b"12345")
    for _ in range(5):
        equal(one.fetch(server.shared().url(), fd=fd).outcome, DONE)
    equal(len(one.descriptors()), before)
    os.close(fd)
    one.close()


@test
def few_descriptors():
    """With few descriptors allowed it does fewer at once, and all"""
    program = "#!/bin/sh\nulimit -n 104\nexec '%s' \"$@\"\n" % fetcher.PROGRAM
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "few")
        with open(path, "w") as file:
            file.write(program)
        os.chmod(path, 0o755)
        one = fetcher.Fetcher(program=path)
        meeting = server.Server()
        for _ in range(20):
            one.start(meeting.url("/meet?n=5"))
        equal({one.receive().outcome for _ in range(20)}, {DONE})
        equal(meeting.most, 5)
        equal(one.close(), 0)
        meeting.close()
