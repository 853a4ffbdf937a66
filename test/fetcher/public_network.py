"""A machine with a public address: public_network.py FUNCTION.

Runs in network and mount namespaces of its own (test_resolver.py makes them):
the loopback device has a public address too, /etc has a resolver
that asks us, and nothing of this is seen outside.
"""
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "executor"))

from client import Gone
import fetcher
from fetcher import DONE, FOLLOW, REFUSED, TIMEOUT, refused
import server
from tap import equal

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def add_address(name, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        sockaddr = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(control, 0x8916, struct.pack("16s16s8x", name, sockaddr))      # SIOCSIFADDR
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", name, 0x1 | 0x40))     # SIOCSIFFLAGS: up, running


def arrange():
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/etc"], check=True)
    write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    write("/etc/hosts", "127.0.0.1 localhost\n")
    write("/etc/nsswitch.conf", "hosts: files dns\n")
    add_address(b"lo", "127.0.0.1")
    add_address(b"lo:1", PUBLIC)
    add_address(b"lo:2", OTHER)


class NameServer:
    """Answers for A; names[name] is a list of answers to give in turn, each of
    some addresses. No answer at all for silent.*"""

    def __init__(self, **names):
        self.names = names
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(1000)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack_from(">H", query, at + 1)[0]
            question = query[12:at + 5]
            name = labels[0]
            if name == "silent":
                continue
            addresses = []
            if kind == 1 and name in self.names:
                answers = self.names[name]
                addresses = answers[min(self.asked.count(name), len(answers) - 1)]
                self.asked.append(name)
            flags = 0x8180 if name in self.names else 0x8183
            records = b"".join(struct.pack(">HHHIH4s", 0xC00C, 1, 1, 0, 4, socket.inet_aton(address))
                               for address in addresses)
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0) +
                               question + records, peer)


def get(one, url, **given):
    given.setdefault("flags", FOLLOW)
    return one.fetch(url, **given)


def public():
    NameServer(site=[[PUBLIC]])
    outside = server.Server(PUBLIC)
    one = fetcher.Fetcher()
    for host in (PUBLIC, "site.example.com"):
        reply = get(one, outside.url(host=host))
        equal((reply.outcome, reply.body, reply.address), (DONE, b"hello", PUBLIC), reply.text)
    one.close()


def redirect_to_private():
    NameServer(site=[[PUBLIC]], inner=[["127.0.0.1"]], metadata=[["169.254.169.254"]])
    outside, private = server.Server(PUBLIC), server.Server("127.0.0.1")
    one = fetcher.Fetcher()
    for target in (private.url("/?hush"), private.url("/?hush", "localhost"), private.url("/?hush", "0x7f.1"),
                   private.url("/?hush", "inner.example.com"), private.url("/?hush", "[::ffff:127.0.0.1]"),
                   "http://169.254.169.254/latest/meta-data/?hush", "http://metadata.example.com/?hush"):
        url = target
        for _ in range(2):
            url = outside.url("/redirect?" + urllib.parse.urlencode({"to": url}), "site.example.com")
            reply = get(one, url)
            refused(reply, REFUSED, "policy", "is not a public address")
            assert "hush" not in reply.text, reply.text
    equal(private.seen, [])
    one.close()


def answers_that_change():
    names = NameServer(turn=[[PUBLIC], ["127.0.0.1"]], flip=[[PUBLIC], ["127.0.0.1"]] * 500)
    outside = server.Server(PUBLIC)
    private = server.Server("127.0.0.1", port=outside.port)
    url = outside.url(host="turn.example.com")
    one = fetcher.Fetcher()
    equal(get(one, url).outcome, DONE)
    one.close()
    one = fetcher.Fetcher()
    refused(get(one, url), REFUSED, "policy", "127.0.0.1", "(loopback)")
    one.close()
    outcomes = set()
    # which of the two answers a fetcher gets is the resolver's luck
    for _ in range(60):
        if len(outcomes) == 2:
            break
        one = fetcher.Fetcher(transfers=20)
        for _ in range(20):
            one.start(outside.url(host="flip.example.com"), flags=FOLLOW)
        outcomes |= {(reply.outcome, reply.stage) for reply in (one.receive() for _ in range(20))}
        one.close()
    equal(outcomes, {(DONE, ""), (REFUSED, "policy")})
    equal(private.seen, [])
    assert len(names.asked) > 10, "the names were asked for"


def several_addresses():
    NameServer(mixed=[["127.0.0.1", PUBLIC, "10.0.0.1"]], dead=[["127.0.0.1", OTHER]], inner=[["10.0.0.1", "127.0.0.1"]])
    outside = server.Server(PUBLIC)
    private = server.Server("127.0.0.1", port=outside.port)
    one = fetcher.Fetcher()
    reply = get(one, outside.url(host="mixed.example.com"))
    equal((reply.outcome, reply.address), (DONE, PUBLIC), reply.text)
    refused(get(one, outside.url(host="dead.example.com")), fetcher.FAILED, "connect")
    refused(get(one, outside.url(host="inner.example.com")), REFUSED, "policy")
    equal(private.seen, [])
    one.close()


def silent_server():
    NameServer(site=[[PUBLIC]])
    outside = server.Server(PUBLIC)
    one = fetcher.Fetcher(transfers=50)
    begin = time.monotonic()
    waiting = {one.start("http://silent.example%d.com/" % i, total_ms=700, flags=0) for i in range(20)}
    cancelled = one.start("http://silent.example.com/", flags=0)
    site = one.start(outside.url(host="site.example.com"), flags=0)
    one.cancel(cancelled)
    first = [one.receive(), one.receive()]
    equal({(reply.id, reply.outcome) for reply in first}, {(cancelled, fetcher.CANCELLED), (site, DONE)})
    assert time.monotonic() - begin < 0.6, "it waited"
    for _ in list(waiting):
        reply = one.receive()
        refused(reply, TIMEOUT, "resolve")
        waiting.discard(reply.id)
    equal(waiting, set())
    assert time.monotonic() - begin < 2, "it waited"
    one.start("http://silent.example.com/", flags=0)
    time.sleep(0.1)
    begin = time.monotonic()
    equal(one.close(), 0)
    assert time.monotonic() - begin < 1, "it waited"


def new_name_server():
    NameServer(site=[[PUBLIC]])
    outside = server.Server(PUBLIC)
    one = fetcher.Fetcher()
    if one.ready.text == "off":
        return
    equal(get(one, outside.url(host="site.example.com")).outcome, DONE)
    refused(get(one, "http://nothing.example.com/"), fetcher.FAILED, "resolve", "nothing.example.com")
    equal(get(one, outside.url(host=PUBLIC)).outcome, DONE)
    write("/etc/resolv.conf", "# another\nnameserver 127.0.0.1\n")
    slow = one.start(outside.url("/drip", PUBLIC), flags=0, total_ms=1000)
    refused(get(one, "http://nothing.example.com/"), fetcher.FAILED, "resolve")
    equal((one.receive().id), slow)
    try:
        one.receive()
    except Gone as gone:
        equal(gone.args[0], 0)
        return
    raise AssertionError("it stayed")


arrange()
globals()[sys.argv[1]]()
