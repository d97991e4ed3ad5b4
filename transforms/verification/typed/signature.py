"""The types of a function's parameters, as its signature has them, and the expression that calls it.

A signature is read as text, since it has the same parts in all five languages:

    modifiers [result] NAME ( parameters ) [result]

None for what can't be called by itself with plain values: generic, asynchronous, unsafe and private functions, those
with receivers or a variable number of arguments, and methods of classes that can't be made without arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from transforms.evaluation.programs.layouts import code_of
from transforms.languages.syntax import Source
from transforms.symbols import Symbol
from transforms.verification.typed.types import split

TYPED: Final = ("C++", "C#", "Java", "Kotlin", "Rust")
_METHODS: Final = ("C#", "Java")
_REFUSED: Final[Mapping[str, re.Pattern[str]]] = {
    "C++": re.compile(r"\b(?:template|operator|virtual|co_await)\b|~"),
    "C#": re.compile(r"\b(?:private|protected|async|abstract|extern|unsafe)\b"),
    "Java": re.compile(r"\b(?:private|abstract|native)\b|^(?:[^(]*\s)?<"),
    "Kotlin": re.compile(r"\b(?:private|suspend|external|operator|infix)\b"),
    "Rust": re.compile(r"\b(?:async|unsafe|extern)\b"),
}
_BEFORE: Final[Mapping[str, str]] = {"Kotlin": r"(?:^|.*\s)fun\s+", "Rust": r"(?:^|.*\s)fn\s+"}
_DEFAULT: Final = re.compile(r"=(?![=>]).*", re.S)
_ANNOTATION: Final = re.compile(r"@\w+(?:\([^)]*\))?\s*|\[\[[^\]]*\]\]\s*")


def signature_of(
    language: str, source: Source, symbol: Symbol, symbols: Sequence[Symbol]
) -> tuple[tuple[str, ...], str] | None:
    """The types of a function's parameters as written, and what calls it (`Answer.f`).

    Args:
        language: One of `TYPED`.
        source: The file.
        symbol: The function, or in Java and C# the method.
        symbols: All definitions of the file.
    """
    if symbol.kind != ("method" if language in _METHODS else "function") or symbol.type_parameters:
        return None
    head = code_of(source.data[symbol.start : symbol.body_start].decode("utf-8", "replace"), language)
    found = re.search(rf"({_BEFORE.get(language, '.*?')})\b{re.escape(symbol.name)}\s*\(", head, re.S)
    if found is None or _REFUSED[language].search(found[1]):
        return None
    inside = _in_parentheses(head[found.end() :])
    parameters = None if inside is None else [_TYPES[language](_ANNOTATION.sub("", one)) for one in split(inside)]
    if parameters is None or len(parameters) != len(symbol.parameters):
        return None
    called = _called(language, found[1], symbol, source, symbols)
    types = tuple(one for one in parameters if one is not None)
    return (types, called) if called and len(types) == len(parameters) else None


def _in_parentheses(text: str) -> str | None:
    depth = 1
    for place, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return text[:place]
    return None


def _called(language: str, before: str, symbol: Symbol, source: Source, symbols: Sequence[Symbol]) -> str | None:
    owner, _, name = symbol.qualified_name.rpartition(".")
    if language not in _METHODS:
        return None if owner else name
    if not owner or "." in owner:
        return None
    if re.search(r"\bstatic\b", before):
        return f"{owner}.{name}"
    made = [one for one in symbols if one.kind == "class" and one.qualified_name == owner]
    has_own = any(one.qualified_name == f"{owner}.{owner}" for one in symbols)
    if len(made) != 1 or has_own or made[0].type_parameters:
        return None
    head = code_of(source.data[made[0].start : made[0].body_start].decode("utf-8", "replace"), language)
    is_class = re.search(r"\bclass\s", head) and not re.search(r"\b(?:abstract|static)\s", head)
    return f"new {owner}().{name}" if is_class else None


def _named_last(text: str) -> str | None:
    """The type of `final int x`; None for a name with brackets, or a keyword in front that changes how it is passed."""
    text = _DEFAULT.sub("", text).strip()
    if re.match(r"(?:ref|out|in|params|this)\s", text) or "..." in text:
        return None
    found = re.fullmatch(r"(?:final\s+)?(.*[\s>&\]?])\w+", text, re.S)
    return found[1].strip() if found else None


def _named_first(text: str) -> str | None:
    """The type of `mut x: i32`."""
    if re.match(r"(?:vararg|crossinline|noinline)\s", text):
        return None
    found = re.fullmatch(r"(?:mut\s+)?\w+\s*:(?!:)\s*(.+)", _DEFAULT.sub("", text).strip(), re.S)
    return found[1].strip() if found else None


_TYPES: Final[Mapping[str, Callable[[str], str | None]]] = {
    "C++": _named_last,
    "C#": _named_last,
    "Java": _named_last,
    "Kotlin": _named_first,
    "Rust": _named_first,
}
