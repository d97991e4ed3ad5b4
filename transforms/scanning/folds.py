"""Folds: byte-to-byte maps that replace a class of characters by one character, so that a pattern without literals
gets one.

    rule      \\d{3}-\\d{3}-\\d{4}          text      call 207-555-0100
    folded    000-000-0000              folded    call 000-000-0000

Hyperscan finds literals at memory speed, but must follow a pattern of character classes through every byte (measured:
eight such patterns took half of the time of all 330 patterns). A fold preserves positions. If a pattern matches a text,
the folded pattern matches the folded text at the same position, so the trigger can be searched for there. Cost: one
`bytes.translate`, about 1 GB/s.
"""

from __future__ import annotations

import string
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

_DIGITS = string.digits.encode()
_ALNUM = (string.digits + string.ascii_letters).encode()
FOLDS: dict[str, bytes] = {
    "": bytes(range(256)),
    "digits": bytes.maketrans(_DIGITS, b"0" * len(_DIGITS)),
}
"""Translation tables by the names used in rule files; "" leaves the text unchanged."""

_CATEGORIES = {
    sre.CATEGORY_DIGIT: frozenset(_DIGITS),
    sre.CATEGORY_SPACE: frozenset(b" \t\n\r\f\v"),
    sre.CATEGORY_WORD: frozenset(_ALNUM + b"_"),
}
_NEGATED = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
}
_EVERYTHING = frozenset(range(256))
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


def fold_items(items: Any, table: bytes) -> Any:
    """A parse tree (`re._parser`) with every character and class replaced by its image under a fold.

    Assertions and anchors are kept unchanged, because the trigger drops them. The exceptions are a negative lookbehind
    of one character class, which the trigger turns into "a character outside the class", and a positive lookahead,
    which can become part of the trigger.
    """
    return sre_parser.SubPattern(items.state, [_fold_item(op, arg, table) for op, arg in items])


def _fold_item(op: Any, arg: Any, table: bytes) -> tuple[Any, Any]:
    if op is sre.LITERAL:
        return op, table[arg]
    if op is sre.NOT_LITERAL:
        return _class({table[byte] for byte in _EVERYTHING - {arg}})
    if op is sre.IN:
        return _class({table[byte] for byte in members(arg)})
    if op in _REPEATS:
        return op, (arg[0], arg[1], fold_items(arg[2], table))
    if op is sre.SUBPATTERN:
        return op, (*arg[:3], fold_items(arg[3], table))
    if op is sre.ATOMIC_GROUP:
        return op, fold_items(arg, table)
    if op is sre.BRANCH:
        return op, (arg[0], [fold_items(branch, table) for branch in arg[1]])
    if op is sre.ASSERT_NOT and arg[0] < 0 and len(arg[1]) == 1 and arg[1][0][0] is sre.IN:
        # The trigger turns this negative lookbehind into "a character outside the class". The image of the outside may
        # overlap the image of the class, so fold the outside and take the complement.
        inside = _EVERYTHING - {table[byte] for byte in _EVERYTHING - members(arg[1][0][1])}
        return op, (arg[0], [_class(inside)] if inside else [])
    if op is sre.ASSERT and arg[0] > 0:
        return op, (arg[0], fold_items(arg[1], table))
    return op, arg


def members(items: Any) -> frozenset[int]:
    """The bytes in a character class."""
    negated = bool(items) and items[0][0] is sre.NEGATE
    found: set[int] = set()
    for op, arg in items[1:] if negated else items:
        if op is sre.LITERAL:
            found.add(arg)
        elif op is sre.RANGE:
            found.update(range(arg[0], arg[1] + 1))
        elif arg in _NEGATED:
            found |= _EVERYTHING - _CATEGORIES[_NEGATED[arg]]
        else:
            found |= _CATEGORIES[arg]
    return frozenset(_EVERYTHING - found if negated else found)


def _class(found: Any) -> tuple[Any, Any]:
    """A literal if the set has one byte, otherwise a class of ranges."""
    ordered = sorted(found)
    if len(ordered) == 1:
        return sre.LITERAL, ordered[0]
    ranges: list[list[int]] = []
    for byte in ordered:
        if ranges and byte == ranges[-1][1] + 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return sre.IN, [(sre.RANGE, tuple(pair)) if pair[0] < pair[1] else (sre.LITERAL, pair[0]) for pair in ranges]
