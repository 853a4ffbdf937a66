"""img_operations_contract() and the table have the same operations; what it says holds."""
import contract
import fixtures
import server
from rows import MARK, ROWS
from tap import equal, test
from test_output import OUTPUTS

LEAVES = contract.operations(server.contract())
LOCAL = [leaf for leaf in LEAVES if leaf.where == "local"]
REMOTE = [leaf for leaf in LEAVES if leaf.where != "local"]


@test
def operations_in_table():
    """Every operation, argument and word that runs here is in a row, and nothing else."""
    in_rows = set().union(*(contract.used(row.operations) for row in ROWS))
    missing = [leaf.path for leaf in LOCAL if leaf.path not in in_rows]
    equal(missing, [], "in the registry, but in no row")
    keys = {leaf.keys[0] for leaf in LOCAL}
    equal(sorted({path.split(".")[0].split("=")[0] for path in in_rows} - keys), [], "in a row, but not in the registry")


@test
def outputs_in_table():
    """Every output format, option and word that runs here is in a row, and nothing else."""
    in_rows = set().union(*(contract.used_output(output) for output, _ in OUTPUTS))
    leaves = contract.output(server.contract())
    equal([leaf.path for leaf in leaves if leaf.where == "local" and leaf.path not in in_rows], [],
          "in the registry, but in no row")
    formats = {leaf.choice for leaf in leaves if leaf.keys == ("format",)}
    equal({path[7:] for path in in_rows if path.startswith("format=")} - formats, set(), "in a row, but not in the registry")


TINY = fixtures.encode(fixtures.smooth(30, 20), "png")


# What an operation cannot do without.
REQUIRED = {"watermark": {"image": MARK}, "circle": {"radius": 8}}


def request(keys, value):
    """The JSON that gives this value to this place, and what has to be with it."""
    operations = contract.nested(keys, value)
    for name, given in REQUIRED.get(keys[0], {}).items():
        operations[keys[0]].setdefault(name, given)
    return operations


def refused(operations, code, *words):
    try:
        server.edit(TINY, operations)
    except server.Refused as error:
        equal(error.code, code, str(error))
        for word in words:
            assert word in error.message + error.hint, "%r is not in %r, %r" % (word, error.message, error.hint)
    else:
        raise AssertionError("%r was done" % (operations,))


def some_value(leaf):
    """One that asks for something."""
    if leaf.choice is not None:
        return leaf.choice
    return {"boolean": True, "any": "x"}[leaf.argument["type"]]


@test
def models():
    """What needs a model is refused, and the hint says who has one."""
    assert REMOTE, "nothing needs a model"
    for leaf in REMOTE:
        if len(leaf.keys) > 2:
            # options of something that is refused itself
            continue
        refused(contract.nested(leaf.keys, some_value(leaf)), "0A000", "operations." + ".".join(leaf.keys), leaf.where[0])


def beyond(argument):
    """Values that are just outside of what the contract allows."""
    kind = argument["type"]
    if kind in ("integer", "number"):
        return [argument["min"] - 1, argument["max"] + 1, "7", True, [1]] + ([argument["min"] + 0.5] if kind == "integer" else [])
    if kind in ("length", "sides"):
        return [argument["max"] + 1, "%d%%" % (argument["max_percent"] + 1), -1, "x", True]
    return {"boolean": [1, "true", []], "choice": ["nonsense", 1, True], "color": ["red", "#12345", 7, True],
            "picture": [7, True, [], ""]}.get(kind, [])


@test
def ranges():
    """Values beyond the ranges and of other types are refused with their path."""
    seen = set()
    for leaf in LOCAL:
        if leaf.keys in seen:
            continue
        seen.add(leaf.keys)
        values = beyond(leaf.argument)
        assert values, "no wrong value of type %s is known" % leaf.argument["type"]
        for value in values:
            refused(request(leaf.keys, value), "22023", "operations." + ".".join(leaf.keys))


@test
def defaults():
    """Defaults given in words do what leaving them out does."""
    for leaf in LOCAL:
        default = leaf.argument["default"]
        if default is None or len(leaf.keys) > 2 or (len(leaf.keys) == 2 and "threshold" in leaf.keys):
            continue
        operations = request(leaf.keys, default)
        left_out = {leaf.keys[0]: REQUIRED[leaf.keys[0]]} if leaf.keys[0] in REQUIRED else {}
        equal(server.edit(TINY, operations, {"format": "png"}), server.edit(TINY, left_out, {"format": "png"}), str(operations))
    equal(server.edit(TINY, {"trim": {"threshold": 10}}), server.edit(TINY, {"trim": True}))
    equal(server.edit(TINY, {"adjustments": {"hdr": {}}}), server.edit(TINY, {"adjustments": {"hdr": 100}}))


@test
def unknown_keys():
    """Keys that are not in the contract are refused."""
    refused({"nonsense": 1}, "22023", "operations.nonsense")
    for key, operation in server.contract()["operations"].items():
        if "arguments" in operation:
            refused({key: {"nonsense": 1}}, "22023", "operations.%s.nonsense" % key)
