r"""Finds the Python statement that a hole lies in, so that a change is judged by compiling that statement alone.

    import os                    boundaries: where a line begins a statement of the module, or of a class's body
    class Area:               <-
        unit = "m"            <- the class's own statements: as good, since a class can be put around them
        def of(self):         <-          hole in here: this method is what is compiled
            return [HOLE]
        def name(self): ...   <-

A file compiles if and only if its statements do, with few exceptions, and those are answered with None: `global` of the
module or a class, `from __future__`, line ends that are a bare CR, form feeds. Functions are never taken apart, as what
may stand in them depends on what is around it.

Strings, comments and brackets are told apart by one regular expression, at about 60 MB/s of source; the compiler
takes 5. Reference: Python's "Lexical analysis", docs.python.org/3/reference/lexical_analysis.html.
"""

from __future__ import annotations
import __future__

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Each alternative begins with one character: so the search skips to the next of them.
_TOKEN: Final = re.compile(
    r"""\n[ \t\f]*+|\(|\)|\[|\]|\{|\}|\#[^\n]*+|\\\r?\n"""
    r"""|\"\"\"(?:[^"\\]++|\\.|"(?!""))*+\"\"\"|\'\'\'(?:[^'\\]++|\\.|'(?!''))*+\'\'\'"""
    r"""|"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+'|"|'""",
    re.DOTALL,
)
_CONTINUES: Final = re.compile(r"(?:else|elif|except|finally)\b")
_CLASS: Final = re.compile(r"[ \t]*class\b")
_FUTURE: Final = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a logical line begins (its indentation included) that isn't blank and no comment."""

    start: int
    indent: str
    is_decorator: bool
    begins_statement: bool  # no `else` of the one before, no function that a decorator before it belongs to


@dataclass(frozen=True, slots=True)
class Statements:
    """One or several whole statements of a module or, indented, of a class: `text[start:end]`."""

    start: int
    end: int
    indent: str


def find_statements(text: str, start: int, end: int) -> Statements | None:
    """The statements that a hole `text[start:end]` reaches into; None where that can't be told."""
    if "\f" in text or ("\r" in text and text.count("\r") != text.count("\r\n")):
        return None
    around: list[_Line] = []  # from the module's statement that the hole is in, to the hole
    found: Statements | None = None
    for line in _lines(text, 0):
        if line is None:
            return None
        if line.start <= start:
            if line.begins_statement and not line.indent:
                around.clear()
            around.append(line)
            continue
        if found is None:
            found = _innermost(text, around)
        if line.start <= end:
            if not line.indent.startswith(found.indent):
                found = Statements(around[0].start if around else 0, end, "")  # the hole reaches out of the class
        elif (line.begins_statement and line.indent == found.indent) or not line.indent.startswith(found.indent):
            return Statements(found.start, line.start, found.indent)
    found = found or _innermost(text, around)
    return Statements(found.start, len(text), found.indent)


def standing_alone(text: str, statements: Statements, middle: str) -> str | None:
    """The program that stands for the statements, to be compiled; None where they can't stand alone.

    Args:
        text: The file, original or changed.
        statements: Of that file.
        middle: What was written into it.
    """
    indent = statements.indent
    alone = text[statements.start : statements.end]
    if "global" in middle or "__future__" in middle or "\f" in middle or "\r" in middle:
        return None
    if text.startswith("global ") or "\nglobal " in text:
        return None
    if not indent:
        return alone
    if f"\n{indent}global " in text:
        return None
    for number, line in enumerate(_lines(alone, 0)):
        if line is None or not line.indent.startswith(indent) or (number == 0 and line.indent != indent):
            return None
    return "class Alone:\n" + alone


def future_flags(text: str) -> int:
    """The compiler flags that a file's own `from __future__` sets, of those that still mean something."""
    if "__future__" not in text:
        return 0
    found = any("annotations" in match[1] for match in _FUTURE.finditer(text))
    return __future__.annotations.compiler_flag if found else 0


def _innermost(text: str, around: list[_Line]) -> Statements:
    """Goes from a statement of the module into classes, as long as the last line before the hole is in their body."""
    first, low, indent = 0, around[0].start if around else 0, ""
    while first < len(around):
        head = first
        while head < len(around) - 1 and around[head].is_decorator:
            head += 1
        body = around[head + 1 :]
        if not body or not _CLASS.match(text, around[head].start) or len(body[0].indent) <= len(indent):
            break
        inner = body[0].indent
        if any(not line.indent.startswith(inner) for line in body):
            break
        indent = inner
        first = max(
            n for n in range(head + 1, len(around)) if around[n].indent == indent and around[n].begins_statement
        )
        low = around[first].start
    return Statements(low, len(text), indent)


def _lines(text: str, begin: int) -> Iterator[_Line | None]:
    """The logical lines from `begin` on, where a line begins; None, at last, where quotes or brackets don't match."""
    depth = 0
    after_decorator = False

    def line_at(start: int, indent_end: int) -> _Line | None:
        nonlocal after_decorator
        if indent_end >= len(text) or text[indent_end] in "\r\n#":
            return None
        is_decorator = text[indent_end] == "@"
        begins = not after_decorator and not _CONTINUES.match(text, indent_end)
        after_decorator = is_decorator
        return _Line(start, text[start:indent_end], is_decorator, begins)

    first = begin
    while first < len(text) and text[first] in " \t\ufeff":
        first += 1
    if line := line_at(begin, first):
        yield line
    for match in _TOKEN.finditer(text, begin):
        token = match[0]
        char = token[0]
        if char == "\n":
            if depth == 0 and (line := line_at(match.start() + 1, match.end())):
                yield line
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth < 0:
                yield None
                return
        elif len(token) == 1 and char != "#":  # a quote that nothing closes
            yield None
            return
