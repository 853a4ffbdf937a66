"""Pictures for the tests, made when they run: nothing binary lies in the tree."""
import io
import os
import random
import struct
import subprocess
import tempfile
import zlib

from PIL import Image, ImageCms, ImageDraw


def encode(image, format, **given):
    buffer = io.BytesIO()
    image.save(buffer, format, **given)
    return buffer.getvalue()


def decode(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def by_vips(image, suffix, *options):
    """What PIL cannot write: AVIF and HEIC."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a.png"), os.path.join(folder, "b" + suffix)
        image.save(source)
        subprocess.run(["vips", "heifsave", source, target, *options], check=True)
        with open(target, "rb") as file:
            return file.read()


def read_by_vips(data, suffix):
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a" + suffix), os.path.join(folder, "b.png")
        with open(source, "wb") as file:
            file.write(data)
        subprocess.run(["vips", "copy", source, target], check=True)
        return decode(open(target, "rb").read())


def open_result(data, format):
    return read_by_vips(data, ".avif") if format == "avif" else decode(data)


def quarters(width=120, height=80, mode="RGB"):
    """Four quarters of different colours: shows which way is up."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for i, color in enumerate([(220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 220, 60)]):
        left, top = i % 2 * width // 2, i // 2 * height // 2
        draw.rectangle([left, top, left + width // 2, top + height // 2], fill=color)
    return image.convert(mode)


def smooth(width=300, height=200):
    """Gradients: any scaling keeps them, any shift shows."""
    image = Image.new("RGB", (width, height))
    image.putdata([(255 * x // width, 255 * y // height, 255 * (x + y) // (width + height))
                   for y in range(height) for x in range(width)])
    return image


def translucent(width=120, height=80):
    """A red disk that fades out, over nothing."""
    image = Image.new("RGBA", (width, height), (0, 255, 0, 0))
    draw = ImageDraw.Draw(image)
    for r in range(min(width, height) // 2, 0, -1):
        draw.ellipse([width // 2 - r, height // 2 - r, width // 2 + r, height // 2 + r],
                     fill=(255, 0, 0, 255 - 510 * r // min(width, height)))
    return image


def animation(format="gif", frames=4, size=(40, 30)):
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    images = [Image.new("RGB", size, colors[i % 4]) for i in range(frames)]
    return encode(images[0], format, save_all=True, append_images=images[1:],
                  duration=[100 * (i + 1) for i in range(frames)], loop=3)


def all_sources():
    image = smooth()
    sources = {name: encode(image, name) for name in ("jpeg", "png", "webp", "gif", "tiff")}
    sources["avif"] = by_vips(image, ".avif", "--compression", "av1", "--Q", "80")
    sources["heic"] = by_vips(image, ".heic", "--compression", "hevc", "--Q", "80")
    return sources


def exif(orientation=None, taken=None, place=None):
    """place: degrees, minutes and seconds with a letter, twice."""
    tags = Image.Exif()
    if orientation is not None:
        tags[0x0112] = orientation
    if taken is not None:
        tags[0x8769] = {0x9003: taken}
    if place is not None:
        (lat, lat_letter), (lng, lng_letter) = place
        tags[0x8825] = {1: lat_letter, 2: lat, 3: lng_letter, 4: lng}
    return tags


def oriented(orientation):
    """Looks like quarters() to anyone who heeds the orientation."""
    undo = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
            5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}[orientation]
    image = quarters()
    if undo is not None:
        image = image.transpose(undo)
    return image


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_claiming(width, height, extra=b""):
    """A small PNG that unpacks to width x height."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes((width + 7) // 8 + 1)
    body = b"".join(packer.compress(row) for _ in range(min(height, 2000))) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra +
            png_chunk(b"IDAT", body) + png_chunk(b"IEND", b""))


def jpeg_claiming(width, height):
    """The first bytes of a JPEG with other sides written into its header."""
    data = bytearray(encode(Image.new("RGB", (16, 16)), "jpeg"))
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_many_scans(scans):
    """A small progressive JPEG whose last scan comes again and again: each takes time."""
    data = encode(Image.new("L", (8000, 8000), 99), "jpeg", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2] * scans + b"\xff\xd9"


def gif_claiming(width, height):
    data = bytearray(encode(Image.new("P", (8, 8)), "gif"))
    data[6:10] = struct.pack("<HH", width, height)
    at = data.index(b"\x2c\0\0\0\0")
    data[at + 5:at + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def profile_of(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def wide_gamut_profile():
    """An RGB profile that is not sRGB: red and green have changed places."""
    data = bytearray(profile_of("sRGB"))
    count = struct.unpack(">I", data[128:132])[0]
    for i in range(count):
        at = 132 + 12 * i
        name = bytes(data[at:at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            data[at:at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(data)


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)
