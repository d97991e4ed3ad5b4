"""How a job's rows look: the columns that tell such a row, and its parts one below the other.

    def layout() -> Layout:  # in the job's module
        return Layout(("code_documented",), facts("symbol_name"), diff("code", "code_documented"), checks)

A part is a function from a row and a number of context lines to what is shown; the functions here make the usual ones,
and a job with a look of its own gives one of its own (`jobs.terminal.middle`, `jobs.terminal.packed`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from rich.console import RenderableType
from rich.text import Text

from jobs.terminal.text import CONTEXT, FAINT, GENERATED, ORIGINAL, marked, marked_lines, visible

Row = Mapping[str, Any]
Part = Callable[[Row, int], Iterator[RenderableType]]


class Layout:
    """The look of one kind of row.

    Args:
        columns: A row in which each of these holds something is of this kind.
        parts: What is shown of it, from above.
    """

    def __init__(self, columns: tuple[str, ...], *parts: Part):
        self.columns = columns
        self._parts = parts

    def fits(self, row: Row) -> bool:
        """Whether the row is of this kind."""
        return all(row.get(name) is not None for name in self.columns)

    def show(self, row: Row, context_lines: int) -> Iterator[RenderableType]:
        """The row's parts.

        Args:
            row: Its values.
            context_lines: Lines shown around what was generated, and of any other long text.
        """
        for part in self._parts:
            yield from part(row, context_lines)


def facts(*names: str) -> Part:
    """The values of some columns in one line."""

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        yield Text(visible("  ".join(str(row[name]) for name in names if row.get(name))), style=FAINT)

    return part


def diff(before: str, after: str) -> Part:
    """The lines that differ between two columns, with some around them."""
    styles = {"+": GENERATED, "-": ORIGINAL, "@": FAINT}

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        old, new = (row.get(before) or "").splitlines(), row[after].splitlines()
        lines = list(difflib.unified_diff(old, new, lineterm="", n=context_lines))[2:]
        yield marked_lines(
            [("  " if line[:1] == "@" else line[:1], line if line[:1] == "@" else line[1:]) for line in lines], styles
        )

    return part


def text(name: str, kind: Literal["generated", "original", "beginning", "end"]) -> Part:
    """A column's text: what was generated or stood there before, or the beginning or end of what was asked."""
    mark, style = {
        "generated": ("+", GENERATED),
        "original": ("-", ORIGINAL),
        "beginning": (" ", FAINT),
        "end": (" ", CONTEXT),
    }[kind]

    def part(row: Row, context_lines: int) -> Iterator[RenderableType]:
        if not isinstance(row.get(name), str):
            return
        lines = row[name].rstrip().splitlines() if kind == "beginning" else row[name].splitlines()
        bounds = {"beginning": slice(2 * context_lines), "end": slice(-2 * context_lines, None)}
        yield marked(mark, "\n".join(lines[bounds.get(kind, slice(None))]), style)

    return part


def checks(row: Row, context_lines: int) -> Iterator[RenderableType]:
    """`ok parses  NO exact_match  edit_similarity 0.83`; what could not be checked is left out."""
    if not isinstance(row.get("checks"), Mapping):
        return
    line = Text()
    for name, value in row["checks"].items():
        if isinstance(value, bool):
            line.append(("ok " if value else "NO ") + name, style="green" if value else "red").append("  ")
        elif value is not None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            line.append(visible(f"{name} {shown}"), style=FAINT).append("  ")
    yield line
