"""Where imports, packages, types and mains stand in a program's text, in languages with braces.

Tests are joined to prompts and answers as text, and not every layout of the parts gives a sound program: imports may
stand once and first, a `main` must be renamed, a public class wants a file of its own name. What is looked for is found
in the text's *code*: as long as the text, with comments and what stands in strings blanked, so that a place in one is
the same place in the other. A syntax tree would not do: grammars give up at an import in the middle of a file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

_COMMENT: Final = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_STRING: Final = r'"(?:\\.|[^"\\\n])*"'
_CHARACTER: Final = r"'(?:\\[^\n]{1,9}?|[^'\\\n])'"  # not Rust's lifetimes
_RAW_STRINGS: Final = {
    "C#": r'\$?@\$?"(?:""|[^"])*"',
    "C++": r'R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"',
    "Go": r"`[^`]*`",
    "Java": r'"""(?:\\.|.)*?"""',
    "Kotlin": r'""".*?"""+',
    "Rust": r'r(?P<mark>\#*)".*?"(?P=mark)',
}
_NOT_LINE_END: Final = re.compile(r"[^\n]")
_TYPE: Final = re.compile(r"\b(?:class|interface|enum|record|object|struct)\s+(\w+)[^{};]*\{")


@functools.cache
def _hidden(language: str) -> re.Pattern[str]:
    raw = _RAW_STRINGS.get(language)
    return re.compile("|".join(filter(None, (_COMMENT, raw, _STRING, _CHARACTER))), re.S)


def code_of(text: str, language: str) -> str:
    """The text with comments as blanks, and strings as quotes with underscores between.

    >>> code_of('f("a{b") // c', "Go")
    'f("___")     '
    """

    def hide(found: re.Match[str]) -> str:
        whole = found[0]
        if whole.startswith(("//", "/*")):
            return _NOT_LINE_END.sub(" ", whole)
        return '"' + _NOT_LINE_END.sub("_", whole[1:-1]) + '"'

    return _hidden(language).sub(hide, text)


def without_comments(text: str, language: str) -> str:
    """The text with comments as blanks; a place in one is the same place in the other.

    >>> without_comments('f("a{b") // c', "Go")
    'f("a{b")     '
    """
    pairs = zip(text, code_of(text, language), strict=True)
    return "".join(hidden if hidden == " " else char for char, hidden in pairs)


def outer_of(code: str) -> str:
    """The code outside of all braces; what stands in them is blank.

    >>> outer_of("f() { g() } h()")
    'f() {     } h()'
    """
    parts, depth = [], 0
    for part in re.split(r"([{}])", code):
        depth -= part == "}" and depth > 0
        parts.append(part if depth == 0 else _NOT_LINE_END.sub(" ", part))
        depth += part == "{"
    return "".join(parts)


def take_out(text: str, pattern: re.Pattern[str], language: str) -> tuple[list[str], str]:
    """Takes what matches out of the text's outermost code; returns the pieces, each once, and the rest.

    Args:
        text: The program.
        pattern: Searched in the outermost code. If it has a group `piece`, that is the piece, else all of it is.
        language: Linguist name.
    """
    pieces: list[str] = []
    rest = text
    for found in pattern.finditer(outer_of(code_of(text, language))):
        begin, end = found.span("piece" if "piece" in pattern.groupindex else 0)
        pieces.append(text[begin:end].strip())
        rest = rest[:begin] + _NOT_LINE_END.sub(" ", text[begin:end]) + rest[end:]
    return list(dict.fromkeys(pieces)), rest


def replace_code(text: str, pattern: re.Pattern[str], words: str, language: str, *, outer: bool = False) -> str:
    """Replaces what matches in the code (or the outermost code), in the text; `words` may have `\\1`."""
    code = code_of(text, language)
    parts, at = [], 0
    for found in pattern.finditer(outer_of(code) if outer else code):
        parts += [text[at : found.start()], found.expand(words)]
        at = found.end()
    return "".join(parts) + text[at:]


def types_around(code: str, at: int) -> list[str]:
    """Names of the types whose bodies hold a place, the outermost first."""
    return [found[1] for found in _TYPE.finditer(code, 0, at) if _body_end(code, found.end()) > at]


def _body_end(code: str, begin: int) -> int:
    depth = 1
    for found in re.finditer(r"[{}]", code[begin:]):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return begin + found.start()
    return len(code)


def last_in(pattern: re.Pattern[str], code: str) -> re.Match[str] | None:
    """The last match, None if there is none."""
    matches: Iterator[re.Match[str]] = pattern.finditer(code)
    return max(matches, key=lambda found: found.start(), default=None)
