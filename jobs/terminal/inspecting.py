"""Reads and prints what `codemill inspect` shows; runs in a child process (`jobs.terminal.printer`).

Whatever a decoder says of a file, and any exception it raises instead, ends the command with one line that names the
file.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

if __name__ == "__main__":
    from jobs.system.child_process import die_with

    die_with(int(sys.argv[2]))

# These take a while to import, in which the parent may die already.
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.catalog import layouts
from jobs.options import from_all_options
from jobs.options.inspect import InspectOptions as Options
from jobs.terminal.escapes import one_line
from jobs.terminal.printer import Mark, answer
from jobs.terminal.rejected import rejected_row
from jobs.terminal.show import shown_row
from jobs.terminal.text import FAINT
from jobs.terminal.wording import counted
from jobs.viewing.choosing import Choice, check_reason, chosen_numbers, reasons_in
from jobs.viewing.conditions import Condition
from jobs.viewing.places import Rows, find_rows, rows_at


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command to answer `| head`; rich would end with code 1."""
        raise BrokenPipeError


def print_rows(options: Options, mark: Mark = lambda file: None) -> int:
    """Prints the rows; returns the exit code. Raises ConfigError if there are none, or a file can't be read.

    Args:
        options: Which rows.
        mark: Gets each file before it is read.
    """
    console = _Console(
        highlight=False,
        force_terminal=True if options.color == "always" else None,
        color_system=None if options.color == "never" else "auto",
    )
    rows = find_rows(options.path, rejected=options.rejected, mark=mark)
    only = [Condition.parse(text) for text in options.only]
    if options.rejected:
        counts = reasons_in(rows, mark)
        if counts is not None:
            console.print(_reasons_table(counts), "", sep="\n")
        if options.reason is not None:
            check_reason(counts, options.reason)
            only.append(Condition("reason", "=", options.reason))
    choice = Choice(rows=options.rows, start=options.start, seed=options.seed, only=only, sort=options.sort)
    numbers, found = chosen_numbers(rows, choice, mark)
    known = layouts()
    for number, row in _in_order(rows, numbers, mark) if options.sort else rows_at(rows, numbers, mark):
        lines = rejected_row(row, options.context_lines, options.content_column, mark) if options.rejected else None
        console.print(*(lines or shown_row(number, row, options.context_lines, known)), sep="\n")
    console.print(Text(_last_line(rows, len(numbers), found, bool(only)), style=FAINT))
    return 0


def _in_order(rows: Rows, numbers: list[int], mark: Mark) -> Iterable[tuple[int, dict[str, Any]]]:
    """The rows with these numbers in this order, so they are all in memory."""
    found = dict(rows_at(rows, sorted(numbers), mark))
    return [(number, found[number]) for number in numbers]


def _last_line(rows: Rows, shown: int, found: int, is_chosen: bool) -> str:
    of = f"{found:,} that meet the conditions, of {rows.total:,} rows" if is_chosen else f"{rows.total:,} rows"
    line = f"{shown:,} of {of} in {counted(len(rows.files), 'file')}"
    return line if rows.units is None else f"{line}, of the {counted(rows.units, 'unit')} committed so far"


def _reasons_table(counts: Counter[tuple[str, ...]]) -> Table:
    """How many rows and targets were rejected for each reason."""
    table = Table("kind", "stage", "reason", "count", box=None, header_style="bold", pad_edge=False)
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(*(Text(one_line(part)) for part in key), Text(f"{count:,}"))
    return table


if __name__ == "__main__":
    answer(sys.argv[1:], lambda order, mark: print_rows(from_all_options(Options, order), mark))
