"""Sizes, times, and memory."""
import os
import threading
import time

import fetcher
from fetcher import CANCELLED, DONE, FAILED, LIMIT, TIMEOUT, refused
import server
from tap import equal, test


def get(path, **given):
    return fetcher.shared().fetch(server.shared().url(path), **given)


def took(function):
    begin = time.monotonic()
    function()
    return time.monotonic() - begin


@test
def size_announced():
    """An answer that announces too much is not received"""
    refused(get("/bytes?n=5000", bytes=4999), LIMIT, "transfer", "5000", "4999")
    equal(get("/bytes?n=5000", bytes=5000).outcome, DONE)
    refused(get("/bytes?n=1", bytes=0), LIMIT, "transfer")
    equal(get("/bytes?n=0", bytes=0).outcome, DONE)


@test
def size_unannounced():
    """An answer that announces nothing is cut off at the limit"""
    refused(get("/chunked?n=5000", bytes=4999), LIMIT, "transfer", "4999")
    refused(get("/chunked", bytes=300000), LIMIT, "transfer", "300000")
    refused(get("/until-close?n=50000", bytes=49999), LIMIT, "transfer")
    equal(get("/chunked?n=5000", bytes=5000).outcome, DONE)


@test
def size_of_head():
    """HEAD tells the size of what is too large to get"""
    equal(get("/bytes?n=5000", method="HEAD", bytes=10).content_length, 5000)


@test
def headers():
    """Headers are bounded in bytes and lines, even without end"""
    reply = get("/headers?count=100&length=100")
    equal((reply.outcome, len(reply.headers["x-100"])), (DONE, 100))
    refused(get("/headers?count=2&length=9000"), LIMIT, "transfer", "headers")
    refused(get("/headers?count=300&length=1"), LIMIT, "transfer", "headers")
    refused(get("/headers?count=0&length=50"), LIMIT, "transfer", "headers")
    refused(get("/headers?count=1&length=60000"), LIMIT, "transfer", "headers")
    # longer than a line may be for libcurl
    reply = get("/headers?count=1&length=200000")
    assert reply.outcome in (FAILED, LIMIT) and reply.stage == "transfer", reply


@test
def times():
    """A peer that does not answer, or too slowly, is given up in time"""
    seconds = took(lambda: refused(get("/never", total_ms=300), TIMEOUT, "send"))
    assert 0.25 < seconds < 2, seconds
    refused(get("/drip", total_ms=400), TIMEOUT, "transfer")
    seconds = took(lambda: refused(get("/drip", low_speed=1000, low_speed_s=1), TIMEOUT, "transfer", "too slow"))
    assert seconds < 5, seconds


@test
def connecting():
    """A peer that does not even connect, too"""
    import socket
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    others = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(full.getsockname())
        others.append(one)
    time.sleep(0.1)
    refused(fetcher.shared().fetch("http://127.0.0.1:%d/" % full.getsockname()[1], connect_ms=300), TIMEOUT, "connect")
    for one in others + [full]:
        one.close()


@test
def cancel():
    """A cancelled request is answered at once, others go on"""
    one = fetcher.shared()
    url = server.shared().url
    kept = one.start(url("/drip"), total_ms=1000)
    gone = one.start(url("/never"))
    begun = one.start(url("/drip"))
    time.sleep(0.2)
    for number in (gone, begun):
        begin = time.monotonic()
        one.cancel(number)
        reply = one.receive()
        equal((reply.id, reply.outcome), (number, CANCELLED))
        assert time.monotonic() - begin < 0.5
    one.cancel(gone)
    one.cancel(12345678)
    reply = one.receive()
    equal((reply.id, reply.outcome), (kept, TIMEOUT))
    equal(one.fetch(url("/")).outcome, DONE)


@test
def many_at_once():
    """500 at once: as many as are allowed run, the others wait, all are answered"""
    meeting = server.Server()
    one = fetcher.Fetcher(transfers=100)
    wanted = set()
    sender = threading.Thread(target=lambda: wanted.update(one.start(meeting.url("/meet?n=100")) for _ in range(500)))
    sender.start()
    replies = [one.receive() for _ in range(500)]
    sender.join()
    equal({reply.outcome for reply in replies}, {DONE})
    equal({reply.id for reply in replies}, wanted)
    equal(meeting.most, 100)
    equal(one.close(), 0)
    meeting.close()


@test
def owner_who_does_not_read():
    """Replies wait for an owner who is slow to read them, and none is lost"""
    one = fetcher.Fetcher(transfers=50)
    url = server.shared().url("/bytes?n=16000")
    large = server.shared().url("/bytes?n=20000")
    numbers = {one.start(large if i % 5 == 0 else url) for i in range(50)}
    deadline = time.monotonic() + 10
    before = None
    while time.monotonic() < deadline:
        served = len(server.shared().seen)
        if served == before:
            break
        before = served
        time.sleep(0.3)
    replies = [one.receive() for _ in range(50)]
    equal({reply.id for reply in replies}, numbers)
    equal({reply.outcome for reply in replies}, {DONE})
    equal(one.fetch(url).outcome, DONE)
    one.close()


@test
def memory():
    """100 MB in and out leave the process small"""
    if fetcher.SANITIZED:
        return
    big = server.Server()
    one = fetcher.Fetcher(transfers=8)
    size = 100 * 1024 * 1024
    before = int(one.status("VmHWM"))
    reply = one.fetch(big.url("/bytes?n=%d" % size), bytes=size, total_ms=60000)
    equal((reply.outcome, len(reply.body)), (DONE, size))
    del reply
    fd = fetcher.memfd(b"x" * size)
    equal(one.fetch(big.url("/echo"), method="PUT", fd=fd, place=fetcher.MEMFD, length=size,
                    total_ms=60000).outcome, DONE)
    os.close(fd)
    after = int(one.status("VmHWM"))
    print("# %d kB at most, %d kB before" % (after, before))
    assert after - before < 8 * 1024
    one.close()
    big.close()


@test
def memory_stays():
    """Thousands of requests leave neither memory nor descriptors behind"""
    one = fetcher.Fetcher(transfers=32)
    paths = ["/", "/bytes?n=20000", "/status?code=503", "/broken", "/redirect?to=/", "/chunked?n=3000",
             "/headers?count=300&length=1", "/gone"]

    def rounds(count):
        for _ in range(count):
            numbers = [one.start(server.shared().url(path), flags=3) for path in paths * 3]
            one.cancel(numbers[5])
            for _ in numbers:
                one.receive()

    rounds(15)
    before = int(one.status("VmRSS"))
    rounds(50)
    after = int(one.status("VmRSS"))
    print("# %d kB, %d kB before" % (after, before))
    if not fetcher.SANITIZED:
        assert after - before < 1024, "%d kB, %d kB before" % (after, before)
    left = one.descriptors()
    assert not [name for name in left.values() if "memfd" in name], left
    assert len(left) < 60, left
    one.close()
