"""Text in a terminal. What rows hold is untrusted: what could act on a terminal or deceive its reader is written out.

Lines that the model wrote begin with `+`, the original ones with `-`, so that no color is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

GENERATED, ORIGINAL, FAINT, CONTEXT = "bold green", "red", "bright_black", "default"
# C0 and C1 controls but for tab and newline, the characters that reorder text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with every character that could act on a terminal, or deceive its reader, written out.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def marked(mark: str, text: str, style: str) -> RenderableType:
    """A text with a mark before each of its lines."""
    return marked_lines([(mark, line) for line in text.splitlines()], {mark: style})


def marked_lines(lines: Sequence[tuple[str, str]], styles: Mapping[str, str]) -> RenderableType:
    """Lines with their marks; a mark says the style, and so does `@@` at a line's beginning."""
    grid = two_columns()
    for mark, line in lines:
        style = styles.get(mark if line[:2] != "@@" else "@", CONTEXT)
        text = Text(visible(line), style=style)
        text.expand_tabs(4)
        grid.add_row(Text(mark, style=style), text)
    return grid


def two_columns() -> Table:
    """A grid of marks and lines that fold."""
    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    return grid
