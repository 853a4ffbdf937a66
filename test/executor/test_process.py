"""The process: its sockets, its sandbox, its beginning and its end."""
import os
import signal
import socket
import struct
import time

import client
from client import BOUNDS, gray, resizing
import fixtures
from setting import PROGRAM, SANDBOX, SANITIZED, edit, executor, refused, start
from tap import equal, test


def ends(action):
    """An executor that is told nonsense ends by itself, not by a signal."""
    one = start()
    try:
        action(one)
        one.receive()
    except client.Gone as gone:
        assert gone.args[0] in (0, 1), "status %r" % gone.args
        return
    raise AssertionError("it answered")


@test
def confined():
    """It runs under seccomp, without new privileges, with the descriptors it was given."""
    if SANITIZED:
        return
    one = start()
    equal(one.ready.text, "seccomp")
    equal((one.status("Seccomp"), one.status("NoNewPrivs")), ("2", "1"))
    time.sleep(0.05)
    listing = "/proc/%d/fd" % one.process.pid
    equal(sorted(map(int, os.listdir(listing))), [0, 1, 2, 3, 4])
    equal(os.readlink("/proc/%d/cwd" % one.process.pid), "/")
    for task in os.listdir("/proc/%d/task" % one.process.pid):
        with open("/proc/%d/task/%s/status" % (one.process.pid, task)) as file:
            assert "Seccomp:\t2" in file.read(), "a thread outside the sandbox"
    equal(one.close(), 0)


@test
def signals_reset():
    """Signals that PostgreSQL leaves blocked or ignored are as new."""
    one = start()
    equal(one.status("SigBlk"), "0" * 16)
    ignored = int(one.status("SigIgn"), 16)
    assert not ignored & 1 << (signal.SIGALRM - 1)
    one.close()


@test
def sandbox_off():
    """Without a sandbox it says so."""
    one = start(sandbox="off")
    equal(one.ready.text, "off")
    equal(one.close(), 0)


@test
def arguments():
    """It does not start with arguments it does not know."""
    import subprocess
    for arguments in ([], ["nonsense"], ["owned", "--sandbox=maybe"], ["owned", "--what"]):
        done = subprocess.run([PROGRAM, *arguments], stderr=subprocess.PIPE, timeout=10)
        equal(done.returncode, 2)
        assert b"usage" in done.stderr


@test
def wrong_parent():
    """It ends when its parent is not the one it was started for."""
    try:
        start(extra=("--parent=1",))
    except client.Gone as gone:
        equal(gone.args[0], 1)
        return
    raise AssertionError("it started")


@test
def right_parent():
    """It stays with the parent it was started for."""
    one = start(extra=("--parent=%d" % os.getpid(),))
    equal(one.close(), 0)


@test
def end_of_owner():
    """It ends with status 0 when its owner closes the socket."""
    equal(start().close(), 0)


@test
def nonsense():
    """Messages that are no requests end it, without a crash."""
    good = executor().request(client.EDIT, client.plan(), client.INLINE, 0)
    ends(lambda one: one.send_raw(b"x"))
    ends(lambda one: one.send_raw(fixtures.noise(500)))
    ends(lambda one: one.send_raw(fixtures.noise(60000)))
    ends(lambda one: one.send_raw(b"????" + good[4:]))
    ends(lambda one: one.send_raw(good[:4] + b"\x09\x00" + good[6:]))
    ends(lambda one: one.send_raw(good + b"behind"))
    ends(lambda one: one.send_raw(good[:-1]))
    ends(lambda one: one.send_raw(one.request(client.EDIT, client.plan(), client.INLINE, 2**63)))
    ends(lambda one: one.send_raw(one.request(client.EDIT, client.plan(), 7, 0)))


