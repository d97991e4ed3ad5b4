"""Which files the rows of a dataset are in, and the rows at given places of them.

    a complete output        its shards
    an unfinished one        the files of the units committed so far, in the order of the plan
    anything else            a Parquet file, a folder of them, or a glob

A row's number is its position in all files one after the other. Cost: the footers, and the row groups of the rows read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.ledger.commits import list_commits, read_commits
from jobs.storage.folders import OutputFolder
from jobs.storage.parquet import open_parquet
from model.errors import ConfigError, reading
from transforms.rows.cells import cell_value

PARQUET: Final = "a Parquet file"
_BATCH_ROWS: Final = 64

Mark = Callable[[str], None]  # tells which file is read from now on


def no_mark(file: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Rows:
    """The files with the rows of a dataset.

    Args:
        files: Each file with its number of rows.
        units: How many units are committed, if these are the files of an unfinished output; else None.
    """

    files: Sequence[tuple[str, int]]
    units: int | None = None

    @property
    def total(self) -> int:
        """The number of rows."""
        return sum(count for _, count in self.files)


def find_rows(path: str, *, rejected: bool = False, mark: Mark = no_mark) -> Rows:
    """Finds the files of a dataset, or of its rejected records.

    Args:
        path: A job's output, or a Parquet file, folder or glob.
        rejected: Whether rejected records are wanted instead of rows.
        mark: Gets each file before it is read.

    Raises:
        ConfigError: There are none, or a file can't be read.
    """
    output = OutputFolder(path)
    if not storage.exists(output.completed) and (found := _committed(output, rejected)) is not None:
        committed, units = found
        return Rows([(file, count_rows(file, mark)) for file in committed], units)
    files = [(file, count_rows(file, mark)) for file in _candidates(path, rejected)]
    if not files and not storage.exists(output.completed):  # an output may have no rows at all
        kind = "rejected rows" if rejected else "rows"
        raise ConfigError(f"no {kind} at {path}; pass a job's output, or a Parquet file, folder or glob")
    return Rows(files)


def _committed(output: OutputFolder, rejected: bool) -> tuple[list[str], int] | None:
    """The files of committed units, and how many units are; None if this is no unfinished output."""
    job_dir = output.job
    units = sorted(list_commits(job_dir)) if storage.exists(job_dir.commits) else []
    if not units:
        if storage.list_names(job_dir.path):
            raise ConfigError(f"nothing of {output} is committed yet; look again when its first unit is done")
        return None
    kind = "rejected" if rejected else "kept"
    records = read_commits(job_dir, units)
    files = [record.files[kind] for record in records if kind in record.files]
    paths = [job_dir.join(file.path) for file in files if file.rows]  # else all of them have been removed
    if not all(map(storage.exists, paths)):
        return None  # published before: the rows are in the shards
    return paths, len(units)


def shards_in(folder: str, mark: Mark = no_mark) -> Rows:
    """The rows of the Parquet files directly in a folder."""
    return Rows([(path, count_rows(path, mark)) for path in _parquet_in(folder)])


def _parquet_in(folder: str) -> list[str]:
    return [storage.join(folder, name) for name in storage.list_names(folder) if name.endswith(".parquet")]


def _candidates(path: str, rejected: bool) -> list[str]:
    output = OutputFolder(path)
    wanted, other = (output.rejected, output.data) if rejected else (output.data, output.rejected)
    if found := _parquet_in(wanted):
        return found
    if storage.exists(output.completed) or _parquet_in(other):  # such as a copy of the kept rows' shards alone
        return []
    return storage.glob([path, storage.join(path, "**", "*.parquet")])


def count_rows(path: str, mark: Mark = no_mark) -> int:
    """The number of rows in a file. Raises ConfigError if its footer contradicts itself."""
    mark(path)
    with reading(path, PARQUET), storage.open_input(path) as file:
        footer = pq.read_metadata(file)
        groups = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != footer.num_rows:
            raise ConfigError(f"its footer counts {footer.num_rows} rows and its row groups have {sum(groups)}")
        return int(footer.num_rows)


def rows_at(
    rows: Rows, numbers: Sequence[int], mark: Mark = no_mark, *, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows with these numbers (ascending), each with its number; reads only their row groups.

    Args:
        rows: The dataset.
        numbers: Which rows.
        mark: Gets each file before it is read.
        columns: The columns to read; None reads all.
    """
    first = 0
    for path, count in rows.files:
        inside = [number - first for number in numbers if first <= number < first + count]
        for offset, row in _rows_in(path, inside, mark, columns):
            yield first + offset, row
        first += count


def _rows_in(
    path: str, offsets: Sequence[int], mark: Mark, names: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    if not offsets:
        return
    mark(path)
    with reading(path, PARQUET), storage.open_input(path) as file, open_parquet(file) as parquet:
        first = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            inside = [offset for offset in offsets if first <= offset < first + count]
            if inside:
                mark(path)  # showing the row before may have read another file
                for offset, row in _rows_of_group(parquet, group, [offset - first for offset in inside], names):
                    yield first + offset, row
            first += count


def _rows_of_group(
    parquet: pq.ParquetFile, group: int, offsets: Sequence[int], names: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Some rows of a row group; it is decoded up to the last of them."""
    first = 0
    columns = None if names is None else list(names)
    for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
        for offset in (offset for offset in offsets if first <= offset < first + batch.num_rows):
            cells = zip(batch.schema.names, batch.columns, strict=True)
            yield offset, {name: cell_value(column[offset - first]) for name, column in cells}
        first += batch.num_rows
        if first > offsets[-1]:
            return


def tables_of(
    rows: Rows, names_of: Callable[[pa.Schema], Sequence[str]], mark: Mark = no_mark
) -> Iterator[tuple[int, pa.Table]]:
    """Yields the row groups' columns, each with the number of its first row.

    Args:
        rows: The files.
        names_of: Chooses from a file's schema what is read: columns, or fields of structs as `struct.field`.
        mark: Gets each file before it is read.
    """
    first = 0
    for path, count in rows.files:
        mark(path)
        with reading(path, PARQUET), storage.open_input(path) as file, open_parquet(file) as parquet:
            names, done = list(names_of(parquet.schema_arrow)), first
            for group in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(group).num_rows
                yield done, parquet.read_row_group(group, columns=names) if names else _empty(size)
                done += size
        first += count


def _empty(num_rows: int) -> pa.Table:
    """A table without columns has no rows, so there is one of nulls."""
    return pa.table({"": pa.nulls(num_rows)})
