"""Talks to imgapi-executor as PostgreSQL does: src/protocol/wire.h in Python.

The numbers of slots and the positions of formats and operations are those of
src/operations and src/formats; a test fails when they move.
"""
import array
import collections
import math
import os
import signal
import socket
import struct
import subprocess
import tempfile

MAGIC, VERSION = 0x696D6731, 2
HELLO, EDIT, INFO, FORMATS, PHASH, BLURHASH, DOMINANT_COLOR, UNPACK = range(1, 9)
NOWHERE, INLINE, MEMFD = 0, 1, 2
DONE, BAD_PICTURE, UNSUPPORTED, LIMIT, TIMEOUT, BAD_PLAN, FAILURE, MISFIT = range(8)
INLINE_INPUT, INLINE_OUTPUT = 16 * 1024, 48 * 1024
FORMAT_NAMES = ["jpeg", "png", "webp", "gif", "tiff", "avif", "heic"]
OF_SOURCE = 0xFFFF
ALL_FORMATS = 0xFFFFFFFF
FIRST_FRAME, PROFILE = 1, 2
SLOTS = 12
(RESTORATIONS, GENERATIVE, TOPAZ, PRIVACY, ROTATE, FLIP, CROPPING, TRIM, RESIZING, ADJUSTMENTS, BLUR, GRAY,
 ROUND, CIRCLE, PADDING, BACKGROUND, WATERMARK, SLICE, GRID) = range(19)
AUTO, PX, PERCENT = 0, 1, 2
CROP, COVER, BOUNDS, CANVAS, OUTPAINT, FILL = range(6)
GRAVITIES = ["northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast"]
SINGLE_FRAME, AS_STORED, KEEP_EXIF = 1, 2, 4

REQUEST = struct.Struct("=IHHQ QIIII HHIQQ")
FACTS = struct.Struct("=HBBIIIII dd 16s24s")
REPLY = struct.Struct("=IHHQ HHIQqIIII")
PIECE = struct.Struct("=Q")
STEP = struct.Struct("=HHHH" + "d" * SLOTS)

Facts = collections.namedtuple(
    "Facts", "format has_alpha has_icc width height pages orientation unused "
    "lat lng color_space taken_at")
Reply = collections.namedtuple(
    "Reply", "outcome id stage text output started_at microseconds warnings source result pieces")


def step(operation, values, given=0):
    slots = [float(values.get(i, 0)) for i in range(SLOTS)]
    return STEP.pack(operation, given, 0, 0, *slots)


def length(value):
    """Number and unit of 100, "50%" or "auto"."""
    if value in (None, "auto"):
        return 0, AUTO
    if isinstance(value, str):
        return float(value.rstrip("%")), PERCENT
    return value, PX


def resizing(width=None, height=None, fit=CROP, smart=False, scale="both"):
    (w, wu), (h, hu) = length(width), length(height)
    return step(RESIZING, {0: w, 1: wu, 2: h, 3: hu, 4: fit, 5: int(smart),
                           6: ["both", "down", "up"].index(scale)})


def background(color=None):
    values = {2: 0xFFFFFFFF if color is None else color}
    return step(BACKGROUND, values, 0 if color is None else 1 << 2)


def rotate(degrees):
    return step(ROTATE, {0: degrees}, 1)


def flip(direction):
    return step(FLIP, {0: ["horizontal", "vertical", "both"].index(direction)}, 1)


def crop(x=0, y=0, width=0, height=0, gravity="northwest"):
    return step(CROPPING, {0: x, 1: y, 2: width, 3: height, 4: GRAVITIES.index(gravity)}, 31)


def watermark(gravity="center", x=0, y=0, scale=0, opacity=100, tile=0):
    return step(WATERMARK, {0: 1, 1: GRAVITIES.index(gravity), 2: x, 3: y, 4: scale, 5: opacity, 6: tile}, 127)


def circle(radius, gravity="center", x=0, y=0):
    return step(CIRCLE, {0: radius, 1: GRAVITIES.index(gravity), 2: x, 3: y}, 15)


def slices(size, direction="vertical"):
    return step(SLICE, {0: ["vertical", "horizontal"].index(direction), 1: size}, 3)


def grid(columns, rows):
    return step(GRID, {0: columns, 1: rows}, 3)


def trim(threshold=10):
    return step(TRIM, {0: 1, 1: threshold}, 3)


def adjustments(**given):
    names = ["hdr", "stitching", "exposure", "saturation", "contrast", "sharpness"]
    return step(ADJUSTMENTS, {names.index(name): value for name, value in given.items()}, 63)


def blur(sigma):
    return step(BLUR, {0: sigma}, 1)


def gray(on=1):
    return step(GRAY, {0: on}, 1)


def rounded(radius):
    number, unit = length(radius)
    return step(ROUND, {0: number, 1: unit}, 1)


def padding(unit, *sides):
    """Top, right, bottom and left."""
    return step(PADDING, dict(enumerate([*sides, unit])), 1)


def options(name, **given):
    """The option step of a format, with its defaults."""
    first = {"jpeg": {0: given.get("quality", 85), 1: given.get("progressive", 1)},
             "png": {0: given.get("compression", 2)},
             "webp": {0: given.get("lossless", 0), 1: given.get("quality", 75)},
             "gif": {},
             "tiff": {0: given.get("lossless", 1), 1: given.get("quality", 75)},
             "avif": {0: given.get("lossless", 0), 1: given.get("quality", 50)},
             "heic": {}}[name]
    return step(FORMAT_NAMES.index(name), first)


