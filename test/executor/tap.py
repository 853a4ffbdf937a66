"""Test Anything Protocol: collects tests and runs them."""
import traceback

tests = []


def test(function):
    tests.append(function)
    return function


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def equal(got, wanted, what=""):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def near(got, wanted, tolerance, what=""):
    assert abs(got - wanted) <= tolerance, "%s: got %r, wanted %r" % (what, got, wanted)


def run():
    failed = 0
    print("1..%d" % len(tests), flush=True)
    for number, function in enumerate(tests, 1):
        name = function.__doc__.split("\n")[0].rstrip(".")
        try:
            function()
            print("ok %d - %s" % (number, name), flush=True)
        except Skip as reason:
            print("ok %d - %s # SKIP %s" % (number, name, reason), flush=True)
        except Exception:
            failed += 1
            print("not ok %d - %s" % (number, name))
            print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "), flush=True)
    return failed
