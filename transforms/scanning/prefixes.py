"""Pattern analysis that narrows where matches can start: their literal prefixes, and whether they stay within a line.

    (?<![A-Za-z0-9_])(?P<v>gl(?:pat|ptt)-[0-9a-zA-Z_-]{20})      "glpat-", "glptt-"

If a pattern has only a few literal prefixes, `bytes.find` finds them in the window before a trigger's end, and the
pattern is tried only there. That costs a tenth of a `search`, which tries the boundary at every byte. If no item of the
pattern can match a line break, no match starts before the line of its trigger's end.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from typing import Any

from transforms.scanning.folds import members
from transforms.scanning.pattern_trees import parse_pattern

MAX_PREFIXES = 6
"""With more prefixes, searching for each takes as long as trying the pattern everywhere."""
MIN_PREFIX_BYTES = 2
MAX_PREFIX_BYTES = 16
_LINE_BREAK = 10
_ZERO_WIDTH = (sre.AT, sre.ASSERT, sre.ASSERT_NOT)


def literal_prefixes(pattern: str) -> tuple[bytes, ...]:
    """The literals with which every match of a pattern starts; empty if they are case-insensitive, too short or too
    many.

    >>> literal_prefixes(r"(?<![a-z])(?P<v>tok_[sk]-[0-9]{9})")
    (b'tok_k-', b'tok_s-')
    """
    tree = parse_pattern(pattern)
    if tree.state.flags & re.IGNORECASE:
        return ()
    heads, _ = _heads(tree)
    # if one prefix starts with another, only the shorter one is needed
    heads = {head for head in heads if not any(head != other and head.startswith(other) for other in heads)}
    return tuple(sorted(heads)) if all(len(head) >= MIN_PREFIX_BYTES for head in heads) else ()


def starts_with_literal(pattern: str, ordinary: bytes) -> bool:
    """Whether every match of a pattern starts with a literal that is rare enough to be searched for: two characters, or
    one that isn't ordinary.

    >>> starts_with_literal(r"(?:\\+|00)[1-9]", b"0123456789"), starts_with_literal(r"0[1-9]", b"0123456789")
    (True, False)
    """
    tree = parse_pattern(pattern)
    heads, _ = _heads(tree)
    return not tree.state.flags & re.IGNORECASE and all(len(head) > 1 or head.strip(ordinary) for head in heads)


def _heads(items: Any) -> tuple[set[bytes], bool]:
    """The literals with which a sequence can start, and whether they cover the complete sequence."""
    heads = {b""}
    for op, arg in items:
        if op in _ZERO_WIDTH:
            continue
        tails, is_whole = _item_heads(op, arg)
        longer = {head + tail for head in heads for tail in tails}
        if len(longer) > MAX_PREFIXES:
            return heads, False
        heads = longer
        if not is_whole or max(map(len, heads)) > MAX_PREFIX_BYTES:
            return heads, False
    return heads, True


def _item_heads(op: Any, arg: Any) -> tuple[set[bytes], bool]:
    if op is sre.LITERAL:
        return {bytes([arg])}, True
    if op is sre.IN:
        found = members(arg)
        return ({bytes([byte]) for byte in found}, True) if len(found) <= MAX_PREFIXES else ({b""}, False)
    if op is sre.SUBPATTERN and not arg[1] & re.IGNORECASE:
        return _heads(arg[3])
    if op is sre.ATOMIC_GROUP:
        return _heads(arg)
    if op is sre.BRANCH:
        parts = [_heads(branch) for branch in arg[1]]
        return set().union(*(heads for heads, _ in parts)), all(is_whole for _, is_whole in parts)
    return {b""}, False


def stays_in_line(pattern: str) -> bool:
    """Whether neither a match nor its lookahead can contain a line break.

    >>> stays_in_line(r"key=[^\\s]{8}"), stays_in_line(r"key=[^=]{8}")
    (True, False)
    """
    return not _takes_line_break(parse_pattern(pattern))


def _takes_line_break(items: Any) -> bool:
    return any(_item_takes_line_break(op, arg) for op, arg in items)


def _item_takes_line_break(op: Any, arg: Any) -> bool:
    if op is sre.LITERAL:
        return arg == _LINE_BREAK
    if op is sre.NOT_LITERAL:
        return arg != _LINE_BREAK
    if op is sre.IN:
        return _LINE_BREAK in members(arg)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return _takes_line_break(arg[2])
    if op is sre.SUBPATTERN:
        return _takes_line_break(arg[3])
    if op is sre.ATOMIC_GROUP:
        return _takes_line_break(arg)
    if op is sre.BRANCH:
        return any(map(_takes_line_break, arg[1]))
    if op is sre.ASSERT:
        return arg[0] > 0 and _takes_line_break(arg[1])
    return op not in (sre.AT, sre.ASSERT_NOT, sre.GROUPREF)
