"""Text in a terminal. Row content is untrusted: all of it goes through `jobs.terminal.escapes` into `Text`, never into
markup.

Generated lines start with `+`, original lines with `-`, so that no color is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from jobs.terminal.escapes import shown_lines, visible

GENERATED, ORIGINAL, FAINT, CONTEXT = "bold green", "red", "bright_black", "default"


def marked(mark: str, text: str, style: str) -> RenderableType:
    """A text with a mark before each line."""
    return marked_lines([(mark, line) for line in shown_lines(text)], {mark: style})


def marked_lines(lines: Sequence[tuple[str, str]], styles: Mapping[str, str]) -> RenderableType:
    """Lines with their marks; the mark, or `@@` at the start of a line, determines the style."""
    grid = two_columns()
    for mark, line in lines:
        style = styles.get(mark if line[:2] != "@@" else "@", CONTEXT)
        text = Text(visible(line), style=style)
        text.expand_tabs(4)
        grid.add_row(Text(mark, style=style), text)
    return grid


def two_columns() -> Table:
    """A grid with a column of marks and a column of wrapping lines."""
    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    return grid
