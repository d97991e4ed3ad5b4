# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""Triggers: derives from a rule's exact regular expression the looser one that Hyperscan searches for.

Hyperscan reports where a match *ends* and supports neither lookaround nor backreferences, so rules are matched in two
steps: first a *trigger*, which is a prefix of every exact match, then the exact pattern in a window.

    exact    (?<![A-Za-z0-9_])(tok_[A-Za-z0-9]{20,60})(?![A-Za-z0-9_])
    trigger  (?:^|[^A-Za-z0-9_])tok_[A-Za-z0-9]{20}            reported once, at its end
             |<----------- lead_bytes ----------->|            no match starts further left than this

A repeat at the end of a trigger is reduced to its minimum, so that one token is reported once instead of forty times.
Patterns must have bounded length. Together with the refusal of nested variable repeats, this keeps the exact step
linear. The translation walks the parse tree of `re` (CPython's `re._parser`), so the syntax is interpreted in one way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import _constants as sre  # type: ignore[attr-defined]
from typing import Any

from model.errors import ConfigError
from transforms.scanning.folds import FOLDS, fold_items
from transforms.scanning.pattern_trees import parse_pattern

MAX_MATCH_BYTES = 1 << 16
"""Maximum length of a rule's match; private keys and certificates are much shorter."""
MAX_COUNTED_REPEAT = 3
"""Longer variable repeats have no upper bound in the trigger: counters cost Hyperscan most of its speed (measured: 20
instead of 270 MB/s for the trigger of assignments)."""
MAX_TRIGGER_REPEAT = 256
"""Repeats longer than this end the trigger, so that windows stay small."""
_MAX_NESTED_COST = 4096
_LONG_LEADING_REPEAT = 16
_LEADING_ITEMS = 4
"""Number of characters of a long leading repeat that a trigger requires; more make it slower and hardly more
selective."""

_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}
_ANCHORS = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: r"\A",
    sre.AT_END_STRING: r"\z",
    sre.AT_BOUNDARY: r"\b",
    sre.AT_NON_BOUNDARY: r"\B",
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """The looser pattern that Hyperscan searches for.

    Args:
        expression: The pattern in Hyperscan's syntax.
        lead_bytes: Maximum distance from a match's start to its trigger's end.
        max_bytes: Length of the longest exact match.
        fold: The fold of the text that is searched (`folds.FOLDS`).
    """

    expression: str
    lead_bytes: int
    max_bytes: int
    fold: str = ""


class _Stop(Exception):
    """The rest of the pattern can't be part of the trigger."""


def derive_trigger(rule_id: str, pattern: str, fold: str = "") -> Trigger:
    """Derives the trigger of an exact pattern. Raises ConfigError, naming the rule, if the pattern is malformed or
    unbounded, can match the empty string, or nests variable repeats (catastrophic backtracking).

    >>> derive_trigger("r", r"(?<![a-z])(tok_[a-z0-9]{4,9})(?![a-z])").expression
    '(?:^|[^a-z])(?:tok_[a-z0-9]{4})'
    >>> derive_trigger("r", r"key[a-z]{4,9}\\b").expression
    'key[a-z]{4,}\\\\b'
    """
    try:
        tree = parse_pattern(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"rule {rule_id}: the pattern is not a valid regular expression: {str(error)[:100]}"
        ) from None
    low, high = tree.getwidth()
    if low == 0:
        raise ConfigError(f"rule {rule_id}: the pattern matches the empty string; make one of its items required")
    if high > MAX_MATCH_BYTES:
        raise ConfigError(
            f"rule {rule_id}: a match may be longer than {MAX_MATCH_BYTES} bytes; give every repeat an upper bound, e.g. {{1,40}}"
        )
    _refuse_catastrophic(rule_id, tree)
    pieces: list[str] = []
    items, trimmed = _trim_left(list(fold_items(tree, FOLDS[fold]) if fold else tree))
    lead = trimmed + _sequence(items, pieces, top=True, at_start=True)
    return Trigger("".join(pieces), lead, high, fold)


