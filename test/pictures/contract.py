"""
What img_operations_contract() says, as a list of leaves: "rotate",
"trim.threshold", "flip=both", "resizing.fit=crop", "resizing.fit.crop=smart" …
"""
import collections

# path: as in an error message; keys: where the value goes in the JSON
Leaf = collections.namedtuple("Leaf", "path keys argument choice where")


def _argument(keys, argument):
    """The leaves of one argument: itself, its choices, and what these hold."""
    path = ".".join(keys)
    choices = argument.get("choices")
    if choices is None:
        yield Leaf(path, keys, argument, None, argument["where"])
    for name, choice in sorted((choices or {}).items()):
        yield Leaf("%s=%s" % (path, name), keys, argument, name, choice["where"])
        yield from _members(keys, choice.get("members"))
    yield from _members(keys, argument.get("members"))


def _members(keys, members):
    for name, member in sorted((members or {}).items()):
        yield from _argument((*keys, name), member)


def operations(document):
    leaves = []
    for key, operation in document["operations"].items():
        if "value" in operation:
            leaves += _argument((key,), operation["value"])
        for name, argument in operation.get("arguments", {}).items():
            leaves += _argument((key, name), argument)
    return leaves


def output(document):
    """Options of formats begin with the name of their format."""
    leaves = []
    for name, format_ in document["output"]["format"].items():
        if not format_["can_save"]:
            continue
        leaves.append(Leaf("format=" + name, ("format",), {"type": "format"}, name, "local"))
        for option, argument in format_["options"].items():
            leaves += _argument((name, option), argument)
    for name, argument in document["output"]["metadata"].items():
        leaves += _argument(("metadata", name), argument)
    return leaves


def used(value, keys=()):
    """The leaves that a piece of JSON uses: paths, and paths with their words."""
    path = ".".join(keys)
    found = {path} if keys else set()
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "type":
                found.add("%s=%s" % (path, member))
            else:
                found |= used(member, (*keys, name))
    elif isinstance(value, str):
        found.add("%s=%s" % (path, value))
    return found


def used_output(value):
    """The same of an output: options of a format under its name."""
    found = set()
    for key, given in value.items():
        if key == "format":
            given = {"type": given} if isinstance(given, str) else given
            found.add("format=" + given["type"])
            found |= used({name: member for name, member in given.items() if name != "type"}, (given["type"],))
        else:
            found |= used(given, (key,))
    return found


def nested(keys, value):
    """The JSON that gives this value to this place."""
    for key in reversed(keys):
        value = {key: value}
    return value
