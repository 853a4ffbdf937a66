"""
img_info() of files as cameras write them: EXIF by exiftool, read back by
exiftool, beside what img_info() says.
"""
import datetime
import json
import os
import struct
import subprocess
import tempfile

from PIL import Image, TiffImagePlugin

import fixtures
import heif
import kinds
import server
from tap import equal, near, test

# As phones and cameras write them.
CAMERAS = {
    "a phone, north and west": {
        "Make": "Apple", "Model": "iPhone 12", "Orientation": 6, "ExifByteOrder": "MM", "Software": "17.1",
        "DateTimeOriginal": "2023:07:04 18:21:09", "CreateDate": "2023:07:04 18:21:09", "OffsetTimeOriginal": "-07:00",
        "SubSecTimeOriginal": "517", "ExposureTime": "0.008", "FNumber": "1.6", "ISO": 64, "LensModel": "back camera",
        "GPSLatitude": "37.774929", "GPSLatitudeRef": "N", "GPSLongitude": "122.419416", "GPSLongitudeRef": "W",
        "GPSAltitude": "16.2", "GPSSpeed": "0.4", "GPSImgDirection": "211.5", "profile": True},
    "a camera, south and east": {
        "Make": "NIKON CORPORATION", "Model": "NIKON Z 6", "Orientation": 8, "ExifByteOrder": "II",
        "DateTimeOriginal": "2019:12:31 23:59:59", "Artist": "somebody", "Copyright": "somebody", "FocalLength": "50",
        "GPSLatitude": "33.856784", "GPSLatitudeRef": "S", "GPSLongitude": "151.215297", "GPSLongitudeRef": "E"},
    "a camera without GPS": {
        "Make": "Canon", "Model": "Canon EOS 40D", "Orientation": 1, "ExifByteOrder": "II",
        "DateTimeOriginal": "2008:02:29 08:00:00", "XResolution": 72, "YResolution": 72},
    "a scanner": {"Make": "EPSON", "ExifByteOrder": "II", "XResolution": 600, "YResolution": 600, "profile": True},
    "on the equator": {
        "GPSLatitude": "0", "GPSLatitudeRef": "N", "GPSLongitude": "0", "GPSLongitudeRef": "E", "ExifByteOrder": "MM"},
}


def plain(format_):
    if format_ in ("heic", "avif"):
        return heif.encode(kinds.scene(), "." + format_)
    return fixtures.encode(kinds.scene(), format_)


def exiftool(*arguments):
    return subprocess.run(["exiftool", "-q", "-n", *arguments], check=True, stdout=subprocess.PIPE).stdout


