"""`codemill inspect OUT`: shows rows of a dataset in the terminal; `jobs.terminal.show` lays them out.

Cost: reading the Parquet footers, and the row groups of the rows shown.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import OptionSet, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

_LOCATED_ROWS = 1 << 20  # enough for any terminal


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Show rows of a dataset in the terminal."""

    path: str = option(
        help="A job's output, finished or unfinished; or a Parquet file, folder or glob.", positional=True, is_path=True
    )
    rows: int = option(5, help="Number of rows to show.", minimum=1, maximum=_LOCATED_ROWS)
    start: int = option(0, help="First row to show, starting at 0.", minimum=0, metavar="ROW")
    seed: int | None = option(None, help="Show randomly sampled rows, with this seed.", minimum=0)
    rejected: bool = option(
        False, help="Show rejected records, counted by reason and with their source location, instead of kept rows."
    )
    reason: str | None = option(None, help="With --rejected: only records with this reason.")
    content_column: str | None = option(None, help="With --rejected: the source's content column.", metavar="NAME")
    context_lines: int = option(
        6,
        help="Context lines shown before and after a middle, and lines shown of other long texts.",
        minimum=1,
        metavar="LINES",
    )
    color: Literal["auto", "always", "never"] = option(
        "auto", help="Use colors; auto: in a terminal, unless NO_COLOR is set."
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the rows. Raises ConfigError if there are none."""
    from rich.console import Console

    from jobs.catalog import layouts
    from jobs.terminal.rejected import rejected_row
    from jobs.terminal.show import shown_row
    from jobs.terminal.text import FAINT

    if beam_args:
        raise ConfigError(f"inspect does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(
        highlight=False,
        force_terminal=True if options.color == "always" else None,
        color_system=None if options.color == "never" else "auto",
    )
    if options.reason is not None and not options.rejected:
        raise ConfigError(f"--reason {options.reason} selects among rejected records; add --rejected")
    files = _parquet_files(options)
    total = sum(count for _, count in files)
    if options.rejected:
        _print_reasons(console, [path for path, _ in files])
    shown, known = 0, layouts()
    for number, row in _chosen_rows(files, options):
        if options.rejected and "reason" in row:
            console.print(*rejected_row(row, options.context_lines, options.content_column), sep="\n")
        else:
            console.print(*shown_row(number, row, options.context_lines, known), sep="\n")
        shown += 1
    console.print(f"{shown:,} of {total:,} rows in {len(files):,} file{'s' if len(files) != 1 else ''}", style=FAINT)
    return 0


# --- which rows --------------------------------------------------------------------------------------


def _parquet_files(options: Options) -> list[tuple[str, int]]:
    """The files to show, each with its number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from jobs import storage
    from jobs.storage.folders import OutputFolder

    files = []
    for path in _candidates(options):
        with storage.open_input(path) as file:
            try:
                files.append((path, pq.read_metadata(file).num_rows))
            except pa.ArrowInvalid as error:
                raise ConfigError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}") from None
    if not files and not storage.exists(OutputFolder(options.path).completed):  # an output may have no rows at all
        kind = "rejected rows" if options.rejected else "rows"
        raise ConfigError(f"no {kind} at {options.path}; pass a job's output, or a Parquet file, folder or glob")
    return files


def _candidates(options: Options) -> list[str]:
    from jobs import storage
    from jobs.storage.folders import OutputFolder

    output = OutputFolder(options.path)
    folder = output.rejected if options.rejected else output.data
    names = storage.list_names(folder)
    if found := [storage.join(folder, name) for name in names if name.endswith(".parquet")]:
        return found
    job_dir = output.job
    if storage.exists(job_dir.commits):  # unfinished: the units committed so far
        from jobs.ledger.commits import read_commits

        kind = "rejected" if options.rejected else "kept"
        return [job_dir.join(c.files[kind].path) for c in read_commits(job_dir) if kind in c.files]
    return storage.glob([options.path, storage.join(options.path, "**", "*.parquet")])


def _chosen_rows(files: Sequence[tuple[str, int]], options: Options) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the rows to show with their numbers in the dataset, in its order."""
    total = sum(count for _, count in files)
    wanted: Sequence[int] = range(total) if options.reason is None else _numbers_of(files, options.reason)
    if options.seed is None:
        numbers = list(wanted[options.start : options.start + options.rows])
    else:
        numbers = sorted(random.Random(options.seed).sample(wanted, min(options.rows, len(wanted))))
    first = 0
    for path, count in files:
        inside = [number - first for number in numbers if first <= number < first + count]
        for offset, row in _rows_at(path, inside):
            yield first + offset, row
        first += count


def _numbers_of(files: Sequence[tuple[str, int]], reason: str) -> list[int]:
    """The row numbers in the dataset of records rejected for `reason`. Raises ConfigError if there are none."""
    import pyarrow.parquet as pq

    from jobs import storage

    reasons: list[str] = []
    for path, count in files:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            has_reasons = "reason" in parquet.schema_arrow.names
            reasons += parquet.read(columns=["reason"]).column("reason").to_pylist() if has_reasons else [""] * count
    if found := [number for number, name in enumerate(reasons) if name == reason]:
        return found
    known = ", ".join(sorted({name for name in reasons if name})) or "none"
    raise ConfigError(f"--reason {reason}: no record has this reason; reasons are {known}")


def _rows_at(path: str, offsets: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the rows at these offsets of a file (ascending); reads only their row groups."""
    from jobs import storage
    from jobs.storage.parquet import open_parquet
    from transforms.rows.cells import cell_value

    if not offsets:
        return
    with storage.open_input(path) as file, open_parquet(file) as parquet:
        first = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            inside = [offset for offset in offsets if first <= offset < first + count]
            if inside:
                table = parquet.read_row_group(group)
                for offset in inside:
                    columns = zip(table.column_names, table.columns, strict=True)
                    yield offset, {name: cell_value(column[offset - first]) for name, column in columns}
            first += count


# --- rejected records --------------------------------------------------------------------------------


def _print_reasons(console: Console, paths: Sequence[str]) -> None:
    """Prints how many rows and targets were rejected for each reason."""
    import pyarrow.parquet as pq
    from rich.table import Table
    from rich.text import Text

    from jobs import storage
    from jobs.terminal.text import visible

    columns = ["kind", "stage", "reason"]
    counts: Counter[tuple[str, ...]] = Counter()
    for path in paths:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            if not set(columns) <= set(parquet.schema_arrow.names):
                return
            for batch in parquet.iter_batches(columns=columns):
                counts.update(zip(*(batch.column(name).to_pylist() for name in columns), strict=True))
    table = Table(*columns, "count", box=None, header_style="bold", pad_edge=False)
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(*(Text(visible(part)) for part in key), f"{count:,}")
    console.print(table)
    console.print()
