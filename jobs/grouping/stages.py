"""The parts of grouping that run in the processes of a row pool: rows to runs, facts of files, grouped files.

Each stage receives and returns little: rows and texts go through files on local disk.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.grouping.reading import GroupSettings, Piece, Reading, damage
from jobs.grouping.runs import KEYS, Run, RunReader, RunWriter
from jobs.plan.footers import InputFile
from transforms.packing.facts import FileFacts, read_facts
from transforms.packing.order import IMPORTS, POSITION
from transforms.row_pool import beat

GROUPED_SCHEMA: Final = pa.schema(
    [
        pa.field("content", pa.large_binary()),
        pa.field("path", pa.large_string()),
        pa.field("repo_name", pa.large_string()),
        pa.field("language", pa.large_string()),
        pa.field("source_uri", pa.large_string()),
        pa.field("source_row_group", pa.int32()),
        pa.field("source_row", pa.int64()),
        pa.field(POSITION, pa.int64()),  # in its repository's packing order
        pa.field(IMPORTS, pa.list_(pa.int64())),  # positions of the files before it that it imports
    ]
)
"""A grouped row. Rows are in the order in which they are packed."""


@dataclass(frozen=True)
class SpoolItem:
    """Row groups to spool (file, group, number of rows); the paths of their runs begin with `path`."""

    pieces: tuple[Piece, ...]
    path: str


class Spooled(NamedTuple):
    """The runs of row groups, their number of rows, and the faults of damaged files, whose first rows may count."""

    runs: tuple[Run, ...]
    rows: int
    faults: tuple[tuple[str, str], ...]


class FactsItem(NamedTuple):
    """A file whose facts are wanted, and where its text is."""

    path: str
    language: str
    texts: str
    offset: int
    stored: int
    size: int | None


@dataclass(frozen=True)
class WriteItem:
    """A grouped file to write.

    Args:
        output: Its path.
        runs: The runs that the entries refer to.
        groups: For each row group its entries, in order, with `GROUPED_SCHEMA`'s last two columns.
    """

    output: str
    runs: tuple[Run, ...]
    groups: tuple[pa.Table, ...]


class _Damaged(Exception):
    """A row group can't be decoded to its end."""


@dataclass(frozen=True)
class GroupStages:
    """The stages; see `transforms.row_pool.Stages`."""

    reading: Reading | None
    settings: GroupSettings

    def open(self) -> None:
        """Nothing needs to be opened."""

    def spool(self, item: SpoolItem) -> Spooled:
        """Writes the rows of some row groups to runs."""
        writer = RunWriter(item.path)
        rows = 0
        faults = []
        for file, group, count in item.pieces:
            try:
                for bucket, table in self._tables(file, group, count):
                    # A full disk here is no fault of the input file.
                    rows += table.num_rows
                    writer.add(bucket, table)
            except _Damaged as fault:
                faults.append((file.public_name, str(fault)))
            beat()
        return Spooled(writer.finish(), rows, tuple(faults))

    def _tables(self, file: InputFile, group: int, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """`Reading.spread`; raises _Damaged for a damaged row group, after the rows before the damage."""
        assert self.reading is not None
        tables = self.reading.spread(file, group, rows)
        while True:
            try:
                found = next(tables)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                if storage.is_unanswered(error):
                    raise  # the storage failed, not the file
                raise _Damaged(damage(error)) from error
            yield found

    def facts(self, item: FactsItem) -> FileFacts | None:
        """The facts of one file; None for a file that has no text and will be rejected."""
        data = None
        if item.size and item.size <= self.settings.limits.max_content_bytes:
            data = _reader().read(item.texts, item.offset, item.stored, item.size)
        if data is None or b"\0" in data:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        return read_facts(item.path, text, item.language, top_lines=self.settings.top_lines)

    def write(self, item: WriteItem) -> None:
        """Writes one grouped file."""
        storage.with_new_attempts(lambda: _write_groups(item))


@functools.cache
def _reader() -> RunReader:
    """The process's reader, so that runs are opened once."""
    return RunReader()


def close_reader() -> None:
    """Closes the runs that this process has read."""
    _reader().close()


def _write_groups(item: WriteItem) -> None:
    with (
        storage.open_output(item.output) as file,
        pq.ParquetWriter(file, GROUPED_SCHEMA, compression="zstd") as writer,
    ):
        for entries in item.groups:
            # One group at a time, so that the file isn't in memory.
            writer.write_table(_grouped(item.runs, entries), row_group_size=entries.num_rows)
            beat()


def _grouped(runs: Sequence[Run], entries: pa.Table) -> pa.Table:
    columns: list[Any] = [pa.array(_texts(runs, entries), pa.large_binary())]
    columns += [entries.column(name) for name in (*KEYS, POSITION, IMPORTS)]
    return pa.table(columns, names=["content", *KEYS, POSITION, IMPORTS]).cast(GROUPED_SCHEMA)


def _texts(runs: Sequence[Run], entries: pa.Table) -> Iterator[bytes | None]:
    places = zip(*(entries.column(name).to_pylist() for name in ("run", "offset", "stored", "size")), strict=True)
    for run, offset, stored, size in places:
        yield _reader().read(runs[run].texts, offset, stored, size)
