"""Text in a terminal. Row content is untrusted: characters that could control a terminal or deceive are escaped.

Generated lines start with `+`, original lines with `-`, so that no color is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

GENERATED, ORIGINAL, FAINT, CONTEXT = "bold green", "red", "bright_black", "default"
# C0 and C1 controls except tab and newline, the characters that reorder text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Escapes every character that could control a terminal or deceive its reader.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def marked(mark: str, text: str, style: str) -> RenderableType:
    """A text with a mark before each line."""
    return marked_lines([(mark, line) for line in text.splitlines()], {mark: style})


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
