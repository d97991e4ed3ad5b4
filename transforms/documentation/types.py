"""Checks whether the type that a documentation states for a result agrees with the code's, if both can be read.

Documentation names types loosely (`boolean`, `list of str`, `string or None`). Only the kinds of type are compared, and
only if every alternative on both sides is one of the kinds below. Everything else is undecidable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PYTHON: Final = {
    **dict.fromkeys(("str", "string", "text"), "str"),
    **dict.fromkeys(("int", "integer"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("bytes",), "bytes"),
    **dict.fromkeys(("list",), "list"),
    **dict.fromkeys(("dict", "dictionary"), "dict"),
    **dict.fromkeys(("tuple",), "tuple"),
    **dict.fromkeys(("set", "frozenset"), "set"),
    **dict.fromkeys(("none",), "none"),
}
_JAVASCRIPT: Final = {
    "string": "string",
    "number": "number",
    "int": "number",
    "integer": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "null": "none",
    "undefined": "none",
    "void": "none",
}
# An `int` is accepted for a `float` (PEP 484), and a `bool` is an `int`.
_NUMBERS: Final = frozenset({"int", "float", "bool"})
_ALTERNATIVES: Final = re.compile(r"\s*\|\s*|\s+or\s+|\s*,\s*optional\b|\s*/\s*")


def types_agree(documented: str, real: Sequence[str], grammar: str) -> bool | None:
    """Whether a documented type matches one of the actual ones; None if either can't be read.

    >>> types_agree("list of str", ["list[str]"], "python"), types_agree("string", ["int"], "python")
    (True, False)
    >>> types_agree("Shape", ["int"], "python") is None
    True
    """
    told, known = _kinds(documented, grammar), set()
    for written in real:
        kinds = _kinds(written, grammar)
        if kinds is None:
            return None
        known |= kinds
    if not told or not known:
        return None
    return bool(told & known) or bool(told & _NUMBERS and known & _NUMBERS)


def _kinds(written: str, grammar: str) -> set[str] | None:
    """The kinds of all alternatives of a type; None if one of them is unknown."""
    table = _PYTHON if grammar == "python" else _JAVASCRIPT
    text = written.strip().strip("`'\"{}():.").strip().lower()
    if inner := re.fullmatch(r"(?:typing\.)?(?:optional|union)\[(.*)\]", text):
        text = re.sub(r"\[[^\[\]]*\]", "", inner[1]).replace(",", "|") + ("|none" if "optional" in text else "")
    kinds = set()
    for part in _ALTERNATIVES.split(_without_arguments(text)):
        part = part.strip().removeprefix("typing.").strip("?!~:")
        if not part:
            continue
        if part.endswith("[]"):
            part = "array"
        head = re.match(r"[a-z]+(?=$|\s+of\b)", part)
        if head is None or head[0] not in table:
            return None
        kinds.add(table[head[0]])
    return kinds


def _without_arguments(text: str) -> str:
    """`dict[str, int]` and `array<string>` without the content of the brackets; `string[]` as it is."""
    while (shorter := re.sub(r"\[[^\[\]]+\]|<[^<>]*>", "", text)) != text:
        text = shorter
    return text
