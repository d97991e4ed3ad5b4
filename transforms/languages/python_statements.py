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

One regular expression passes over strings, comments and brackets: from one logical line to the next in a class, from
one statement of the module to the next elsewhere. Reference: Python's "Lexical analysis",
docs.python.org/3/reference/lexical_analysis.html.
"""

from __future__ import annotations
import __future__

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_STRING: Final = (
    r"""\"\"\"(?:[^"\\]++|\\.|"(?!""))*+\"\"\"|\'\'\'(?:[^'\\]++|\\.|'(?!''))*+\'\'\'"""
    r"""|"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+'"""
)
_COMMENT: Final = r"\#[^\n]*+"
# Deeper ones are counted one by one, which is slower.
_BRACKETS_IN_BRACKETS: Final = 5


def _brackets(depth: int) -> str:
    """A pattern of brackets, with others in them to that depth. Which bracket it is doesn't matter here."""
    inner = f"|{_brackets(depth - 1)}" if depth else ""
    return rf"[(\[{{](?:[^()\[\]{{}}\#\\\"']++|\\|{_COMMENT}|{_STRING}{inner})*+[)\]}}]"


# What a logical line holds; what no alternative takes is a line feed, or a bracket or quote without its other half.
_HELD: Final = rf"[^\n()\[\]{{}}\#\\\"']++|\\\r?\n|\\|{_COMMENT}|{_STRING}|{_brackets(_BRACKETS_IN_BRACKETS)}"
# Group 1: the indentation of the next line that is neither blank nor a comment; group 2: half of a pair.
_NEXT: Final = r"(?:\n(?:[ \t\f]*+(?:\#[^\n]*+|\r)?+\n)*+([ \t\f]*+)|([()\[\]{}\"'])|\Z)"
_TO_LINE: Final = re.compile(f"(?:{_HELD})*+{_NEXT}", re.DOTALL)
# The same, but past lines that are indented and no decorators.
_TO_OUTER_LINE: Final = re.compile(rf"(?:{_HELD}|\n(?=[\r\n\#]|[ \t\f]++[^@ \t\f]))*+{_NEXT}", re.DOTALL)
_CONTINUES: Final = re.compile(r"(?:else|elif|except|finally)\b")
_CLASS: Final = re.compile(r"[ \t]*class\b")
_FUTURE: Final = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)


class _Line(NamedTuple):
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
    around: list[_Line] = []  # from the start of the module's statement that the hole is in; inner lines are left out
    found: Statements | None = None
    is_sound = True
    for line in _lines(text, 0, outer=True):
        if line is None:  # in a class this may lie beyond the lines that matter
            is_sound = False
            break
        if line.start <= start:
            if line.begins_statement and not line.indent:
                around.clear()
            around.append(line)
            continue
        if found is None:
            if _is_class(text, around):
                return _in_class(text, start, end, around[0].start)
            found = Statements(around[0].start if around else 0, len(text), "")
        if line.start > end and line.begins_statement and not line.indent:
            return Statements(found.start, line.start, "")
    if found is None and _is_class(text, around):
        return _in_class(text, start, end, around[0].start)
    return Statements(around[0].start if around else 0, len(text), "") if is_sound else None


def _is_class(text: str, lines: list[_Line]) -> bool:
    """Whether a statement is a class, or may be one."""
    head = next((line for line in lines if not line.is_decorator), None)
    return head is not None and (head.indent != "" or _CLASS.match(text, head.start) is not None)


def _in_class(text: str, start: int, end: int, begin: int) -> Statements | None:
    """`find_statements` for a hole in the statement of the module that begins at `begin`, looking at each line."""
    around: list[_Line] = []  # from there to the hole
    found: Statements | None = None
    for line in _lines(text, begin):
        if line is None:
            return None
        if line.start <= start:
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
    if "global" in middle or "\f" in middle or "\r" in middle:
        return None
    if text.find("__future__", statements.start) >= 0:  # what may stand before that import depends on the import
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


def _lines(text: str, begin: int, *, outer: bool = False) -> Iterator[_Line | None]:
    """The logical lines from `begin` on, where a line begins; None, at last, where quotes or brackets don't match.

    Args:
        text: The file.
        begin: Where a line begins.
        outer: Whether to leave out lines that are indented, but for decorators and the line that follows one.
    """
    depth, after_decorator, num_chars, place = 0, False, len(text), begin
    start, indent_end = begin, begin
    while indent_end < num_chars and text[indent_end] in " \t\ufeff":
        indent_end += 1
    while True:
        if depth == 0 and indent_end < num_chars and (first := text[indent_end]) not in "\r\n#":
            begins = not after_decorator and not (first in "ef" and _CONTINUES.match(text, indent_end))
            after_decorator = first == "@"
            yield _Line(start, text[start:indent_end], after_decorator, begins)
        while place < num_chars:
            match = (_TO_OUTER_LINE if outer and depth == 0 and not after_decorator else _TO_LINE).match(text, place)
            assert match is not None, "it takes anything"
            start, indent_end = match.span(1)
            place = match.end()
            if start >= 0:
                break
            if half := match[2]:
                depth += 1 if half in "([{" else -1
                if depth < 0 or half in "\"'":
                    yield None
                    return
        else:
            return