def plan(steps=(), format=None, dpi=0, cmyk=0, flags=0, quality=0, **given):
    number = OF_SOURCE if format is None else FORMAT_NAMES.index(format)
    output = options(format, **given) if format else step(0, {})
    metadata = step(0, {0: dpi, 1: cmyk, 2: -1})
    return struct.pack("=HHHBB", 3, len(steps), number, flags, quality) + output + metadata + b"".join(steps)


class Gone(Exception):
    """The executor has ended; the value is its status as subprocess has it."""


class Executor:
    """One executor in owned mode, with one slot."""

    def __init__(self, program, sandbox="require", memory=1024, extra=()):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        self.memfd = os.memfd_create("slot")
        self.next_id = 1
        self.process = spawn(program, ["owned", "--sandbox=" + sandbox, "--memory=%d" % memory, *extra],
                             {3: theirs.fileno()})
        theirs.close()
        self.ready = self.receive()
        if self.ready.outcome != DONE:
            raise Gone(self.ready.text)
        self.send_raw(self.request(HELLO, b"", NOWHERE, 0), [self.memfd])

    def request(self, kind, plan, place, input_length, other=0, **limits):
        self.next_id += 1
        return REQUEST.pack(
            MAGIC, VERSION, kind, self.next_id,
            limits.get("pixels", 100_000_000), limits.get("frames", 1000), limits.get("side", 16384),
            limits.get("milliseconds", 30000), limits.get("formats", ALL_FORMATS),
            place, 0, len(plan), input_length, other) + plan

    def send_raw(self, message, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([message], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone(self.process.wait())

    def receive(self):
        try:
            message = self.socket.recv(65536)
        except ConnectionResetError:
            message = b""
        if not message:
            raise Gone(self.process.wait())
        return self.parse(message)

    def parse(self, message):
        (magic, version, outcome, number, stage, place, text_length, output_length,
         started, microseconds, warnings, outputs, _) = REPLY.unpack_from(message)
        assert magic == MAGIC and version == VERSION, "magic of a reply"
        facts = [facts_of(message, REPLY.size + i * FACTS.size) for i in range(2)]
        at = REPLY.size + 2 * FACTS.size
        text = message[at:at + text_length].decode("ascii")
        if place == INLINE:
            output = message[at + text_length:]
        elif place == MEMFD:
            output = os.pread(self.memfd, output_length, 0)
        else:
            output = b""
        assert len(output) == output_length, "length of an output"
        pieces = pieces_of(output, outputs) if outputs > 1 else [(output, facts[1])] * outputs
        return Reply(outcome, number, stage, text, output, started, microseconds, warnings, *facts, pieces)

    def call(self, kind, data=b"", plan=b"", **limits):
        if len(data) <= INLINE_INPUT:
            self.send_raw(self.request(kind, plan, INLINE, len(data), **limits) + data)
        else:
            os.pwrite(self.memfd, data, 0)
            self.send_raw(self.request(kind, plan, MEMFD, len(data), **limits))
        reply = self.receive()
        assert reply.id == self.next_id, "id of a reply"
        return reply

    def edit(self, data, plan, other=b"", **limits):
        return self.call(EDIT, data + other, plan, other=len(other), **limits)

    def info(self, data, **limits):
        return self.call(INFO, data, **limits)

    def describe(self, kind, data, **limits):
        return self.call(kind, data, **limits)

    def formats(self):
        output = self.call(FORMATS).output
        return {name: tuple(output[i * 4:i * 4 + 2]) for i, name in enumerate(FORMAT_NAMES)}

    def status(self, key):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith(key + ":"):
                    return line.split()[1]

    def close(self):
        self.socket.close()
        os.close(self.memfd)
        return self.process.wait(timeout=10)


def pieces_of(output, count):
    """Several outputs: (bytes, facts) of each."""
    size = PIECE.size + FACTS.size
    at = count * size
    pieces = []
    for i in range(count):
        (length,) = PIECE.unpack_from(output, i * size)
        pieces.append((output[at:at + length], facts_of(output, i * size + PIECE.size)))
        at += length
    assert at == len(output), "length of several outputs"
    return pieces


def facts_of(message, at):
    values = list(FACTS.unpack_from(message, at))
    values[10] = values[10].split(b"\0")[0].decode()
    values[11] = values[11].split(b"\0")[0].decode()
    return Facts(*values)


def spawn(program, arguments, descriptors):
    """Starts a program with these descriptors, and three more it must close."""
    def arrange():
        spare = [os.dup(fd) for fd in descriptors.values()]
        for number, fd in zip(descriptors, spare):
            os.dup2(fd, 40 + number)
        for number in descriptors:
            os.dup2(40 + number, number)
        for fd in (20, 21, 22):
            os.dup2(2, fd)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG, signal.SIGALRM})
        signal.signal(signal.SIGALRM, signal.SIG_IGN)

    environment = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    return subprocess.Popen([program, *arguments], env=environment, close_fds=False,
                            preexec_fn=arrange, stdin=subprocess.DEVNULL)
