"""Reads and prints what `codemill inspect` shows; runs in a child process (`jobs.terminal.printer`).

Whatever a decoder says of a file, and any exception it raises instead, ends the command with one line that names the
file.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

if __name__ == "__main__":
    from jobs.system.child_process import die_with

    die_with(int(sys.argv[2]))

# These take a while to import, in which the parent may die already.
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import storage
from jobs.catalog import layouts
from jobs.ledger.commits import read_commits
from jobs.options import from_all_options
from jobs.options.inspect import InspectOptions as Options
from jobs.storage.folders import OutputFolder
from jobs.storage.parquet import open_parquet
from jobs.terminal.escapes import one_line
from jobs.terminal.printer import Mark, answer
from jobs.terminal.rejected import rejected_row
from jobs.terminal.show import shown_row
from jobs.terminal.text import FAINT
from jobs.terminal.wording import counted
from model.errors import ConfigError, reading
from transforms.rows.cells import cell_value

_PARQUET = "a Parquet file"


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
    files = _parquet_files(options, mark)
    total = sum(count for _, count in files)
    if options.rejected:
        _print_reasons(console, [path for path, _ in files], mark)
    shown, known = 0, layouts()
    for number, row in _chosen_rows(files, options, mark):
        lines = rejected_row(row, options.context_lines, options.content_column, mark) if options.rejected else None
        console.print(*(lines or shown_row(number, row, options.context_lines, known)), sep="\n")
        shown += 1
    console.print(Text(f"{shown:,} of {total:,} rows in {counted(len(files), 'file')}", style=FAINT))
    return 0


# --- which rows --------------------------------------------------------------------------------------


def _parquet_files(options: Options, mark: Mark) -> list[tuple[str, int]]:
    """The files to show, each with its number of rows."""
    files = [(path, _count_rows(path, mark)) for path in _candidates(options)]
    if not files and not storage.exists(OutputFolder(options.path).completed):  # an output may have no rows at all
        kind = "rejected rows" if options.rejected else "rows"
        raise ConfigError(f"no {kind} at {options.path}; pass a job's output, or a Parquet file, folder or glob")
    return files


def _count_rows(path: str, mark: Mark) -> int:
    mark(path)
    with reading(path, _PARQUET), storage.open_input(path) as file:
        footer = pq.read_metadata(file)
        groups = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != footer.num_rows:
            raise ConfigError(f"its footer counts {footer.num_rows} rows and its row groups have {sum(groups)}")
        return int(footer.num_rows)


def _candidates(options: Options) -> list[str]:
    output = OutputFolder(options.path)
    folder = output.rejected if options.rejected else output.data
    names = storage.list_names(folder)
    if found := [storage.join(folder, name) for name in names if name.endswith(".parquet")]:
        return found
    job_dir = output.job
    if storage.exists(job_dir.commits):  # unfinished: the units committed so far
        kind = "rejected" if options.rejected else "kept"
        files = (commit.files[kind] for commit in read_commits(job_dir) if kind in commit.files)
        return [job_dir.join(file.path) for file in files if file.rows]  # else all of them have been removed
    return storage.glob([options.path, storage.join(options.path, "**", "*.parquet")])


def _chosen_rows(
    files: Sequence[tuple[str, int]], options: Options, mark: Mark
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the rows to show with their numbers in the dataset, in its order."""
    total = sum(count for _, count in files)
    wanted: Sequence[int] = range(total) if options.reason is None else _numbers_of(files, options.reason, mark)
    if options.seed is None:
        numbers = list(wanted[options.start : options.start + options.rows])
    else:
        numbers = sorted(random.Random(options.seed).sample(wanted, min(options.rows, len(wanted))))
    first = 0
    for path, count in files:
        inside = [number - first for number in numbers if first <= number < first + count]
        for offset, row in _rows_at(path, inside, mark):
            yield first + offset, row
        first += count


def _numbers_of(files: Sequence[tuple[str, int]], reason: str, mark: Mark) -> list[int]:
    """The row numbers in the dataset of records rejected for `reason`. Raises ConfigError if there are none."""
    reasons: list[str] = []
    for path, count in files:
        mark(path)
        with reading(path, _PARQUET), storage.open_input(path) as file, open_parquet(file) as parquet:
            has_reasons = "reason" in parquet.schema_arrow.names
            found = parquet.read(columns=["reason"]).column("reason").to_pylist() if has_reasons else [""] * count
            reasons += map(str, found)
    if numbers := [number for number, name in enumerate(reasons) if name == reason]:
        return numbers
    known = ", ".join(sorted({name for name in reasons if name})) or "none"
    raise ConfigError(f"--reason {reason}: no record has this reason; reasons are {known}")


def _rows_at(path: str, offsets: Sequence[int], mark: Mark) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the rows at these offsets of a file (ascending); reads only their row groups."""
    if not offsets:
        return
    mark(path)
    with reading(path, _PARQUET), storage.open_input(path) as file, open_parquet(file) as parquet:
        first = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            inside = [offset for offset in offsets if first <= offset < first + count]
            if inside:
                mark(path)  # showing the row before may have read another file
                table = parquet.read_row_group(group)
                for offset in inside:
                    columns = zip(table.column_names, table.columns, strict=True)
                    yield offset, {name: cell_value(column[offset - first]) for name, column in columns}
            first += count


# --- rejected records --------------------------------------------------------------------------------


def _print_reasons(console: Console, paths: Sequence[str], mark: Mark) -> None:
    """Prints how many rows and targets were rejected for each reason."""
    columns = ["kind", "stage", "reason"]
    counts: Counter[tuple[str, ...]] = Counter()
    for path in paths:
        mark(path)
        with reading(path, _PARQUET), storage.open_input(path) as file, open_parquet(file) as parquet:
            if not set(columns) <= set(parquet.schema_arrow.names):
                return
            for batch in parquet.iter_batches(columns=columns):
                counts.update(zip(*(map(str, batch.column(name).to_pylist()) for name in columns), strict=True))
    table = Table(*columns, "count", box=None, header_style="bold", pad_edge=False)
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(*(Text(one_line(part)) for part in key), Text(f"{count:,}"))
    console.print(table)
    console.print()


if __name__ == "__main__":
    answer(sys.argv[1:], lambda order, mark: print_rows(from_all_options(Options, order), mark))
