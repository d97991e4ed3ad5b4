"""Verdicts on generated code: is it an echo, does it hold control tokens, how near is it to the original.

Each is a plain function of texts. Whether code parses is told by `transforms.languages.parsing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapidfuzz.distance import Levenshtein


def is_exact_match(generated: str, original: str) -> bool:
    """Equal up to blanks at both ends.

    >>> is_exact_match("x = 1\\n", "x = 1")
    True
    """
    return generated.strip() == original.strip()


def edit_similarity(generated: str, original: str) -> float:
    """1 minus the Levenshtein distance over the longer length, in characters: 1.0 for equal texts.

    >>> edit_similarity("abcd", "abxd")
    0.75
    """
    return Levenshtein.normalized_similarity(generated, original)


# An overlap shorter than this is how code looks (`):`, `return`), not an echo.
MIN_ECHO_CHARS: Final = 12
_MAX_ECHO_CHARS: Final = 400


def echoes_suffix(generated: str, original: str, suffix: str) -> bool:
    """Whether a middle repeats the beginning of its suffix, as models do that miss where the hole ends.

    The rule, blanks at the ends of both aside: its last characters, at least `MIN_ECHO_CHARS` of them, are the
    suffix's first; or the suffix's first line that isn't blank, if that long, is one of its own lines. An echo that the
    original has as well (code repeats itself) is none.

    >>> echoes_suffix("a = 1\\nreturn combine(a)", "a = 1", "\\n    return combine(a)\\n")
    True
    """
    return _has_echo(generated, suffix) and not _has_echo(original, suffix)


def _has_echo(middle: str, suffix: str) -> bool:
    end, begin = middle.rstrip(), suffix.lstrip()[:_MAX_ECHO_CHARS]
    longest = min(len(end), len(begin))
    if any(end.endswith(begin[:length]) for length in range(MIN_ECHO_CHARS, longest + 1)):
        return True
    first_line = begin.split("\n", 1)[0].strip()
    # A line of the cap's length may be cut off, and is then no whole line to look for.
    if not MIN_ECHO_CHARS <= len(first_line) < _MAX_ECHO_CHARS:
        return False
    return any(line.strip() == first_line for line in middle.split("\n"))


def has_control_text(generated: str, content: str, names: Iterable[str]) -> bool:
    """Whether a control token's name stands in the generated text and nowhere in the file it was generated for."""
    return any(name in generated and name not in content for name in names)
