# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""Where the comments and strings of a text are: a few regular expressions a language family, not a parser.

Made only when a rule that asks for it has matched. One linear pass; an unclosed string ends at its line.
"""

from __future__ import annotations

import bisect
import re

_TEXT_LANGUAGES = frozenset(
    {"", "text", "markdown", "rst", "restructuredtext", "tex", "latex", "html", "json", "yaml", "xml", "csv", "log"}
)
_HASH_LANGUAGES = frozenset(
    {
        "python",
        "ruby",
        "perl",
        "shell",
        "bash",
        "r",
        "julia",
        "elixir",
        "toml",
        "ini",
        "makefile",
        "dockerfile",
        "powershell",
    }
)
_STRINGS = rb'"""(?:[^\\]|\\.)*?(?:"""|\Z)|\'\'\'(?:[^\\]|\\.)*?(?:\'\'\'|\Z)|"(?:[^"\\\n]|\\.)*+"?|\'(?:[^\'\\\n]|\\.)*+\'?|`(?:[^`\\]|\\.)*+`?'
_HASH = re.compile(_STRINGS + rb"|#[^\n]*+", re.DOTALL)
_SLASH = re.compile(_STRINGS + rb"|//[^\n]*+|/\*.*?(?:\*/|\Z)|--[^\n]*+|#[^\n]*+", re.DOTALL)


class Lexical:
    """Spans of comments and strings. A language that is prose or data, or unknown, counts as text throughout."""

    def __init__(self, data: bytes, language: str):
        self._everything = language.lower() in _TEXT_LANGUAGES
        self._starts: list[int] = []
        self._ends: list[int] = []
        if not self._everything:
            pattern = _HASH if language.lower() in _HASH_LANGUAGES else _SLASH
            for match in pattern.finditer(data):
                self._starts.append(match.start())
                self._ends.append(match.end())

    def is_text(self, offset: int) -> bool:
        """Whether the byte at `offset` stands in a comment or a string."""
        if self._everything:
            return True
        index = bisect.bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]

    def span_at(self, offset: int) -> tuple[int, int] | None:
        """The comment or string that holds the byte at `offset`, quotes included; None outside, and in prose."""
        index = bisect.bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self._ends[index]:
            return None
        return self._starts[index], self._ends[index]
