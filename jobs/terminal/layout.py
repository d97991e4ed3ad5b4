"""Layouts of a job's rows: the columns that identify such a row, and its parts, shown from top to bottom.

    def layout() -> Layout:  # in the job's module
        return Layout(("code_documented",), facts("symbol_name"), diff("code", "code_documented"), checks)

A part is a function that renders a row with a number of context lines. The functions here create the usual parts, and a
job may provide a custom one (`jobs.terminal.middle`, `jobs.terminal.packed`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from rich.console import RenderableType
from rich.text import Text

from jobs.terminal.escapes import one_line, shown_lines
from jobs.terminal.text import CONTEXT, FAINT, GENERATED, ORIGINAL, marked, marked_lines

Row = Mapping[str, Any]
Part = Callable[[Row, int], Iterator[RenderableType]]


class Layout:
    """The layout of one kind of row.

    Args:
        columns: A row is of this kind if none of these columns is null.
        parts: The parts to show, from top to bottom.
    """

    def __init__(self, columns: tuple[str, ...], *parts: Part):
        self.columns = columns
        self._parts = parts

    def fits(self, row: Row) -> bool:
        """Whether the row is of this kind."""
        return all(row.get(name) is not None for name in self.columns)

    def show(self, row: Row, context_lines: int) -> Iterator[RenderableType]:
        """Yields the row's parts.

        Args:
            row: The row's values.
            context_lines: Lines shown around generated text, and of any other long text.
        """
        for part in self._parts:
            yield from part(row, context_lines)


def facts(*names: str) -> Part:
    """A part that shows the values of some columns in one line."""

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        yield Text(one_line("  ".join(str(row[name]) for name in names if row.get(name))), style=FAINT)

    return part


def diff(before: str, after: str) -> Part:
    """A part that shows the lines that differ between two columns, with context lines."""
    styles = {"+": GENERATED, "-": ORIGINAL, "@": FAINT}

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        old, new = shown_lines(row.get(before) or ""), shown_lines(row[after])
        lines = list(difflib.unified_diff(old, new, lineterm="", n=context_lines))[2:]
        yield marked_lines(
            [("  " if line[:1] == "@" else line[:1], line if line[:1] == "@" else line[1:]) for line in lines], styles
        )

    return part


def text(name: str, kind: Literal["generated", "original", "beginning", "end"]) -> Part:
    """A part that shows a column's text: a generated or original text, or the beginning or end of a prompt."""
    mark, style = {
        "generated": ("+", GENERATED),
        "original": ("-", ORIGINAL),
        "beginning": (" ", FAINT),
        "end": (" ", CONTEXT),
    }[kind]

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        if not isinstance(row.get(name), str):
            return
        lines = shown_lines(row[name].rstrip() if kind == "beginning" else row[name])
        bounds = {"beginning": slice(2 * context_lines), "end": slice(-2 * context_lines, None)}
        yield marked(mark, "\n".join(lines[bounds.get(kind, slice(None))]), style)

    return part


def checks(row: Row, context_lines: int) -> Iterator[RenderableType]:
    """`ok parses  NO exact_match  edit_similarity 0.83`; undecided checks (null) are omitted."""
    if not isinstance(row.get("checks"), Mapping):
        return
    line = Text()
    for name, value in row["checks"].items():
        if isinstance(value, bool):
            line.append(("ok " if value else "NO ") + one_line(name), style="green" if value else "red").append("  ")
        elif value is not None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            line.append(one_line(f"{name} {shown}"), style=FAINT).append("  ")
    yield line
