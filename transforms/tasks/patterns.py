r"""Regular expressions of task files, matched within a limit of time.

Python's engine backtracks: `(a+)+$` takes exponential time, three `.*` in a row cubic time. A pattern is *plain* if it
has at most one repeat, of one character or class, and the text is short: that takes at most a quadratic number of very
fast steps and is matched here. Any other is matched in `transforms.bounded`'s child, which ends after
`bounded.ROW_CPU_S`. (An engine that needs linear time, such as RE2, lacks lookaround and backreferences, which are
common in such patterns, and reads `\w` and `\d` differently.)
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, Final

from model.errors import ConfigError, one_line
from transforms import bounded

MAX_PATTERN_CHARS: Final = 10_000
_MAX_PLAIN_PATTERN_CHARS: Final = 500
MAX_PLAIN_TEXT_CHARS: Final = 20_000
_REPEATS: Final = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_SINGLE: Final = (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY)
_UNLIKE_PLAIN: Final = (sre.GROUPREF, sre.GROUPREF_EXISTS, sre.ASSERT, sre.ASSERT_NOT, sre.ATOMIC_GROUP)


def check_pattern(where: str, pattern: str) -> None:
    """Checks a pattern before anything runs.

    Raises:
        ConfigError: It is longer than MAX_PATTERN_CHARS, or not a regular expression.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ConfigError(f"{where} has {len(pattern)} characters, the limit is {MAX_PATTERN_CHARS}")
    if not is_plain(pattern):
        bounded.check(where, "compiled", "check_pattern", pattern)
    elif fault := fault_of(where, pattern):
        raise ConfigError(fault)


def fault_of(where: str, pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    try:
        _compiled(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{where} is not a valid regular expression: {one_line(error)[:100]}"
    return None


def matches(where: str, pattern: str, text: str) -> bool:
    """Whether a pattern matches anywhere in a text.

    Raises:
        RecordError: `check_timed_out`: it exceeded the limits of `bounded.call_for_row`.
    """
    if is_plain(pattern) and len(text) <= MAX_PLAIN_TEXT_CHARS:
        return search_here(pattern, text)
    return bounded.judge(where, "matched against the answer", "search", pattern, text)


def search_here(pattern: str, text: str) -> bool:
    """Whether a pattern matches anywhere in a text, in this process and without a limit."""
    return _compiled(pattern).search(text) is not None


@functools.lru_cache(maxsize=64)
def is_plain(pattern: str) -> bool:
    r"""Whether a pattern evidently takes little time on a short text; True where it isn't a pattern at all.

    >>> is_plain(r"O\(.+\)"), is_plain("(a+)+$")
    (True, False)
    """
    if len(pattern) > _MAX_PLAIN_PATTERN_CHARS:
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            items = list(_items(sre_parser.parse(pattern)))
    except (re.error, OverflowError):
        return True  # compiling it fails in the same way
    except RecursionError:
        return False
    repeats = [arg for op, arg in items if op in _REPEATS]
    is_simple = all(len(body) == 1 and body[0][0] in _SINGLE for *_, body in repeats)
    return is_simple and len(repeats) <= 1 and not any(op in _UNLIKE_PLAIN for op, _ in items)


def _items(tree: Any) -> Iterator[tuple[Any, Any]]:
    """All items of a parsed pattern, inner ones after outer ones."""
    for op, arg in tree:
        yield op, arg
        if op in _REPEATS:
            yield from _items(arg[2])
        elif op is sre.SUBPATTERN:
            yield from _items(arg[3])
        elif op is sre.BRANCH:
            for branch in arg[1]:
                yield from _items(branch)


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings(action="ignore"):  # of sets that a later Python may read differently
        return re.compile(pattern)