@test
def wrong_requests():
    """Requests that cannot be done are answered."""
    one = executor()
    refused(one.call(99), client.BAD_PLAN)
    for wrong in (b"", b"x", fixtures.noise(1000), client.plan()[:-1], client.plan() + b"\0",
                  b"\x63\x00" + client.plan()[2:], client.plan([client.step(77, {})]),
                  client.plan([resizing(float("nan"), 5)]), client.plan([resizing(1e300, 5)]),
                  client.plan([resizing(-4, 5)]), client.plan([resizing(1.5, 5)]),
                  client.plan([resizing(5, 5, 17)]), client.plan([client.slices(5), client.grid(2, 2)]),
                  client.plan(flags=8), client.plan(quality=101), client.plan([gray()] * 17)):
        refused(one.edit(b"", wrong), client.BAD_PLAN)
    one.send_raw(one.request(client.EDIT, client.plan(), client.MEMFD, 10**9))
    refused(one.receive(), client.FAILURE)
    one.send_raw(one.request(client.EDIT, client.plan(), client.MEMFD, 2**62))
    refused(one.receive(), client.FAILURE)


@test
def several_deep():
    """Requests that wait are answered in order."""
    one = start()
    data = fixtures.encode(fixtures.smooth(30, 20), "png")
    plan = client.plan([resizing(10, 10)], "jpeg")
    for _ in range(8):
        one.send_raw(one.request(client.EDIT, plan, client.INLINE, len(data)) + data)
    replies = [one.receive() for _ in range(8)]
    equal([reply.id for reply in replies], list(range(one.next_id - 7, one.next_id + 1)))
    equal({reply.outcome for reply in replies}, {client.DONE})
    one.close()


@test
def large_results():
    """Large results come back in the memfd, and the source may lie there too."""
    from PIL import Image
    image = Image.effect_noise((600, 400), 90).convert("RGB")
    data = fixtures.encode(image, "png")
    assert len(data) > client.INLINE_INPUT
    reply = edit(data, format="png")
    assert len(reply.output) > client.INLINE_OUTPUT
    equal(fixtures.decode(reply.output).tobytes(), image.tobytes())


@test
def facts_of_failures():
    """A failure tells when it began, and what is known of the source."""
    reply = edit(fixtures.encode(fixtures.smooth(), "jpeg"), format="png", limits={"pixels": 5})
    equal((reply.source.width, reply.source.format, reply.result.format), (300, 0, 0xFFFF))
    assert abs(reply.started_at / 1e6 - time.time()) < 5 and reply.microseconds < 1e6


class Pool:
    """A listening socket and executors behind it."""

    def __init__(self, count=2):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind("\0imgapi-test-%d-%d" % (os.getpid(), time.monotonic_ns()))
        self.listener.listen(64)
        self.controls, self.processes = [], []
        for _ in range(count):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.processes.append(client.spawn(
                PROGRAM, ["pool", "--sandbox=" + SANDBOX, "--memory=%d" % (0 if SANITIZED else 512)],
                {3: self.listener.fileno(), 4: theirs.fileno()}))
            theirs.close()
            self.controls.append(ours)
            assert len(ours.recv(4096)) > client.REPLY.size, "ready"

    def connect(self):
        return Connection(self.listener.getsockname())

    def close(self):
        for control in self.controls:
            control.close()
        statuses = [process.wait(timeout=10) for process in self.processes]
        self.listener.close()
        return statuses


