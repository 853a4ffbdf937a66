"""HEIC and AVIF by the programs of libheif: nothing here goes through libvips."""
import os
import struct
import subprocess
import tempfile

import fixtures

# Each orientation of EXIF as HEIF says it: quarters anticlockwise, then a
# mirror: 0 exchanges top and bottom, 1 left and right.
TRANSFORMS = {1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (1, 1), 8: (1, None)}


def encode(image, suffix=".heic", quality=95, chroma="chroma=444", others=()):
    """A file of an image of PIL; others become further images in it."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, each in enumerate([image, *others]):
            names.append(os.path.join(folder, "%d.png" % number))
            each.save(names[-1])
        target = os.path.join(folder, "a" + suffix)
        command = ["heif-enc", "-q", str(quality), "-p", chroma, "-o", target, *names]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(target, "rb") as file:
            return file.read()


def decode(data, suffix=".heic"):
    """What libheif sees, upright."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a" + suffix), os.path.join(folder, "b.png")
        with open(source, "wb") as file:
            file.write(data)
        subprocess.run(["heif-convert", source, target], check=True, stdout=subprocess.DEVNULL)
        with open(target, "rb") as file:
            return fixtures.decode(file.read())


def box(name, body):
    return struct.pack(">I4s", 8 + len(body), name) + body


def boxes(data):
    """Names and bodies of the boxes that lie one behind the other."""
    found, at = [], 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at + 8:at + length]))
        at += length
    return found


def _associate(ipma, properties):
    """Adds properties, by their numbers, to the first item."""
    version_flags, entries, item, count = struct.unpack_from(">IIHB", ipma)
    assert version_flags == 0 and entries >= 1, "ipma"
    added = bytes(0x80 | number for number in properties)
    end = 11 + count
    return struct.pack(">IIHB", version_flags, entries, item, count + len(added)) + ipma[11:end] + added + ipma[end:]


def oriented(data, orientation):
    """
    The same file with irot and imir. The old description becomes free space
    and a new one goes behind, so that nothing else has to move.
    """
    turn, mirror = TRANSFORMS[orientation]
    added = ([box(b"irot", bytes([turn]))] if turn else []) + ([box(b"imir", bytes([mirror]))] if mirror is not None else [])
    top = boxes(data)
    meta = dict(top)[b"meta"]
    parts = []
    for name, body in boxes(meta[4:]):
        if name == b"iprp":
            container, association = boxes(body)
            count = len(boxes(container[1]))
            body = (box(b"ipco", container[1] + b"".join(added)) +
                    box(b"ipma", _associate(association[1], range(count + 1, count + 1 + len(added)))))
        parts.append(box(name, body))
    return (b"".join(box(b"free" if name == b"meta" else name, body) for name, body in top) +
            box(b"meta", meta[:4] + b"".join(parts)))
