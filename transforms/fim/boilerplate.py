"""Where a file's license header and its import block are: middles that begin in them are seldom taken.

A license is known by heart after a few files, and imports are written by the editor from what the code below uses. Both
stand at the top of nearly every file: 2 to 37% of a repository's text in one language. A middle that begins there and
goes on to some code below is no better: nobody leaves half an import block and a class.

Read from the top of the file to the first code that is neither, by one regular expression; an import further down is no
block. Cost: about a microsecond a comment or import at the top.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from transforms.languages.brackets import comment_pattern
from transforms.languages.table import Language

BOILERPLATE_SHARE: Final = 0.1
"""The share of the chosen middles in license headers and import blocks that are taken; the others are chosen again."""

_MAX_HEAD_CHARS: Final = 50_000
_LICENSE: Final = (
    "copyright", "license", "licence", "spdx", "all rights reserved", "permission is hereby", "redistribut",
    "(c) 1", "(c) 2",
)  # fmt: skip
_STRING: Final = r'"""(?:[^"\\]|\\.|"(?!"")|(?!))*+"""' + r"|'''(?:[^'\\]|\\.|'(?!'')|(?!))*+'''"
# One line, or as many as one pair of brackets takes.
_LINE: Final = r"\b[^\n({]*+(?:\([^)]*+\)|\{[^}]*+\})?[^\n]*+"
_SCRIPT: Final = (
    rf"import\b(?![ ]*\(){_LINE}"
    r"|export\s+(?:type\s+)?(?:\*|\{[^}]*+\})[^\n]*?\sfrom\b[^\n]*+"
    r"|(?:const|let|var)\s+[^=;]{1,300}+=\s*require\([^\n]*+|['\"]use \w+['\"];?"
)
_C: Final = r"\#[ \t]*(?:include|import|pragma|ifdef|ifndef)\b[^\n]*+|\#[ \t]*define\s+\w+[ \t\r]*(?=\n)"

_IMPORTS: Final[dict[str, str]] = {
    **dict.fromkeys(("Python", "Cython", "Starlark"), rf"(?:from|import){_LINE}"),
    **dict.fromkeys(("Java", "Kotlin", "Scala", "Groovy"), rf"(?:import|package){_LINE}|@file:[^\n]*+"),
    "Go": rf"(?:import|package){_LINE}",
    **dict.fromkeys(("JavaScript", "TypeScript", "TSX"), _SCRIPT),
    "Rust": r"(?:pub(?:\([^)\n]*+\))?\s+)?(?:use\s[^;]*+|(?:mod|extern\s+crate)\s[^;{]*+);|\#!\[[^\n]*+",
    **dict.fromkeys(("C", "C++", "Objective-C", "Objective-C++", "Cuda", "Arduino"), _C),
    "C#": r"(?:global\s+)?using\s[^(;]*+;|namespace\s+[\w.]+\s*;",
    "PHP": r"<\?php\b|(?:namespace|use)\s[^;]*+;|declare\([^)\n]*+\);|(?:require|include)(?:_once)?\b[^\n]*+",
    "Ruby": r"(?:require|require_relative|load|autoload)\b[^\n]*+",
    **dict.fromkeys(("Swift", "Haskell", "D"), r"import\b[^\n]*+"),
    "Dart": r"(?:import|export|library|part)\b[^;]*+;",
    "Perl": r"(?:use|no|package)\s[^;]*+;",
    "Protocol Buffer": r"(?:syntax|package|import|option)\b[^;{]*+;",
}


def boilerplate(text: str, language: Language | None) -> tuple[tuple[int, int], ...]:
    r"""Where license header and import block are, in characters of the file; ranges with only blanks between are one.

    >>> from transforms.languages.lookup import find_language
    >>> text = "# Copyright\n\nimport os\nimport re\n\nprint(os, re)\n"
    >>> [text[start:end] for start, end in boilerplate(text, find_language("python"))]
    ['# Copyright\n\nimport os\nimport re']
    """
    pattern = _pattern(language)
    if pattern is None:
        return ()
    found: list[list[int]] = []
    comment, is_license = (0, 0), False  # the last comment, of one or several lines
    place = _blanks(text, 1 if text.startswith("\ufeff") else 0)
    while place < _MAX_HEAD_CHARS and (match := pattern.match(text, place)) is not None and match.end() > place:
        end = match.end()
        if match.lastgroup == "comment":
            is_joined = text.count("\n", comment[1], place) <= 1 and comment[1] > 0
            is_license = (is_license and is_joined) or _is_license(text[place:end].lower())
            comment = (comment[0] if is_joined else place, end)
            if is_license:
                _add(found, text, comment[0], end)
        elif match.lastgroup == "imports":
            # A comment between imports is part of the block.
            is_between = bool(found) and found[-1][1] <= comment[0]
            _add(found, text, comment[0] if is_between else place, end)
        place = _blanks(text, end)
    return tuple((start, end) for start, end in found)


def _is_license(comment: str) -> bool:
    return any(words in comment for words in _LICENSE)


def _blanks(text: str, place: int) -> int:
    match = _BLANKS.match(text, place)
    assert match is not None
    return match.end()


_BLANKS: Final = re.compile(r"\s*+")


def _add(found: list[list[int]], text: str, start: int, end: int) -> None:
    if found and (start <= found[-1][1] or text[found[-1][1] : start].isspace()):
        found[-1][1] = end
    else:
        found.append([start, end])


@functools.lru_cache(maxsize=256)
def _pattern(language: Language | None) -> re.Pattern[str] | None:
    if language is None or language.kind not in ("code", "script"):
        return None
    parts = []
    if imports := _IMPORTS.get(language.name):
        parts.append(f"(?P<imports>{imports})")  # before comments: some start with `#`
    if comments := comment_pattern(language):
        parts.append(f"(?P<comment>{comments})")
    return re.compile("|".join([*parts, _STRING]), re.DOTALL) if parts else None
