"""Draws the blocks of a row (`jobs.viewing.blocks`) in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from jobs.terminal.escapes import one_line
from jobs.terminal.text import FAINT, GENERATED, ORIGINAL, marked_lines, styled_lines
from jobs.viewing import blocks
from jobs.viewing.blocks import Block, Lines, Value, Verdicts
from jobs.viewing.layout import Layout, blocks_of, title_of

_STYLES: Final = {
    blocks.GENERATED: GENERATED,
    blocks.ORIGINAL: ORIGINAL,
    blocks.PLACE: FAINT,
    blocks.HEADING: "bold",
    blocks.FAINT: FAINT,
}
_SHOWN_MARKS: Final = (blocks.GENERATED, blocks.ORIGINAL)  # the others are told by their style alone


def shown_row(
    number: int, row: Mapping[str, Any], context_lines: int, layouts: Iterable[Layout]
) -> list[RenderableType]:
    """Shows one row under a heading, in the first layout that fits its columns.

    Args:
        number: The row's number in the dataset.
        row: The row's values.
        context_lines: Lines shown around generated text, and of any other long text.
        layouts: The layouts of all jobs.
    """
    # Text, since a string would be markup.
    title = Text(f"row {number:,}  {one_line(title_of(row))}", style="rule.text")
    heading = Rule(title, align="left", style=FAINT, characters="-")
    return [heading, *drawn(blocks_of(row, context_lines, layouts))]


def drawn(found: Iterable[Block]) -> Iterable[RenderableType]:
    """Yields what is printed for blocks; values that follow each other stand in one table."""
    values: Table | None = None
    for block in found:
        if isinstance(block, Value):
            values = values or _value_table()
            values.add_row(Text(one_line(block.name)), styled_lines(block.lines, _STYLES))
            continue
        if values is not None:
            yield values
            values = None
        yield _verdicts(block) if isinstance(block, Verdicts) else _lines(block)
    if values is not None:
        yield values


def _value_table() -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style=FAINT, overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    return grid


def _lines(block: Lines) -> RenderableType:
    if len(block.lines) == 1 and (mark := block.lines[0][0]) in (blocks.FAINT, blocks.HEADING):
        return Text(one_line(block.lines[0][1]), style=_STYLES[mark])
    return marked_lines(block.lines, _STYLES, _SHOWN_MARKS)


def _verdicts(block: Verdicts) -> Text:
    text = Text(one_line(f"{block.title}  ") if block.title else "")
    for name, value in block.items:
        if isinstance(value, bool):
            text.append(("ok " if value else "NO ") + one_line(name), style="green" if value else "red").append("  ")
        else:
            text.append(one_line(f"{name} {value}"), style=FAINT).append("  ")
    return text
