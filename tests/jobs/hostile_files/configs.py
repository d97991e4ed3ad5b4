"""Hostile configs: what the file contains, and a part of the line that the user sees."""

from __future__ import annotations

from collections.abc import Mapping

ESCAPE = "\\x1b]8;;http://x\\x07"


def laughs(levels: int = 12, width: int = 10) -> str:
    """YAML of a few hundred bytes that stands for `width ** levels` values; the last anchor is `*z`."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join([*lines, f"z: &z [*a{levels - 1}]"]) + "\n"


def merged(levels: int = 12, width: int = 10) -> str:
    """The same with merge keys."""
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * width)}]}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


TOO_MANY = "more than 20000 values, aliases counted in full"
CONFIGS: Mapping[str, tuple[str | bytes, str]] = {
    "aliases that stand for 10^12 values": (laughs(), f":5: {TOO_MANY}"),
    "aliases in the value of an option": (
        "unit_rows:\n" + "".join("  " + line + "\n" for line in laughs(4).split("\n")),
        ":1: unit_rows: expected an integer, got {'a0': ['x', 'x'], 'a1': [[",
    ),
    "aliases of a long text": (
        f"input: [&a {'x' * 100_000}, {', '.join(['*a'] * 50)}]\n",
        ":1: more than 4194304 characters",
    ),
    "merge keys that multiply": (merged(), f":5: {TOO_MANY}"),
    "an alias inside itself": ("input: &a [*a]\n", ":1: *a stands inside what it stands for"),
    "an alias of nothing": ("input: *a\n", ":1 is not valid YAML: found undefined alias 'a'"),
    "brackets without end": ("input: " + "[" * 100_000, ":1: values are nested more than 40 deep"),
    "mappings without end": (
        "".join(f"{' ' * i}a:\n" for i in range(1000)),
        ":40: values are nested more than 40 deep",
    ),
    "lists without end": ("input:\n" + "- " * 100_000, ":2: values are nested more than 40 deep"),
    "more than a megabyte": ("# " + "x" * (1 << 20), "is larger than 1048576 bytes"),
    "a list of 250,000 values": ("input:\n" + "- a\n" * 250_000, f":19999: {TOO_MANY}"),
    "a number of 100,000 digits": (f"unit_rows: {'9' * 100_000}\n", ":1: a number of 100000 characters"),
    "a number beyond 64 bits": (f"unit_rows: 0x{'f' * 90}\n", ":1: a number beyond 64 bits"),
    "a number of the base 60": (f"unit_rows: 1{':1' * 100_000}\n", ":1: a number of 200001 characters"),
    "text that looks like a number": ("unit_rows: 1e999\n", ":1: unit_rows: expected an integer, got '1e999'"),
    "the 13th month": ("input: 2024-13-45\n", ":1: '2024-13-45' can't be read as timestamp"),
    "a truth value that is neither": ("input: !!bool maybe\n", ":1: 'maybe' can't be read as bool"),
    "a number without digits": ("input: !!int ''\n", ":1: '' can't be read as int"),
    "bytes that are none": ("input: !!binary 'a'\n", ":1 is not valid YAML: failed to decode base64 data"),
    "an ordered mapping of nothing": ("input: !!omap 5\n", ":1 is not valid YAML"),
    "pairs of nothing": ("input: !!pairs [5]\n", ":1 is not valid YAML"),
    "a set of nothing": ("input: !!set 5\n", ":1: expected a mapping"),
    "a Python object": (
        "input: !!python/object/apply:os.system [ls]\n",
        ":1 is not valid YAML: could not determine a constructor",
    ),
    "a tag of 100,000 characters": (
        f"input: !{'t' * 100_000} x\n",
        ":1 is not valid YAML: could not determine a constructor",
    ),
    "a list as a key": ("? [a, b]\n: 1\n", ":1: expected lines of the form name: value"),
    "aliases as a key": ("input: &a [x, x]\n? [*a, *a, *a]\n: 1\n", ":2: expected lines of the form name: value"),
    "a mapping as a value": (
        "unit_rows: {a: {b: {c: {d: 1}}}}\n",
        ":1: unit_rows: expected an integer, got {'a': {'b': {'c': {...}}}}",
    ),
    "an unhashable key": ("input: {[a]: 1}\n", ":1 is not valid YAML: found unhashable key"),
    "an option of 200,000 characters": (f"{'a' * 200_000}: 1\n", "is not valid YAML"),
    "an option of 1,000 characters": (f"{'a' * 1000}: 1\n", ":1: unknown option aaa"),
    "a text of 200,000 characters for a number": (
        f"unit_rows: {'a' * 200_000}\n",
        ":1: unit_rows: expected an integer, got 'aaa",
    ),
    "an option with an escape sequence": (f'"{ESCAPE}": 1\n', ":1: unknown option \\x1b]8;;"),
    "a choice of 200,000 characters": (
        f"input: a\noutput: b\nprogress: {'a' * 200_000}\n",
        "--progress is 'aaa",
    ),
    "a value with an escape sequence": (f'unit_rows: "{ESCAPE}"\n', "got '\\x1b]8;;"),
    "a value with line breaks": ('unit_rows: "a\\nb"\n', "got 'a\\nb'"),
    "an option given twice": ("unit_rows: 1\n\nunit_rows: 2\n", ":3: unit_rows is given twice"),
    "two documents": ("unit_rows: 1\n---\nunit_rows: 2\n", ":2 is not valid YAML"),
    "tabs": ("input:\n\t- a\n", ":2 is not valid YAML: found character '\\t'"),
    "a quote that doesn't end": ("input: 'a\n", "is not valid YAML: found unexpected end of stream"),
    "a control character": ("input: \x07\n", "is not valid YAML: character 8 is #x0007, which YAML doesn't allow"),
    "bytes that aren't UTF-8": (b"input: a\noutput: \xff\n", ":2 is not UTF-8: byte 0xff"),
    "UTF-16": ("input: a\n".encode("utf-16"), ":1 is not UTF-8: byte 0xff"),
    "a list of options": ("- input\n", ":1: expected lines of the form name: value"),
}
