"""Text in a terminal. Row content is untrusted: all of it goes through `jobs.terminal.escapes` into `Text`, never into
markup.

Generated lines start with `+`, original lines with `-`, so that no color is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from jobs.terminal.escapes import shown_lines, visible

GENERATED, ORIGINAL, FAINT, CONTEXT = "bold green", "red", "bright_black", "default"


def marked(mark: str, text: str, style: str) -> RenderableType:
    """A text with a mark before each line."""
    return marked_lines([(mark, line) for line in shown_lines(text)], {mark: style}, (mark,))


def marked_lines(
    lines: Sequence[tuple[str, str]], styles: Mapping[str, str], shown_marks: Collection[str]
) -> RenderableType:
    """Lines with their marks, which determine the style.

    Args:
        lines: Marks and lines.
        styles: The style of each mark; `CONTEXT` for any other.
        shown_marks: The marks that are printed; two blanks stand for any other.
    """
    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    for mark, line in lines:
        style = styles.get(mark, CONTEXT)
        text = Text(visible(line), style=style)
        text.expand_tabs(4)
        grid.add_row(Text(mark if mark in shown_marks else " ", style=style), text)
    return grid


def styled_lines(lines: Sequence[tuple[str, str]], styles: Mapping[str, str]) -> Text:
    """Lines without their marks, which determine the style."""
    text = Text()
    for number, (mark, line) in enumerate(lines):
        text.append("\n" if number else "").append(visible(line), style=styles.get(mark, CONTEXT))
    return text
