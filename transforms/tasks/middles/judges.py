"""Judges of an infilled middle beyond its syntax: whether it says something, and not what stands there already.

Each is a function of the middle and the original one, since code has comments, empty bodies and repeated lines: what
the original is as well is no fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from transforms.checks import MIN_ECHO_CHARS
from transforms.languages.triviality import is_comment_only, is_trivial

# Middles of these kinds are whole statements, wherever they begin in their line.
STATEMENT_KINDS: Final = ("statement", "block", "function_body", "class_body", "multi_line")

# Statements that stand where something is yet to be written.
_WORDS: Final = r"""(?:TODO|FIXME|(?:\w+\s){0,3}?(?:is\s)?not?\s?(?:yet\s)?(?:implemented|supported)(?:\syet)?|
    implement(?:\s(?:me|this))?|unimplemented|stub|placeholder|your\scode(?:\sgoes)?\shere|todo:?\simplement)"""
_ARGUMENT: Final = rf"""\(\s*+(?:[frb"'`]+\s*{_WORDS}[\s.!:]*["'`]+)?\s*\)"""
# What says of itself that it isn't implemented, whatever its argument.
_ANY_TEXT: Final = r"""\(\s*+(?:[frb]?(?:"[^"\n]*"|'[^'\n]*'))?\s*\)"""
_STAND_IN: Final = re.compile(
    rf"""\s*+\{{?+\s*+
    (?: raise\s+NotImplemented(?:Error)?(?:{_ANY_TEXT})?
      | (?:todo|unimplemented)!\s*{_ARGUMENT} | TODO\s*{_ARGUMENT}
      | throw\s+(?:new\s+)?[\w.:]*(?:NotImplemented|UnsupportedOperation|NotSupported)\w*\s*{_ARGUMENT}
      | (?:throw\s+(?:new\s+)?(?:std::)?(?:\w*Error|\w*Exception|runtime_error|logic_error)|panic!?|error|fatalError)
        \s*(?!\(\s*\)){_ARGUMENT}
    )\s*+;?+\s*+\}}?+\s*+""",
    re.VERBOSE | re.IGNORECASE,
)
_FIRST_COMMENTS: Final = re.compile(r"\A(?:[ \t]*(?:#(?!\[|!|include|define|if)|//)[^\n]*\n)+")
# A line that only opens a call: code nests calls of one function, as in `max(max(a, b), c)`.
_CALL_OPENING: Final = re.compile(r"[\w.:]+[(\[{<]")
_MIN_ASSIGNED_CHARS: Final = 4
_ECHO_LINES: Final = 8
_MIN_LINE_CHARS: Final = 6  # a middle that is nothing but the line before it, once or more


def line_at(text: str, place: int) -> tuple[str, str]:
    r"""A line's parts before and from a place.

    >>> line_at("a\nb = c\n", 4)
    ('b ', '= c')
    """
    end = text.find("\n", place)
    return text[text.rfind("\n", 0, place) + 1 : place], text[place : len(text) if end < 0 else end]


def is_comment_instead(middle: str, original: str, head: str, language: str, path: str) -> bool:
    """Whether a middle is comments alone where the original has code.

    Args:
        middle: The generated middle.
        original: The file's own.
        head: The line in which it begins, up to there.
        language: The corpus's name of the file's language.
        path: The file's path.

    >>> is_comment_instead("# add them", "total = a + b", "    ", "python", "")
    True
    """
    if head.strip() and middle.lstrip().startswith("*"):  # a product or a pointer, not the rest of a comment
        return False
    return is_comment_only(middle, language, path) and not is_comment_only(original, language, path)


def is_nothing_instead(middle: str, original: str, kind: str, lines: tuple[str, str], language: str) -> bool:
    """Whether a middle that stands for statements does nothing, where the original does something.

    Args:
        middle: The generated middle; not comments alone, which `is_comment_instead` tells.
        original: The file's own.
        kind: The span's kind.
        lines: The line in which it begins up to there, and the one in which it ends from there.
        language: The corpus's name of the file's language.

    >>> is_nothing_instead("pass", "total = a + b", "statement", ("    ", ""), "python")
    True
    >>> is_nothing_instead("()", "(a, b)", "argument_list", ("f", ")"), "python")
    False
    """
    if kind not in STATEMENT_KINDS and any(line.strip() for line in lines):
        return False
    if is_trivial(middle, language) and not is_comment_only(middle, language):
        return not is_trivial(original, language)
    bare = _FIRST_COMMENTS.sub("", middle)
    if bare != middle and is_trivial(bare, language) and bare.strip():
        return not is_trivial(original, language)
    return _STAND_IN.fullmatch(bare) is not None and _STAND_IN.fullmatch(original) is None


def repeats_prefix(middle: str, original: str, prefix: str) -> bool:
    r"""Whether a middle writes again what stands right before it, and the original doesn't.

    That is the beginning of the line in which it starts, or the last lines before that, with at least `MIN_ECHO_CHARS`
    characters.

    >>> repeats_prefix("total = a + b", "a + b", "def f(a, b):\n    total = ")
    True
    >>> repeats_prefix("report(total, a)\nclose()", "close()", "report(total, a)\n")
    True
    """
    return _has_prefix(middle, prefix) and not _has_prefix(original, prefix)


def _has_prefix(middle: str, prefix: str) -> bool:
    head = prefix[prefix.rfind("\n") + 1 :].strip()
    text = middle.lstrip()
    if head and text.startswith(head) and not _CALL_OPENING.fullmatch(head):
        is_assigned = head.endswith("=") and len(head) >= _MIN_ASSIGNED_CHARS
        if is_assigned or len(head) >= MIN_ECHO_CHARS:
            return True
    before = _last_lines(prefix, prefix.rfind("\n"))
    lines = [found for line in middle.split("\n") if (found := line.strip())]
    if not head and _begins_with_end(lines, before):
        return True
    if not head and before and set(lines) == {before[-1]} and len(before[-1]) >= _MIN_LINE_CHARS:
        return True
    pair = before[-2:]
    is_long = len(pair) == 2 and sum(map(len, pair)) >= 2 * MIN_ECHO_CHARS
    return is_long and any(lines[i : i + 2] == pair for i in range(len(lines) - 1))


def _begins_with_end(lines: Sequence[str], before: Sequence[str]) -> bool:
    """Whether lines begin with the last of other lines, one or more, with enough characters."""
    for count in range(1, min(len(lines), len(before)) + 1):
        if lines[:count] == before[-count:] and sum(map(len, lines[:count])) >= MIN_ECHO_CHARS:
            return True
    return False


def _last_lines(text: str, end: int) -> list[str]:
    """The last lines of `text[:end]` that are not blank, without whitespace at their ends."""
    found: list[str] = []
    while end > 0 and len(found) < _ECHO_LINES:
        start = text.rfind("\n", 0, end) + 1
        if line := text[start:end].strip():
            found.append(line)
        end = start - 1
    return found[::-1]