def _trim_left(items: list[Any]) -> tuple[list[Any], int]:
    """Reduces a long repeat at the start to its minimum, because Hyperscan would follow it through every word of a
    text: `[a-z]{1,64}@` is searched for as `[a-z]@`. Returns the items and the number of bytes by which a match may
    start further left."""
    start = next((i for i, (op, _) in enumerate(items) if op not in (sre.ASSERT, sre.ASSERT_NOT, sre.AT)), 0)
    op, arg = items[start]
    if op is sre.SUBPATTERN and arg[1] == 0 and len(arg[3]):
        inner, trimmed = _trim_left(list(arg[3]))
        return ([*inner, *items[start + 1 :]], trimmed) if trimmed else (items, 0)
    if op not in (sre.MAX_REPEAT, sre.POSSESSIVE_REPEAT) or int(arg[1]) < _LONG_LEADING_REPEAT or not int(arg[0]):
        return items, 0
    low, high, body = min(int(arg[0]), _LEADING_ITEMS), int(arg[1]), arg[2]
    return [*([*body] * low), *items[start + 1 :]], (high - low) * int(body.getwidth()[1])


def _refuse_catastrophic(rule_id: str, tree: Any) -> None:
    """Refuses a variable repeat inside another one unless the inner one is possessive or atomic: otherwise matching
    time grows with the product of the bounds, or faster."""

    def visit(items: Any, outer: int) -> None:
        for op, arg in items:
            if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
                low, high, inner = arg
                spread = int(high) - int(low)
                if spread and high > 1 and op is not sre.POSSESSIVE_REPEAT and _is_one_variable_repeat(inner):
                    raise ConfigError(
                        f"rule {rule_id}: a repeat of a repeat, like (a{{1,9}}){{1,9}}, can take exponential time; "
                        "make it one repeat"
                    )
                cost = outer * (spread + 1) if op is not sre.POSSESSIVE_REPEAT else outer
                if outer > 1 and spread > 1 and op is not sre.POSSESSIVE_REPEAT and cost > _MAX_NESTED_COST:
                    raise ConfigError(
                        f"rule {rule_id}: a repeat of up to {high} is nested in another repeat, which can take "
                        "exponential time; make the inner one possessive ({m,n}+) or remove it"
                    )
                visit(inner, outer * (spread + 1) if spread > 1 else outer)
            elif op is sre.SUBPATTERN:
                visit(arg[3], outer)
            elif op is sre.ATOMIC_GROUP:
                visit(arg, 1)
            elif op is sre.BRANCH:
                for branch in arg[1]:
                    visit(branch, outer)
            elif op in (sre.ASSERT, sre.ASSERT_NOT):
                visit(arg[1], outer)

    visit(tree, 1)


def _is_one_variable_repeat(body: Any) -> bool:
    """Whether a repeat's body is nothing but a variable repeat: a text can be divided among the two in many ways."""
    while len(body) == 1 and body[0][0] is sre.SUBPATTERN:
        body = body[0][1][3]
    if len(body) != 1 or body[0][0] not in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return False
    low, high, _ = body[0][1]
    return int(low) != int(high)


def _sequence(items: list[Any], out: list[str], top: bool, at_start: bool = False) -> int:
    """Appends the trigger of a sequence to `out` and returns its maximum length in bytes. If the trigger must end
    within the sequence, raises _Stop after appending the part before that; at the top level it returns instead."""
    total = 0
    for index, (op, arg) in enumerate(items):
        is_last = not any(_takes_part(*other) for other in items[index + 1 :])
        mark = len(out)
        try:
            total += _item(op, arg, out, is_first=at_start and index == 0, is_last=is_last and top)
        except _Stop as stop:
            if not top:
                del out[mark:]
                raise
            return total + (stop.args[0] if stop.args else 0)
    return total


def _takes_part(op: Any, arg: Any) -> bool:
    """Whether a later item of the sequence goes into the trigger: all items except start anchors and assertions other
    than positive lookahead. If a repeat before `\\Z` or `\\b` were reduced to its minimum, the anchor would be tested
    at the wrong position.
    """
    if op is sre.AT:
        return arg in (sre.AT_END_STRING, sre.AT_BOUNDARY, sre.AT_NON_BOUNDARY)
    return op is not sre.ASSERT_NOT and not (op is sre.ASSERT and arg[0] < 0)


