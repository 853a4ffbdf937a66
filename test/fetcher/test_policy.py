"""Which addresses may be reached."""
import subprocess

import fetcher
from fetcher import ALLOW_PRIVATE, DONE, REFUSED, refused
import server
from tap import equal, test

# Range, addresses at its ends, and their neighbours outside.
TABLE = [
    ("unspecified", ["0.0.0.0", "0.255.255.255", "::"], ["1.0.0.0"]),
    ("private", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
    ("private", ["172.16.0.0", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"]),
    ("private", ["192.168.0.0", "192.168.255.255"], ["192.167.255.255", "192.169.0.0"]),
    ("carrier-grade NAT", ["100.64.0.0", "100.127.255.255"], ["100.63.255.255", "100.128.0.0"]),
    ("loopback", ["127.0.0.1", "127.255.255.255", "::1"], ["126.255.255.255", "128.0.0.0"]),
    ("link-local", ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "febf::1"],
     ["169.253.255.255", "169.255.0.0"]),
    ("protocol assignment", ["192.0.0.1", "192.0.0.255", "2001:1::1", "2001:20::1"], ["192.0.1.0", "2001:200::1"]),
    ("documentation", ["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff:fff::1"],
     ["192.0.3.0", "198.51.101.0", "203.0.112.255", "2001:db9::1", "3ffe::1"]),
    ("6to4 relay", ["192.88.99.1"], ["192.88.98.255", "192.88.100.0"]),
    ("benchmark", ["198.18.0.0", "198.19.255.255", "2001:2::1"], ["198.17.255.255", "198.20.0.0"]),
    ("multicast", ["224.0.0.0", "239.255.255.255", "ff02::1"], ["223.255.255.255"]),
    ("reserved", ["240.0.0.0", "255.255.255.254", "4000::1", "::2:0:0:1"], []),
    ("broadcast", ["255.255.255.255"], []),
    ("unique local", ["fc00::1", "fdff::1"], []),
    ("site-local", ["fec0::1"], []),
    ("discard-only", ["100::1"], []),
    ("private NAT64", ["64:ff9b:1::808:808"], []),
    # an IPv4 address inside
    ("loopback", ["::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
                  "2002:7f00:1::", "2001::80ff:fffe"],
     ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::", "2001::f7f7:f7f7"]),
    ("link-local", ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"], []),
    ("private", ["::ffff:10.0.0.1", "64:ff9b::192.168.0.1", "2002:ac10:1::1"], []),
    ("carrier-grade NAT", ["::ffff:100.64.0.1"], []),
]

# The same address in other clothes.
LOOPBACK = ["127.0.0.1", "localhost", "LOCALHOST", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
            "0177.0.0.1", "017700000001", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:7f00:0001]"]


@test
def ranges():
    """Every range ends where it ends, and has its name"""
    wanted = [(address, kind) for kind, inside, _ in TABLE for address in inside]
    wanted += [(address, "public") for _, _, outside in TABLE for address in outside]
    wanted += [(address, "public") for address in ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00::1")]
    got = subprocess.run([fetcher.PROBE, "policy", *[address for address, _ in wanted]], check=True,
                         stdout=subprocess.PIPE, text=True).stdout.splitlines()
    equal(list(zip([address for address, _ in wanted], got)), wanted)


@test
def refused_by_default():
    """Every range is refused by default, by its name, and no packet sent"""
    for kind, addresses, _ in TABLE:
        for address in addresses:
            host = "[%s]" % address if ":" in address else address
            reply = fetcher.shared().fetch("http://%s:9/?secret" % host, flags=0)
            refused(reply, REFUSED, "policy", "not a public address", "(%s)" % kind)
            assert "secret" not in reply.text


@test
def allowed_by_flag():
    """Every range is tried with the flag"""
    for kind, addresses, _ in TABLE:
        for address in addresses:
            host = "[%s]" % address if ":" in address else address
            reply = fetcher.shared().fetch("http://%s:9/" % host, flags=ALLOW_PRIVATE, connect_ms=60)
            assert reply.stage not in ("policy", "resolve", "url"), "%s: %s" % (address, reply.text)


@test
def spellings():
    """Loopback is loopback, however it is spelled"""
    for host in LOOPBACK:
        reply = fetcher.shared().fetch(server.shared().url(host=host), flags=0)
        refused(reply, REFUSED, "policy", "(loopback)")
    for host in LOOPBACK[:8]:
        reply = fetcher.shared().fetch(server.shared().url(host=host))
        equal((reply.outcome, reply.body), (DONE, b"hello"), host + " " + reply.text)


@test
def kept_connection_of_another():
    """A connection that the flag has opened is not used without it"""
    url = server.shared().url("/")
    one = fetcher.Fetcher(transfers=4)
    for _ in range(3):
        equal(one.fetch(url).outcome, DONE)
        refused(one.fetch(url, flags=0), REFUSED, "policy", "127.0.0.1 is not a public address (loopback)")
    one.close()


@test
def both_at_once():
    """Nor while the other is under way"""
    url = server.shared().url("/")
    numbers = {fetcher.shared().start(url, flags=i % 2): i % 2 for i in range(60)}
    for _ in numbers:
        reply = fetcher.shared().receive()
        equal(reply.outcome, DONE if numbers[reply.id] else REFUSED)


@test
def ipv6():
    """The same holds for IPv6"""
    six = server.Server("::1")
    refused(fetcher.shared().fetch(six.url(host="[::1]"), flags=0), REFUSED, "policy", "::1 is not", "(loopback)")
    reply = fetcher.shared().fetch(six.url(host="[::1]"))
    equal((reply.outcome, reply.address), (DONE, "::1"))
    six.close()
