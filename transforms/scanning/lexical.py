"""Spans of comments and strings in a text, found by a few regular expressions per language family, without a parser.

They are computed only if a matched rule requires them. One linear pass; an unclosed string ends at the end of its line.
"""

from __future__ import annotations

import bisect
import re

from transforms.languages.lookup import find_language
from transforms.languages.table import Language

_TEXT_KINDS = ("markup", "prose", "plain", "data")
_TRIPLE = rb"QQQ[^Q\\]*+(?:(?:\\.|Q(?!QQ))[^Q\\]*+|(?!))*+(?:QQQ|\Z)"
_SINGLE = rb"Q[^Q\\\n]*+(?:\\.[^Q\\\n]*+)*+Q?"
_STRINGS = b"|".join(
    form.replace(b"Q", quote)
    for form, quote in [
        (_TRIPLE, b'"'),
        (_TRIPLE, b"'"),
        (_SINGLE, b'"'),
        (_SINGLE, b"'"),
        (_SINGLE.replace(rb"\n", b""), b"`"),
    ]
)
"""Unrolled loops: a string costs one step per run of plain characters, not one per character."""
_HASH = re.compile(b"(" + _STRINGS + rb"|#[^\n]*+)", re.DOTALL)
_SLASH = re.compile(
    b"(" + _STRINGS + rb"|//[^\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+|(?!))*+(?:\*/|\Z)|--[^\n]*+|#[^\n]*+)", re.DOTALL
)


def text_spans(data: bytes, language: Language | None) -> list[tuple[int, int]]:
    """Where the comments and strings of a program are, in order, with their marks and quotes."""
    return [match.span() for match in _pattern(language).finditer(data)]


def run_lengths(data: bytes, language: Language | None) -> list[int]:
    """The lengths of what is code and what is a comment or a string, in turn; code is first and last, perhaps empty.

    >>> run_lengths(b"x = 'a'  # b", None)
    [4, 3, 2, 3, 0]
    """
    return list(map(len, _pattern(language).split(data)))


def _pattern(language: Language | None) -> re.Pattern[bytes]:
    return _HASH if language is not None and language.comments == "hash" else _SLASH


class Lexical:
    """Spans of comments and strings. Prose, markup, data and texts without a language name count entirely as text; an
    unknown language name is treated as code."""

    def __init__(self, data: bytes, language: str):
        found = find_language(language)
        self._everything = not language.strip() if found is None else found.kind in _TEXT_KINDS
        self._spans = [] if self._everything else text_spans(data, found)

    def is_text(self, offset: int) -> bool:
        """Whether the byte at `offset` is in a comment or a string."""
        return self._everything or self.span_at(offset) is not None

    def span_at(self, offset: int) -> tuple[int, int] | None:
        """The comment or string that contains the byte at `offset`, including quotes; None outside and in prose."""
        index = bisect.bisect_right(self._spans, offset, key=lambda span: span[0]) - 1
        return self._spans[index] if index >= 0 and offset < self._spans[index][1] else None
