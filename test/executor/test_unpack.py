"""Archives: what comes out of them, and what does not."""
import io
import random
import struct
import zipfile

import client
from client import UNPACK
from setting import executor, refused
from tap import equal, test

ENTRY = struct.Struct("=QII")


def pack(files, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def unpack(data, **limits):
    reply = executor().call(UNPACK, data, **limits)
    equal(reply.outcome, client.DONE, reply.text)
    files, at = [], 0
    while at < len(reply.output):
        length, name_length, _ = ENTRY.unpack_from(reply.output, at)
        at += ENTRY.size
        name = reply.output[at:at + name_length].decode("utf-8")
        files.append((name, reply.output[at + name_length:at + name_length + length]))
        at += name_length + length
    equal(at, len(reply.output), "length of the list")
    return files


@test
def files_of_archives():
    """Every file comes out as it went in, stored or deflated, small or large."""
    chance = random.Random(5)
    files = [("a.png", b"short"), ("folder/b.png", chance.randbytes(3_000_000)), ("empty.png", b""),
             ("größe/日本.png", bytes(70_000)), ("c/d/e/f.png", chance.randbytes(100_000))]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        equal(unpack(pack(files, method)), files)
        equal(unpack(pack(files[:1], method)), files[:1])
    equal(unpack(pack([])), [])


@test
def no_files():
    """Folders and links are not files."""
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    equal(unpack(pack([("folder/", b""), (link, b"/etc/passwd"), ("a.png", b"a")])), [("a.png", b"a")])


@test
def archives_refused():
    """What is no zip archive, broken or encrypted says so."""
    refused(executor().call(UNPACK, b""), client.UNSUPPORTED, "not a zip archive")
    refused(executor().call(UNPACK, b"\x1f\x8b\x08" + bytes(100)), client.UNSUPPORTED, "not a zip archive")
    whole = pack([("a.png", random.Random(1).randbytes(50_000))])
    refused(executor().call(UNPACK, whole[:20_000]), client.BAD_PICTURE, "broken")
    locked = bytearray(pack([("a.png", b"a" * 100)]))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    refused(executor().call(UNPACK, bytes(locked)), client.UNSUPPORTED, "encrypted")


@test
def archives_too_large():
    """What comes out is counted, whatever the header says."""
    refused(executor().call(UNPACK, pack([("%d" % n, b"") for n in range(10_001)], zipfile.ZIP_STORED)),
            client.LIMIT, "10000")
    zeros = pack([("a", bytes(64 << 20))])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(9):
            with archive.open("%d" % n, "w") as file:
                for _ in range(16):
                    file.write(bytes(4 << 20))
    refused(executor().call(UNPACK, bomb.getvalue()), client.LIMIT, 512 << 20)
    small = bytearray(zeros)
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", small, small.index(magic) + at, 10)
    reply = executor().call(UNPACK, bytes(small))
    assert reply.outcome in (client.BAD_PICTURE, client.DONE), reply.text
    refused(executor().call(UNPACK, bomb.getvalue(), milliseconds=1), client.TIMEOUT)


@test
def damaged_archives():
    """Thousands of damaged archives end in an answer, never in silence."""
    chance = random.Random(11)
    whole = pack([("a.png", chance.randbytes(300)), ("b/c.png", b"b" * 2000), ("ü.png", b"c")])
    outcomes = set()
    for _ in range(2000):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(2, len(broken))] = chance.randrange(256)
        outcomes.add(executor().call(UNPACK, bytes(broken)).outcome)
    assert outcomes <= {client.DONE, client.BAD_PICTURE, client.UNSUPPORTED, client.LIMIT}, outcomes
