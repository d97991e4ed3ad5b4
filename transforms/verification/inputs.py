"""Generates arguments for a function, from what its parameters are annotated with or called, by a seed.

Each is a list of values that JSON can hold, so that the same ones can be given in any language: small integers, short
ASCII texts, floating-point numbers that are exact in binary, truth values, and lists and mappings of these. Where
nothing says what a parameter is, kinds are drawn at random; those with which the original fails are of no use and are
left out when it is run.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

MOST_INPUTS: Final = 48
_WORDS: Final = ("", "a", "ab", "Hello World", "level", "x1 y2", "  pad ", "3", "-7", "a,b,c", "UPPER", "(1 + 2)")
_LISTS: Final = "list|List|Sequence|Iterable|Collection|tuple|Tuple"
_BY_ANNOTATION: Final = (
    (re.compile(r"^(?:typing\.)?Optional\[(.+)\]$|^(.+?)\s*\|\s*None$"), "inner"),
    (re.compile(rf"^(?:typing\.)?(?:{_LISTS})\[(\w+)(?:, \.\.\.)?\]$"), "list"),
    (re.compile(rf"^(?:{_LISTS})$"), "list"),
    (re.compile(r"^(?:typing\.)?(?:dict|Dict|Mapping)\[str, (\w+)\]$"), "dict"),
    (re.compile(r"^(?:dict|Dict|Mapping)$"), "dict"),
)
_TEXTS: Final = "s|t|text|name|word|string|str\\w*|line|key|path|sentence|prefix|suffix|pattern|char|c|sep"
_WHOLE: Final = "n|m|i|j|k|num|count|size|length|width|height|limit|low|high|year|index|\\w+_count"
_BY_NAME: Final = (
    (re.compile(rf"^(?:{_TEXTS})\d?$"), "str"),
    (re.compile(r"^(?:xs|ys|items|values|nums|numbers|arr|array|lst|list\w*|data|seq\w*|\w+_list)\d?$"), "list"),
    (re.compile(rf"^(?:{_WHOLE})\d?$"), "int"),
    (re.compile(r"^(?:is|has|flag|reverse|strict|verbose)\w*$"), "bool"),
)
_KINDS: Final = ("int", "str", "list", "float", "bool")


def draw_inputs(parameters: Sequence[tuple[str, str]], seed: int) -> tuple[str, ...]:
    """Draws distinct lists of arguments, each as JSON text.

    Args:
        parameters: Each parameter's name and annotation ("" for none).
        seed: The same seed draws the same ones.

    >>> draw_inputs([("n", "int")], 1)[0]
    '[0]'
    """
    rng = random.Random(seed)
    kinds = [_kind(name, annotation) for name, annotation in parameters]
    found = {json.dumps([_first(kind) for kind in kinds]): None}
    for _ in range(8 * MOST_INPUTS):
        if len(found) == MOST_INPUTS or not parameters:
            break
        shared = rng.choice(_KINDS)
        alike = rng.random() < 0.5
        drawn = [kind or (shared if alike else rng.choice(_KINDS)) for kind in kinds]
        found[json.dumps([_value(kind, rng) for kind in drawn])] = None
    return tuple(found)


def _kind(name: str, annotation: str) -> str:
    """What a parameter takes: `int`, `list:str`, ...; "" if nothing tells."""
    if annotation in ("int", "float", "str", "bool"):
        return annotation
    for pattern, kind in _BY_ANNOTATION:
        if found := pattern.match(annotation):
            inner = next(filter(None, found.groups()), "int") if found.groups() else "int"
            return _kind(name, inner) if kind == "inner" else f"{kind}:{inner if inner in _SIMPLE else 'int'}"
    if annotation:
        return ""
    return next((kind for pattern, kind in _BY_NAME if pattern.match(name)), "")


def _first(kind: str) -> Any:
    simple = {"int": 0, "float": 0.5, "str": "", "bool": False}
    return {} if kind.startswith("dict") else [] if kind.startswith("list") else simple.get(kind, 0)


_SIMPLE: Final[dict[str, Callable[[random.Random], Any]]] = {
    "int": lambda rng: rng.choice((rng.randint(-3, 12), rng.randint(0, 5), rng.randint(0, 150))),
    "float": lambda rng: rng.randint(-16, 64) / 4,
    "str": lambda rng: rng.choice(_WORDS),
    "bool": lambda rng: rng.random() < 0.5,
}


def _value(kind: str, rng: random.Random) -> Any:
    outer, _, inner = kind.partition(":")
    one = _SIMPLE.get(inner or ("int" if outer in ("list", "dict") else outer), _SIMPLE["int"])
    if outer == "list":
        return [one(rng) for _ in range(rng.choice((0, 1, 2, 3, 5, 8)))]
    if outer == "dict":
        return {word: one(rng) for word in rng.sample("abcde", rng.randint(0, 4))}
    return one(rng)
