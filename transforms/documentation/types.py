"""Checks whether a type that a documentation states agrees with the code's, if both can be read.

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
    "promise": "promise",
    "map": "map",
    "set": "set",
    "date": "date",
    "regexp": "regexp",
    **dict.fromkeys(("generator", "asyncgenerator", "iterator", "iterable", "asynciterator"), "iterator"),
    **dict.fromkeys(("asynciterable", "iterableiterator", "asynciterableiterator"), "iterator"),
}
# An `int` is accepted for a `float` (PEP 484), and a `bool` is an `int`.
_NUMBERS: Final = frozenset({"int", "float", "bool"})
_ITERABLE: Final = frozenset({"array", "map", "set", "string"})
# What no generator returns.
_CONCRETE: Final = frozenset(
    (*_NUMBERS, "str", "bytes", "list", "dict", "tuple", "set", "string", "number", "boolean", "array", "map", "date")
)
_ALTERNATIVES: Final = re.compile(r"\s*\|\s*|\s+or\s+|\s*,\s*optional\b|\s*/\s*")
_PROMISE: Final = re.compile(r"promise(?:like)?\.?<(?P<inner>.*)>", re.S)
# NumPy: `int, default 3`, `{'fit', 'fill'}`.
_DEFAULT: Final = re.compile(r",?\s*\(?(?:the\s+)?\bdefaults?\b.*\Z|,?\s*[^,\s]+ by default\b.*\Z", re.S)
_CHOICE_OF_TEXTS: Final = re.compile(r"\{\s*(['\"])[^'\"{}]*\1(?:\s*,\s*(['\"])[^'\"{}]*\2)*\s*\}")


def types_agree(documented: str, real: Sequence[str], grammar: str) -> bool | None:
    """Whether a documented type matches one of the actual ones; None if either can't be read.

    >>> types_agree("list of str", ["list[str]"], "python"), types_agree("string", ["int"], "python")
    (True, False)
    >>> types_agree("Shape", ["int"], "python") is None
    True
    >>> types_agree("string", ["Promise<Data>"], "typescript")
    False
    """
    if grammar != "python" and len(real) == 1 and (promise := _PROMISE.fullmatch(_bare(real[0]))):
        return _agrees_with_promise(_bare(documented), promise["inner"], grammar)
    told, known = _kinds(documented, grammar), set()
    for written in real:
        kinds = _kinds(written, grammar)
        if kinds is None:
            return None
        known |= kinds
    if not told or not known:
        return None
    if told & known or (told & _NUMBERS and known & _NUMBERS):
        return True
    if ("iterator" in told and known & _ITERABLE) or ("iterator" in known and told & _ITERABLE):
        return None
    return False


def is_no_generator(documented: str, grammar: str) -> bool:
    """Whether a type is one that a generator's call can't return: `list`, `{number[]}`.

    >>> is_no_generator("list of str", "python"), is_no_generator("Iterator[str]", "python")
    (True, False)
    """
    told = _kinds(documented, grammar)
    return told is not None and bool(told) and told <= _CONCRETE


def _agrees_with_promise(documented: str, inner: str, grammar: str) -> bool | None:
    """A promise's documented type; many name the type of what it resolves to."""
    promise = _PROMISE.fullmatch(documented)
    if promise is not None:
        return types_agree(promise["inner"], [inner], grammar)
    told, resolved = _kinds(documented, grammar), _kinds(inner, grammar)
    if not told:
        return None
    if "promise" in told:
        return True
    return None if resolved is not None and told & resolved else False


def _bare(written: str) -> str:
    return written.strip().strip("`'\"{}():.?!=~ ").strip().lower()


def _kinds(written: str, grammar: str) -> set[str] | None:
    """The kinds of all alternatives of a type; None if one of them is unknown."""
    table = _PYTHON if grammar == "python" else _JAVASCRIPT
    stripped = _DEFAULT.sub("", written.strip())
    if _CHOICE_OF_TEXTS.fullmatch(re.sub(r",\s*optional\Z", "", stripped)):
        return {"str" if grammar == "python" else "string"}
    text = _bare(stripped)
    if inner := re.fullmatch(r"(?:typing\.)?(?:optional|union)\[(.*)\]", text):
        text = re.sub(r"\[[^\[\]]*\]", "", inner[1]).replace(",", "|") + ("|none" if "optional" in text else "")
    kinds = set()
    for part in _ALTERNATIVES.split(_without_arguments(text)):
        part = part.strip().removeprefix("typing.").strip("?!~:.")
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
