r"""Brackets of a program outside of its strings and comments: the one definition of a balanced piece of code.

    text     f("(", x)  # :(        masked    f(<<<, x)  >>>>

1. `mask` replaces each string and each comment by marks of the same length, breaks inside of them too, so what is left
   are code, its brackets, and the ends of lines at which neither a string nor a comment goes on.
2. A piece is balanced if each of its brackets has its partner in it, and the kinds agree.

Strings and comments are found by one regular expression for a family of languages, in one pass. An apostrophe that its
line doesn't close is no string; other strings end at the end of the line, or of the file, if nothing closes them. Cost:
100 to 200 MB/s a core. It needs no parser, so it serves every language and broken files; where there is a grammar, the
two agree (docs/benchmarks.md).
"""

from __future__ import annotations

import functools
import re
from typing import Final

from transforms.languages.table import Comments, Language

STRING: Final = "\x0e"
COMMENT: Final = "\x0f"
"""What strings and comments are replaced by: characters that no source has, and that are no blanks."""

_BRACKETS: Final = re.compile(r"[][(){}]")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}

# A turn that can fail half way ends with `|(?!)`, for Pythons before 3.11.5 (CPython issue 106052).
_DOUBLE: Final = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+(?:"|(?=\n)|\Z)'
_SINGLE: Final = r"'(?:[^'\\\n]|\\.|(?!)){0,200}+'"
_LONG_DOUBLE: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)'
_LONG_SINGLE: Final = r"'[^'\\]*+(?:\\.[^'\\]*+)*+(?:'|\Z)"
_CHAR: Final = r"'(?:[^'\\\n]|\\[^\n][^'\n]{0,8})'"
_TRIPLE: Final = r'"""(?:[^"\\]|\\.|"(?!"")|(?!))*+(?:"""|\Z)'
_TRIPLE_SINGLE: Final = r"'''(?:[^'\\]|\\.|'(?!'')|(?!))*+(?:'''|\Z)"
_RAW_TRIPLE: Final = r'"""[^"]*+(?:"(?!"")[^"]*+|(?!))*+(?:"""|\Z)'
_BACKTICK: Final = r"`[^`\\]*+(?:\\.[^`\\]*+)*+(?:`|\Z)"
_RAW_BACKTICK: Final = r"`[^`]*+(?:`|\Z)"
_HERE: Final = r"<<[-~]?(?P<q>['\"]?)(?P<end>[A-Za-z_]\w*)(?P=q)[^\n]*\n(?:[^\n]*\n){0,200}?[ \t]*(?P=end)\b"
_SLASHES: Final = r"//[^\n]*"
_BLOCK: Final = r"/\*[^*]*+(?:\*(?!/)[^*]*+|(?!))*+(?:\*/|\Z)"
_HASH: Final = r"#[^\n]*"
_HASH_APART: Final = r"(?<![^\s;])#[^\n]*"
_BEFORE_REGEX: Final = r"(?:(?<=[(,=:\[!&|?{};])|(?<=[(,=:\[!&|?{};] )|(?<=return )|(?<=\n))"
_REGEX: Final = _BEFORE_REGEX + r"/(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.|(?!))*+\]|(?!)){1,200}+/"

