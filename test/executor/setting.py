"""What all tests share: the program, one executor, and results compared."""
import os

from PIL import Image, ImageChops, ImageStat

import client
import fixtures

PROGRAM = os.environ["IMGAPI_EXECUTOR"]
# The sanitizers need system calls that the sandbox refuses.
SANITIZED = os.environ.get("IMGAPI_EXECUTOR_ASAN") == "1"
SANDBOX = "off" if SANITIZED else "require"

_executor = None


def start(**given):
    given.setdefault("sandbox", SANDBOX)
    given.setdefault("memory", 0 if SANITIZED else 1024)
    return client.Executor(PROGRAM, **given)


def executor():
    """The one that most tests share; a new one if a test has ended it."""
    global _executor
    if _executor is None or _executor.process.poll() is not None:
        _executor = start()
    return _executor


def edit(data, *steps, format=None, limits=None, **options):
    return executor().edit(data, client.plan(list(steps), format, **options), **(limits or {}))


def picture(data, *steps, format=None, **options):
    """The result as an image of PIL; fails if there is none."""
    reply = edit(data, *steps, format=format, **options)
    assert reply.outcome == client.DONE, reply.text
    name = client.FORMAT_NAMES[reply.result.format]
    image = fixtures.open_result(reply.output, name)
    assert image.size == (reply.result.width, reply.result.height), "facts of the result"
    return image


def difference(a, b):
    """Mean absolute difference of all bands, 0 to 255."""
    assert a.size == b.size, (a.size, b.size)
    mean = ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB"))).mean
    return sum(mean) / len(mean)


def alike(a, b, tolerance, what=""):
    got = difference(a, b)
    assert got <= tolerance, "%s: pictures differ by %.2f" % (what, got)


def refused(reply, outcome, *words):
    assert reply.outcome == outcome, "outcome %d: %s" % (reply.outcome, reply.text)
    for word in words:
        assert str(word) in reply.text, "%r is not in %r" % (word, reply.text)


def scaled(image, width, height):
    return image.resize((width, height), Image.LANCZOS)
