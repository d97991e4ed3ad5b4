"""Checks of generated code: whether it echoes the suffix or contains control tokens, and how similar it is to the
original.

Each check is a plain function of texts. `transforms.languages.parsing` checks whether code parses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapidfuzz.distance import Levenshtein


def is_exact_match(generated: str, original: str) -> bool:
    """Whether two texts are equal except for whitespace at both ends.

    >>> is_exact_match("x = 1\\n", "x = 1")
    True
    """
    return generated.strip() == original.strip()


def edit_similarity(generated: str, original: str) -> float:
    """1 minus the Levenshtein distance divided by the longer length, in characters; 1.0 for equal texts.

    >>> edit_similarity("abcd", "abxd")
    0.75
    """
    return Levenshtein.normalized_similarity(generated, original)


# A shorter overlap is common in code (`):`, `return`) and is not an echo.
MIN_ECHO_CHARS: Final = 12
_MAX_ECHO_CHARS: Final = 400


def echoes_suffix(generated: str, original: str, suffix: str) -> bool:
    """Whether a generated middle repeats the start of its suffix, which happens if a model misses the end of the span.

    Ignoring whitespace at the ends, a middle echoes its suffix if it ends with the first characters of the suffix, at
    least `MIN_ECHO_CHARS` of them, or if the suffix's first nonblank line is at least that long and is also a line of
    the middle, no deeper indented: what returns early returns the same. It is not an echo if the original middle
    repeats the suffix as well, since code repeats itself.

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
    ahead = suffix[: len(suffix) - len(suffix.lstrip())]
    depth = len(ahead) - ahead.rfind("\n") - 1 if "\n" in ahead else len(ahead) + len(suffix)
    # A line of the maximum length may be truncated, so it can't be compared with complete lines.
    if not MIN_ECHO_CHARS <= len(first_line) < _MAX_ECHO_CHARS:
        return False
    first, *others = middle.split("\n")
    if first.strip() == first_line:
        return True
    return any(line.strip() == first_line and len(line) - len(line.lstrip()) <= depth for line in others)


def has_control_text(generated: str, content: str, names: Iterable[str]) -> bool:
    """Whether a control token's name appears in the generated text but nowhere in the file it was generated for."""
    return any(name in generated and name not in content for name in names)
