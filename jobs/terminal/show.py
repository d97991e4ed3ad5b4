"""Shows a row in a terminal: in the layout that its job declares (`layout` of its module), or column by column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from jobs.terminal.escapes import one_line, visible
from jobs.terminal.layout import Layout
from jobs.terminal.text import CONTEXT, FAINT

# What a layout raises where a file by someone else has columns of a job's names with values of other types.
NOT_OF_THE_KIND = (AttributeError, IndexError, KeyError, TypeError, ValueError)

_MAX_VALUE_CHARS = 100_000  # per value, before it is split into lines


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
    title = one_line(" ".join(str(row[name]) for name in ("repo_name", "path") if row.get(name)))
    # Text, since a string would be markup.
    heading = Rule(Text(f"row {number:,}  {title}", style="rule.text"), align="left", style=FAINT, characters="-")
    layout = next((one for one in layouts if one.fits(row)), None)
    if layout is not None:
        with contextlib.suppress(*NOT_OF_THE_KIND):
            return [heading, *layout.show(row, context_lines)]
    return [heading, *_any_row(row, context_lines)]


def _any_row(row: Mapping[str, Any], max_lines: int) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style=FAINT, overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    for name, value in _flat(row):
        shown = "null" if value is None else str(value)
        lines = visible(shown[:_MAX_VALUE_CHARS]).split("\n")
        text = Text("\n".join(lines[:max_lines]), style=FAINT if value is None else CONTEXT)
        if (left := shown.count("\n") + 1 - max_lines) > 0:
            text.append(f"\n({left:,} more lines)", style=FAINT)
        grid.add_row(Text(one_line(name)), text)
    yield grid


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