class Connection(client.Executor):
    """A client of the pool: one socket, a memfd that goes along."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(address)
        self.memfd = os.memfd_create("input")
        self.next_id = 1

    def send_raw(self, message, fds=()):
        super().send_raw(message, fds or [self.memfd])

    def close(self):
        self.socket.close()
        os.close(self.memfd)


@test
def pool():
    """A pool answers connections, small and large, one after the other and at once."""
    pool = Pool()
    small = fixtures.encode(fixtures.smooth(), "jpeg")
    from PIL import Image
    large = fixtures.encode(Image.effect_noise((600, 400), 90).convert("RGB"), "png")
    for data in (small, large):
        one = pool.connect()
        for _ in range(3):
            equal(one.edit(data, client.plan([resizing(20, 20)], "png")).outcome, client.DONE)
        equal(len(one.edit(data, client.plan([], "png")).output) > 1000, True)
        one.close()
    many = [pool.connect() for _ in range(6)]
    for one in many:
        one.send_raw(one.request(client.EDIT, client.plan([resizing(20, 20)], "jpeg"), client.INLINE, len(small)) + small)
    for one in many:
        equal(one.receive().outcome, client.DONE)
    for one in many:
        one.close()
    equal(pool.close(), [0, 0])


@test
def idle_connections():
    """Connections that ask nothing do not keep others waiting."""
    pool = Pool(1)
    idle = [pool.connect() for _ in range(3)]
    begin = time.monotonic()
    one = pool.connect()
    data = fixtures.encode(fixtures.smooth(), "jpeg")
    equal(one.edit(data, client.plan([resizing(20, 20)], "jpeg")).outcome, client.DONE)
    took = time.monotonic() - begin
    assert took < 1.5, "it took %.2f s" % took
    for connection in idle + [one]:
        connection.close()
    equal(pool.close(), [0])


@test
def hang_up():
    """Work stops when the client hangs up."""
    from PIL import Image
    pool = Pool(1)
    slow = fixtures.jpeg_of_many_scans(1000)
    one = pool.connect()
    os.pwrite(one.memfd, slow, 0)
    one.send_raw(one.request(client.EDIT, client.plan([], "jpeg"), client.MEMFD, len(slow)))
    time.sleep(0.2)
    one.close()
    begin = time.monotonic()
    other = pool.connect()
    data = fixtures.encode(fixtures.smooth(), "jpeg")
    equal(other.edit(data, client.plan([resizing(20, 20)], "jpeg")).outcome, client.DONE)
    assert time.monotonic() - begin < (5 if SANITIZED else 0.5), "it went on"
    other.close()
    equal(pool.close(), [0])


@test
def nonsense_in_pool():
    """A client that talks nonsense loses its connection, and nobody else does."""
    pool = Pool(1)
    for message in (b"x", fixtures.noise(3000), fixtures.noise(65000)):
        one = pool.connect()
        one.socket.sendall(message)
        equal(one.socket.recv(65536), b"")
        one.close()
    one = pool.connect()
    equal(one.edit(b"", client.plan()).outcome, client.BAD_PICTURE)
    one.close()
    equal(pool.close(), [0])


@test
def memory_stays():
    """Hundreds of different pictures leave no memory behind."""
    if SANITIZED:
        return
    import random
    from PIL import Image
    random.seed(5)
    one = start()
    formats = ["jpeg", "png", "webp", "gif", "tiff"]
    for i in range(300):
        size = random.randint(20, 900), random.randint(20, 900)
        data = fixtures.encode(Image.new("RGB", size, (i % 256, 99, 9)), random.choice(formats))
        reply = one.edit(data, client.plan([resizing(random.randint(5, 400), fit=BOUNDS)], random.choice(formats)))
        equal(reply.outcome, client.DONE, reply.text)
    resident = int(one.status("VmRSS")) / 1024
    print("# %.1f MB resident" % resident)
    assert resident < 64
    one.close()


@test
def memory_is_kept():
    """What a large picture needed, the next one takes; who has nothing to do gives it back."""
    if SANITIZED:
        return
    one = start()
    data = fixtures.encode(fixtures.smooth(300, 200).resize((3600, 2400)), "jpeg", progressive=True)

    def faults():
        with open("/proc/%d/stat" % one.process.pid) as file:
            return int(file.read().rsplit(")", 1)[1].split()[7])

    for _ in range(3):
        before = faults()
        equal(one.edit(data, client.plan([gray()], "png")).outcome, client.DONE)
    # pixels alone fill 6,300 pages
    print("# %d faults" % (faults() - before))
    assert faults() - before < 3000
    waited = time.monotonic() + 10
    while int(one.status("VmRSS")) / 1024 > 64:
        assert time.monotonic() < waited, "memory is kept for nobody"
        time.sleep(0.02)
    one.close()