# By the form of comments: what a comment is, and what a string is.
_FORMS: Final[dict[Comments, tuple[str, str]]] = {
    "hash": (_HASH_APART, f"{_DOUBLE}|{_SINGLE}"),
    "slash": (f"{_SLASHES}|{_BLOCK}", f"{_DOUBLE}|{_CHAR}"),
    "dash": (r"--\[\[.*?(?:\]\]|\Z)|--[^\n]*|\{-.*?(?:-\}|\Z)|" + _BLOCK, f"{_DOUBLE}|{_CHAR}"),
    "percent": (r"(?<!\\)%[^\n]*", _DOUBLE),
    "semicolon": (r";[^\n]*", rf"#?\\.|{_LONG_DOUBLE}"),
    "bang": (r"![^\n]*", f"{_DOUBLE}|{_SINGLE}"),
    "quote": (r"'[^\n]*", r'"[^"\n]*+"'),
    "star": (r"\(\*.*?(?:\*\)|\Z)", f"{_LONG_DOUBLE}|{_CHAR}"),
    "rem": (r"(?<![^\n])[ \t]*(?:::|@?rem\b)[^\n]*", r'"[^"\n]*+"'),
    "markup": (r"<!--.*?(?:-->|\Z)", ""),
    "none": ("", ""),
}
# Languages whose strings or comments differ.
_OWN: Final[dict[str, tuple[str, str]]] = {
    "Python": (_HASH, f"{_TRIPLE}|{_TRIPLE_SINGLE}|{_DOUBLE}|{_SINGLE}"),
    "Starlark": (_HASH, f"{_TRIPLE}|{_TRIPLE_SINGLE}|{_DOUBLE}|{_SINGLE}"),
    "Ruby": (rf"(?<![^\n])=begin\b.*?(?:\n=end\b|\Z)|{_HASH_APART}", f"{_HERE}|{_LONG_DOUBLE}|{_LONG_SINGLE}|{_REGEX}"),
    "Shell": (_HASH_APART, rf"{_HERE}|\\.|{_LONG_DOUBLE}|'[^']*+'"),
    "Elixir": (_HASH, f"{_TRIPLE}|{_LONG_DOUBLE}"),
    "Go": (f"{_SLASHES}|{_BLOCK}", f"{_DOUBLE}|{_RAW_BACKTICK}|{_CHAR}"),
    "Rust": (
        f"{_SLASHES}|{_BLOCK}",
        rf'b?r(?P<hashes>#*+)".*?(?:"(?P=hashes)|\Z)|{_LONG_DOUBLE}|' + r"'(?:[^'\\\n]|\\(?:u\{\w+\}|x\w\w|.))'",
    ),
    "C++": (f"{_SLASHES}|{_BLOCK}", rf'R"(?P<mark>[^()\\\s"]*+)\(.*?(?:\)(?P=mark)"|\Z)|{_DOUBLE}|{_CHAR}'),
    "Java": (f"{_SLASHES}|{_BLOCK}", f"{_TRIPLE}|{_DOUBLE}|{_CHAR}"),
    "Kotlin": (f"{_SLASHES}|{_BLOCK}", f"{_RAW_TRIPLE}|{_DOUBLE}|{_CHAR}"),
    "Scala": (f"{_SLASHES}|{_BLOCK}", f"{_RAW_TRIPLE}|{_DOUBLE}|{_CHAR}"),
    "Swift": (f"{_SLASHES}|{_BLOCK}", f"{_TRIPLE}|{_DOUBLE}"),
    "Dart": (f"{_SLASHES}|{_BLOCK}", f"{_TRIPLE}|{_TRIPLE_SINGLE}|{_DOUBLE}|{_SINGLE}"),
    "Groovy": (f"{_SLASHES}|{_BLOCK}", f"{_TRIPLE}|{_TRIPLE_SINGLE}|{_DOUBLE}|{_SINGLE}"),
    "C#": (f"{_SLASHES}|{_BLOCK}", rf'{_RAW_TRIPLE}|\$?@\$?"[^"]*+(?:""[^"]*+)*+"|{_DOUBLE}|{_CHAR}'),
    "PHP": (
        rf"\?>.*?(?:<\?(?:php|=)|\Z)|#(?!\[)[^\n]*|{_SLASHES}|{_BLOCK}",
        f"<{_HERE.replace('[-~]', ' ')}|{_LONG_DOUBLE}|{_LONG_SINGLE}",
    ),
    "SQL": (rf"--[^\n]*|{_BLOCK}", r"'[^']*+'|\"[^\"\n]*+\"|`[^`\n]*+`"),
    "Lua": (
        r"--\[(?P<level>=*)\[.*?(?:\](?P=level)\]|\Z)|--[^\n]*",
        rf"\[(?P<long>=*)\[.*?(?:\](?P=long)\]|\Z)|{_DOUBLE}|{_SINGLE}",
    ),
    "CSS": (_BLOCK, f"{_DOUBLE}|{_SINGLE}|url\\([^)\"'\\n]*+\\)"),
    **dict.fromkeys(
        ("JavaScript", "TypeScript", "TSX", "Vue", "Svelte"),
        (f"{_SLASHES}|{_BLOCK}", f"{_BACKTICK}|{_DOUBLE}|{_SINGLE}|{_REGEX}"),
    ),
}  # fmt: skip


def mask(text: str, language: Language | None) -> str:
    r"""The text with marks for its strings and comments, as long as before; prose and text have neither.

    Args:
        text: A file, or a piece that starts neither in a string nor in a comment.
        language: Its language; None if unknown.

    >>> from transforms.languages.lookup import find_language
    >>> mask('f("(")  # :(', find_language("python")).replace(STRING, "s").replace(COMMENT, "c")
    'f(sss)  cccc'
    """
    pattern = _pattern(language)
    return text if pattern is None else pattern.sub(_marks, text)


def comment_pattern(language: Language) -> str:
    """The regular expression, read with `re.DOTALL`, of a comment in a language; "" if it has none."""
    return _OWN.get(language.name, _FORMS[language.comments])[0]


def is_balanced(masked: str) -> bool:
    """Whether each bracket of a masked piece has its partner in it.

    >>> [is_balanced(text) for text in ("f(x)[0]", "{ (", "} else {", "([)]", "")]
    [True, False, False, False, True]
    """
    waiting: list[str] = []
    return follow(masked, waiting) and not waiting


def follow(masked: str, waiting: list[str]) -> bool:
    """Reads on in a masked piece: whether it closes only what was opened. `waiting` is what has to be closed yet, the
    last first to come; what the piece opens is added to it.

    >>> waiting = []
    >>> follow("f(x, [", waiting), waiting, follow("]", waiting), waiting
    (True, [')'], True, [')'])
    """
    for bracket in _BRACKETS.findall(masked):
        if bracket in _CLOSERS:
            waiting.append(_CLOSERS[bracket])
        elif not waiting or waiting.pop() != bracket:
            return False
    return True


def _marks(match: re.Match[str]) -> str:
    return (COMMENT if match.lastgroup == "comment" else STRING) * (match.end() - match.start())


def _pattern(language: Language | None) -> re.Pattern[str] | None:
    if language is None or language.kind in ("prose", "plain"):
        return None
    return _compiled(language.name, language.comments)


@functools.cache
def _compiled(name: str, form: Comments) -> re.Pattern[str] | None:
    comments, strings = _OWN.get(name, _FORMS[form])
    parts = [f"(?P<comment>{comments})" if comments else "", strings]
    return re.compile("|".join(filter(None, parts)), re.DOTALL) if any(parts) else None