def _item(op: Any, arg: Any, out: list[str], is_first: bool, is_last: bool) -> int:
    if op is sre.LITERAL:
        out.append(_literal(arg))
        return 1
    if op is sre.NOT_LITERAL:
        out.append(f"[^{_literal(arg)}]")
        return 1
    if op is sre.ANY:
        out.append(r"[^\n]")
        return 1
    if op is sre.IN:
        out.append(_charset(arg))
        return 1
    if op is sre.AT:
        if arg not in _ANCHORS:
            raise _Stop(0)
        out.append(_ANCHORS[arg])
        return 0
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        return _assertion(op, arg, out, is_first, is_last)
    if op is sre.BRANCH:
        return _branch(arg[1], out, is_last)
    if op is sre.SUBPATTERN:
        return _group(arg, out, is_last)
    if op is sre.ATOMIC_GROUP:
        return _wrapped(arg, out, "(?:", is_last)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return _repeat(arg, out, is_last)
    raise _Stop(0)


def _assertion(op: Any, arg: Any, out: list[str], is_first: bool, is_last: bool) -> int:
    """Translates an assertion. A leading `(?<!set)` becomes "start of text, or a character outside the set", and a
    trailing positive lookahead becomes part of the trigger. Other assertions are dropped, which only makes the trigger
    looser."""
    direction, body = arg
    if op is sre.ASSERT and direction > 0 and is_last:
        return _sequence(list(body), out, top=True)
    if op is sre.ASSERT_NOT and direction < 0 and is_first and len(body) == 1 and body[0][0] in (sre.IN, sre.LITERAL):
        inner = _charset(body[0][1]) if body[0][0] is sre.IN else f"[{_literal(body[0][1])}]"
        if not inner.startswith("[^"):
            out.append(f"(?:^|[^{inner[1:-1]}])")
            return 1
    return 0


def _branch(branches: Any, out: list[str], is_last: bool) -> int:
    texts, widths = [], []
    for branch in branches:
        piece: list[str] = []
        widths.append(_sequence(list(branch), piece, top=is_last))
        texts.append("".join(piece))
    if any(texts):
        out.append("(?:" + "|".join(texts) + ")")
    return max(widths)


def _group(arg: Any, out: list[str], is_last: bool) -> int:
    _, add_flags, _, body = arg
    flags = ("i" if add_flags & re.IGNORECASE else "") + ("m" if add_flags & re.MULTILINE else "")
    return _wrapped(body, out, f"(?{flags}:", is_last)


def _wrapped(body: Any, out: list[str], opening: str, is_last: bool) -> int:
    piece: list[str] = []
    width = _sequence(list(body), piece, top=is_last)
    out.append(opening + "".join(piece) + ")")
    return width


def _repeat(arg: Any, out: list[str], is_last: bool) -> int:
    low, high, body = int(arg[0]), int(arg[1]), arg[2]
    piece: list[str] = []
    width = _sequence(list(body), piece, top=False)
    text = "".join(piece)
    if len(body) != 1 or body[0][0] in (sre.BRANCH, sre.SUBPATTERN):
        text = f"(?:{text})"
    if is_last or high > MAX_TRIGGER_REPEAT:
        kept = min(low, MAX_TRIGGER_REPEAT)
        out.append(f"{text}{{{kept}}}" if kept else "")
        if is_last:
            return width * kept
        raise _Stop(width * kept)
    out.append(f"{text}{{{low},{high}}}" if high <= MAX_COUNTED_REPEAT or low == high else f"{text}{{{low},}}")
    return width * high


def _charset(items: Any) -> str:
    negated = bool(items) and items[0][0] is sre.NEGATE
    text = ""
    for op, arg in items[1:] if negated else items:
        if op is sre.LITERAL:
            text += _literal(arg)
        elif op is sre.RANGE:
            text += f"{_literal(arg[0])}-{_literal(arg[1])}"
        else:
            text += _CATEGORIES[arg]
    return f"[^{text}]" if negated else f"[{text}]"


def _literal(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and (char.isalnum() or char in "_ @/:=,;<>#%&'\"!~`") else f"\\x{code:02x}"


def escape_literal(text: str) -> str:
    """A literal in Hyperscan's syntax.

    >>> escape_literal("a.b")
    'a\\\\x2eb'
    """
    return "".join(_literal(byte) for byte in text.encode("utf-8"))
