r"""Finds the Python statement that contains a hole, so that a change is validated by compiling that statement alone.

    import os                    boundaries: lines that start a statement of the module, or of a class's body
    class Area:               <-
        unit = "m"            <- the class's own statements also count, since they can be wrapped in a class
        def of(self):         <-          the hole is in here: this method is compiled
            return [HOLE]
        def name(self): ...   <-

A file compiles if and only if its statements do, with few exceptions, for which the result is None: `global` in the
module or a class, `from __future__`, line ends that are a bare CR, form feeds. Functions are never split, because what
is allowed inside them depends on their surroundings.

One regular expression skips strings, comments and brackets: inside a class from one logical line to the next,
elsewhere from one statement of the module to the next. Reference: Python's "Lexical analysis",
docs.python.org/3/reference/lexical_analysis.html.
"""

from __future__ import annotations
import __future__

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

# Before Python 3.11.5, a possessive repeat goes on from where its last, failed turn had come to (CPython issue 106052).
# An alternative that fails at once (`(?!)`), tried last, brings it back: repeats of more than one character have one.
_STRING: Final = (
    r"""\"\"\"(?:[^"\\]++|\\.|"(?!"")|(?!))*+\"\"\"|\'\'\'(?:[^'\\]++|\\.|'(?!'')|(?!))*+\'\'\'"""
    r"""|"(?:[^"\\\n]++|\\.|(?!))*+"|'(?:[^'\\\n]++|\\.|(?!))*+'"""
)
_COMMENT: Final = r"\#[^\n]*+"
# Deeper brackets are counted one by one, which is slower.
_BRACKETS_IN_BRACKETS: Final = 5


def _brackets(depth: int) -> str:
    """A pattern for brackets, nested up to that depth. It doesn't distinguish kinds of bracket."""
    inner = f"|{_brackets(depth - 1)}" if depth else ""
    return rf"[(\[{{](?:[^()\[\]{{}}\#\\\"']++|\\|{_COMMENT}|{_STRING}{inner}|(?!))*+[)\]}}]"


# The content of a logical line; it stops only at a line feed, or at a bracket or quote without its counterpart.
_HELD: Final = rf"[^\n()\[\]{{}}\#\\\"']++|\\\r?\n|\\|{_COMMENT}|{_STRING}|{_brackets(_BRACKETS_IN_BRACKETS)}"
# Group 1: the indentation of the next line that is neither blank nor a comment; group 2: an unmatched bracket or quote.
_NEXT: Final = r"(?:\n(?:[ \t\f]*+(?:\#[^\n]*+|\r|(?!))?+\n|(?!))*+([ \t\f]*+)|([()\[\]{}\"'])|\Z)"
_TO_LINE: Final = re.compile(f"(?:{_HELD}|(?!))*+{_NEXT}", re.DOTALL)
# The same, but skipping lines that are indented and not decorators.
_TO_OUTER_LINE: Final = re.compile(rf"(?:{_HELD}|\n(?=[\r\n\#]|[ \t\f]++[^@ \t\f])|(?!))*+{_NEXT}", re.DOTALL)
_CONTINUES: Final = re.compile(r"(?:else|elif|except|finally)\b")
_CLASS: Final = re.compile(r"[ \t]*class\b")
_FUTURE: Final = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)


class _Line(NamedTuple):
    """The start of a logical line (including its indentation) that is neither blank nor a comment."""

    start: int
    indent: str
    is_decorator: bool
    begins_statement: bool  # not an `else` of the previous one, nor a function that a decorator before it belongs to


@dataclass(frozen=True, slots=True)
class Statements:
    """One or several complete statements of a module or, indented, of a class: `text[start:end]`."""

    start: int
    end: int
    indent: str


def find_statements(text: str, start: int, end: int) -> Statements | None:
    """Returns the statements that a hole `text[start:end]` overlaps; None if that is undecidable."""
    if "\f" in text or ("\r" in text and text.count("\r") != text.count("\r\n")):
        return None
    around: list[_Line] = []  # from the start of the module's statement that contains the hole; inner lines are omitted
    found: Statements | None = None
    is_sound = True
    for line in _lines(text, 0, outer=True):
        if line is None:  # in a class this may be past the relevant lines
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
    """`find_statements` for a hole in the module's statement that starts at `begin`, examining each line."""
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
                found = Statements(around[0].start if around else 0, end, "")  # the hole extends beyond the class
        elif (line.begins_statement and line.indent == found.indent) or not line.indent.startswith(found.indent):
            return Statements(found.start, line.start, found.indent)
    found = found or _innermost(text, around)
    return Statements(found.start, len(text), found.indent)


def standing_alone(text: str, statements: Statements, middle: str) -> str | None:
    """Returns the program to compile for the statements; None if they can't be compiled alone.

    Args:
        text: The file, original or changed.
        statements: The statements in that file.
        middle: The text that was inserted.
    """
    indent = statements.indent
    alone = text[statements.start : statements.end]
    if "global" in middle or "\f" in middle or "\r" in middle:
        return None
    if text.find("__future__", statements.start) >= 0:  # what may precede that import depends on the import
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
    """Returns the compiler flags that a file's own `from __future__` sets, of those that still have an effect."""
    if "__future__" not in text:
        return 0
    found = any("annotations" in match[1] for match in _FUTURE.finditer(text))
    return __future__.annotations.compiler_flag if found else 0


def _innermost(text: str, around: list[_Line]) -> Statements:
    """Descends from a statement of the module into classes while the last line before the hole is in their body."""
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
    """Yields the logical lines from `begin` on; finally None if quotes or brackets don't match.

    Args:
        text: The file.
        begin: The start of a line.
        outer: Whether to skip indented lines, except decorators and the line that follows one.
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
