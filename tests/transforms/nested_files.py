"""Deeply nested files: sixteen shapes of nesting in ten languages, as large as asked for.

Each is hard in its own way: a parser's stack grows with it, error recovery searches it, a query visits all later
siblings of each of its nodes, or a recursive walk follows it to the bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple


class NestedFile(NamedTuple):
    """One file of the set: the name of its shape, its language, a path, and its text."""

    shape: str
    language: str
    path: str
    text: str


class _Words(NamedTuple):
    """How a language writes what the shapes are made of; `head` and `tail` enclose statements."""

    extension: str
    head: str
    tail: str
    assign: str
    end: str
    block: tuple[str, str]
    chain: tuple[str, str, str]
    string: tuple[str, str]
    comment: tuple[str, str]


_BRACES: Final = ("if (a) {", "}")
_ELSE_IF: Final = ("if (a) { b(); }", " else if (a) { b(); }", "")
_QUOTED: Final = ('"\\"', '"')
_SLASH_STAR: Final = ("/* ", "*/ ")

_LANGUAGES: Final[dict[str, _Words]] = {
    "python": _Words("py", "", "", "x = ", "\n", ("", ""), ("if a: b\n", "elif a: b\n", ""), ("f'{", "}'"), ("# ", "")),
    "javascript": _Words(
        "js", "function f() {\n", "}\n", "x = ", ";\n", _BRACES, _ELSE_IF, ("`${", "}`"), _SLASH_STAR
    ),
    "typescript": _Words(
        "ts", "function f() {\n", "}\n", "x = ", ";\n", _BRACES, _ELSE_IF, ("`${", "}`"), _SLASH_STAR
    ),
    "java": _Words(
        "java", "class A { void f() {\n", "} }\n", "x = ", ";\n", _BRACES, _ELSE_IF, _QUOTED, _SLASH_STAR
    ),
    "c": _Words("c", "void f() {\n", "}\n", "x = ", ";\n", _BRACES, _ELSE_IF, _QUOTED, _SLASH_STAR),
    "cpp": _Words("cpp", "void f() {\n", "}\n", "x = ", ";\n", _BRACES, _ELSE_IF, _QUOTED, _SLASH_STAR),
    "go": _Words(
        "go",
        "package a\nfunc f() {\n",
        "}\n",
        "x = ",
        "\n",
        ("if a {", "}"),
        ("if a { b() }", " else if a { b() }", ""),
        _QUOTED,
        _SLASH_STAR,
    ),
    "rust": _Words(
        "rs",
        "fn f() {\n",
        "}\n",
        "x = ",
        ";\n",
        ("if a {", "}"),
        ("if a { b() }", " else if a { b() }", ""),
        _QUOTED,
        _SLASH_STAR,
    ),
    "ruby": _Words(
        "rb", "def f\n", "end\n", "x = ", "\n", ("if a; ", "end; "), ("if a; b; ", "elsif a; b; ", "end"),
        ('"#{', '}"'), ("# ", ""),
    ),
    "csharp": _Words(
        "cs", "class A { void F() {\n", "} }\n", "x = ", ";\n", _BRACES, _ELSE_IF, ('$"{', '}"'), _SLASH_STAR
    ),
}  # fmt: skip


def _opened(opener: str) -> Callable[[_Words, int], str]:
    """The opener alone, never closed and in no statement."""
    return lambda _words, size: opener * (size // len(opener))


def _value(opener: str, inner: str, closer: str) -> Callable[[_Words, int], str]:
    """A value that encloses itself."""

    def text(words: _Words, size: int) -> str:
        count = size // len(opener + closer)
        return f"{words.head}{words.assign}{opener * count}{inner}{closer * count}{words.end}{words.tail}"

    return text


def _statement(words: _Words, body: str) -> str:
    return f"{words.head}{body}{words.end}{words.tail}"


def _blocks(words: _Words, size: int) -> str:
    if not words.block[0]:  # by indentation, which grows with the square of the depth
        depth = int(size**0.5)
        return "".join(" " * level + "if a:\n" for level in range(depth)) + " " * depth + "b\n"
    count = size // len("".join(words.block))
    return _statement(words, words.block[0] * count + words.block[1] * count)


def _else_ifs(words: _Words, size: int) -> str:
    first, again, last = words.chain
    return _statement(words, first + again * (size // len(again)) + last)


def _strings(words: _Words, size: int) -> str:
    return _value(words.string[0], "a", words.string[1])(words, size)


def _comments(words: _Words, size: int) -> str:
    count = size // len("".join(words.comment))
    return _statement(words, words.comment[0] * count + words.comment[1] * count)


_SHAPES: Final[dict[str, Callable[[_Words, int], str]]] = {
    "open_round": _opened("("),
    "open_square": _opened("["),
    "open_curly": _opened("{"),
    "open_calls": _opened("f("),
    "open_generics": lambda words, size: words.head + words.assign + "a<" * (size // 2),
    "round": _value("(", "1", ")"),
    "square": _value("[", "1", "]"),
    "curly": _value("{", "1", "}"),
    "calls": _value("f(", "1", ")"),
    "blocks": _blocks,
    "else_ifs": _else_ifs,
    "operators": _value("1 + ", "1", ""),
    "strings": _strings,
    "comments": _comments,
    "json": _value('{"a": [', "1", "]}"),
    "xml": _value("<a>", "1", "</a>"),
}


def nested_files(size: int) -> Iterator[NestedFile]:
    """Yields all 160 files, of about `size` bytes each."""
    for language, words in _LANGUAGES.items():
        for shape, text in _SHAPES.items():
            yield NestedFile(shape, language, f"{shape}.{words.extension}", text(words, size))