def written(format_, tags):
    """Bytes with these tags, and what exiftool reads from them."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "a." + format_)
        with open(name, "wb") as file:
            file.write(plain(format_))
        arguments = ["-%s=%s" % (key, value) for key, value in tags.items() if key != "profile"]
        if tags.get("profile"):
            arguments.append("-ICC_Profile<=" + os.path.join(kinds.PROFILES, "a98.icc"))
        exiftool("-overwrite_original", *arguments, name)
        seen = json.loads(exiftool("-j", "-Orientation", "-DateTimeOriginal", "-GPSLatitude", "-GPSLongitude",
                                   "-ICC_Profile:ProfileDescription", name))[0]
        with open(name, "rb") as file:
            return file.read(), seen


def check(format_, tags):
    data, seen = written(format_, tags)
    facts = server.info(data)
    equal(facts.orientation, seen.get("Orientation", 1), "orientation")
    taken = seen.get("DateTimeOriginal")
    equal(facts.taken_at, taken and datetime.datetime.strptime(taken, "%Y:%m:%d %H:%M:%S"), "taken_at")
    for key, got in (("GPSLatitude", facts.lat), ("GPSLongitude", facts.lng)):
        equal(got is None, key not in seen, key)
        if got is not None:
            near(got, seen[key], 1e-6, key)
    equal(facts.has_icc, "ProfileDescription" in seen, "profile")
    # HEIF is turned by properties of its own
    lies = format_ not in ("heic", "avif") and seen.get("Orientation", 1) > 4
    equal((facts.width, facts.height), (64, 96) if lies else (96, 64), "size")
    equal((facts.format, facts.pages, facts.bytes), (format_, 1, len(data)))


def add(format_, camera):
    def one():
        check(format_, CAMERAS[camera])
    one.__doc__ = "facts: %s by %s" % (format_, camera)
    test(one)


for each_format in ("jpeg", "png", "webp", "tiff", "heic", "avif"):
    for each_camera in CAMERAS:
        add(each_format, each_camera)


def by_pillow(degrees, kind):
    """EXIF whose coordinates are fractions of that type."""
    tags = Image.Exif()
    place = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, letter in ((1, "N"), (3, "E")):
        place[tag] = letter
    for tag in (2, 4):
        place.tagtype[tag] = kind
        place[tag] = tuple(TiffImagePlugin.IFDRational(*part) for part in degrees)
    tags[0x8825] = dict(place)
    data = tags.tobytes()
    # Pillow writes unsigned fractions only; the numbers are the same
    for tag in (2, 4):
        data = data.replace(struct.pack(">HHI", tag, 5, 3), struct.pack(">HHI", tag, kind, 3))
        data = data.replace(struct.pack("<HHI", tag, 5, 3), struct.pack("<HHI", tag, kind, 3))
    return data


@test
def fractions():
    """facts: coordinates as signed fractions, in minutes, and with parts left out."""
    for degrees, kind, wanted in [
            (((60, 1), (8, 1), (4814, 100)), 5, 60.146706), (((60, 1), (8, 1), (4814, 100)), 10, 60.146706),
            (((48, 1), (5140, 100), (0, 1)), 5, 48.856667), (((48, 1), (5140, 100), (0, 0)), 5, 48.856667),
            (((488566, 10000), (0, 1), (0, 1)), 5, 48.8566), (((0, 0), (5, 1), (5, 1)), 5, None),
            (((91, 1), (0, 1), (0, 1)), 5, None), (((10, 1), (5, 0), (5, 1)), 5, None)]:
        facts = server.info(fixtures.encode(kinds.scene(), "jpeg", exif=by_pillow(degrees, kind)))
        if wanted is None:
            equal((facts.lat, facts.lng), (None, None), str(degrees))
        else:
            near(facts.lat, wanted, 1e-6, str(degrees))
            near(facts.lng, wanted, 1e-6, str(degrees))


@test
def dates():
    """facts: dates that no calendar has are none."""
    for text in ("0000:00:00 00:00:00", "2023:02:29 10:00:00", "2023:13:01 10:00:00", "    :  :     :  :  ",
                 "2023-07-04 10:00:00", "2023:07:04 24:00:00"):
        data = fixtures.encode(kinds.scene(), "jpeg", exif=fixtures.exif(taken=text))
        equal(server.info(data).taken_at, None, text)


@test
def pages():
    """facts: pages of TIFF, frames of animations, pictures of HEIC."""
    frames = kinds.moving()
    more = {"save_all": True, "append_images": frames[1:]}
    for format_ in ("tiff", "gif", "webp"):
        equal(server.info(fixtures.encode(frames[0], format_, **more)).pages, 3, format_)
    equal(server.info(heif.encode(frames[0], others=frames[1:])).pages, 3, "heic")


@test
def kinds_of_color():
    """facts: colour spaces, alpha and profiles of every kind."""
    wanted = {"jpeg": ("srgb", False, False), "png with alpha": ("srgb", True, False), "palette png": ("srgb", False, False),
              "16 bit png": ("rgb16", False, False), "grey png": ("grey", False, False), "gif animated": ("srgb", False, False),
              "heic": ("srgb", False, False), "jpeg, wide gamut": ("srgb", False, True), "tiff CMYK": ("cmyk", False, True)}
    for kind in kinds.all_kinds():
        facts = server.info(kind.data)
        if kind.name in wanted:
            equal((facts.color_space, facts.has_alpha, facts.has_icc), wanted[kind.name], kind.name)
        equal((facts.width, facts.height, float(facts.mps)), (96, 64, 0.006144), kind.name)
