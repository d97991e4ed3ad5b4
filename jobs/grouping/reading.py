"""Reads input files for grouping: the columns of a grouped row, and the hash bucket of each row's repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.plan.footers import InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.partitions import partition_values
from jobs.plan.schemas import fit_table
from jobs.storage.parquet import open_parquet
from transforms.rows.columns import ColumnMap, RowLimits

BUCKET_MB: Final = 128
MAX_BUCKETS: Final = 65_536
_BATCH_ROWS: Final = 128
KEY_BITS: Final = 63


Rows = Mapping[tuple[str, int], Sequence[int]]
"""Rows by file (its public name) and row group."""


class Outcome(NamedTuple):
    """The number of rows grouped, and the name and fault of each file found damaged while grouping."""

    rows: int
    bad_files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """How rows are grouped and ordered.

    Args:
        top_lines: Imports below this line don't count; None counts all.
        limits: Bounds on a row's content; a row beyond them has no facts.
        workers: Number of processes; 0 does everything in this process. The result is the same.
        row_timeout_s: A file whose imports take longer to read is ordered without them.
        only: The rows to group, by file (its public name) and row group; None: all.
        full_bytes: As in `jobs.grouping.cutting.blocks_of`.
        apart: Repositories that share no row group with others, by their numbers
            (`transforms.growth.identity.repository_number`).
    """

    top_lines: int | None = None
    limits: RowLimits = field(default_factory=RowLimits)
    workers: int = 0
    row_timeout_s: float = 600.0
    only: Rows | None = None
    full_bytes: int | None = None
    apart: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Reading:
    """How to read input files, and the number of hash buckets for their rows.

    Args:
        columns: The roles of the input's columns.
        schema: Schema of the rows that are read.
        buckets: Number of hash buckets.
        only: As in `GroupSettings`.
    """

    columns: ColumnMap
    schema: pa.Schema
    buckets: int
    only: Rows | None = None

    def spread(self, file: InputFile, group: int, limit: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yields the rows of one row group, or its first `limit` rows, by hash bucket, a batch at a time."""
        only = None if self.only is None else pa.array(self.only.get((file.public_name, group), ()), pa.int64())
        for table in self._read(file, group):
            table = table if only is None else table.filter(pc.is_in(table["source_row"], only))
            table = table if limit is None else table.slice(0, limit)
            limit = None if limit is None else limit - table.num_rows
            yield from self._split(table)

    def _read(self, file: InputFile, group: int) -> Iterator[pa.Table]:
        columns = self.columns
        names = {"content": columns.content, "path": columns.path}
        names |= {"repo_name": columns.repo_name, "language": columns.language}
        constants = partition_values(file.uri)
        with storage.open_input(file.uri) as opened, open_parquet(opened) as parquet:
            present = set(parquet.schema_arrow.names)
            in_folders = {part: constants[name] for part, name in names.items() if name in constants}
            used = {part: name for part, name in names.items() if name is not None and name in present}
            projected = list(dict.fromkeys(used.values()))
            row = 0
            for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=projected):
                count = batch.num_rows
                table = pa.table({part: batch.column(name) for part, name in used.items()})
                table = table.append_column("source_uri", pa.array([file.public_name] * count, pa.large_string()))
                table = table.append_column("source_row_group", pa.array([group] * count, pa.int32()))
                table = table.append_column("source_row", pa.array(range(row, row + count), pa.int64()))
                row += count
                yield fit_table(table, self.schema, in_folders)

    def _split(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """Yields the rows of each hash bucket: a range of keys, so that buckets in order are keys in order."""
        buckets = [key * self.buckets >> KEY_BITS for key in keys_of(table)]
        for number in sorted(set(buckets)):
            yield number, table.take(pa.array([i for i, bucket in enumerate(buckets) if bucket == number], pa.int64()))


def keys_of(table: pa.Table) -> list[int]:
    """The key of each row, a hash of its repository; for a row without one, of its path."""
    names = pc.coalesce(table.column("repo_name"), table.column("path"), pa.scalar("", pa.large_string()))
    return [_hash(name) for name in names.cast(pa.large_binary()).to_pylist()]


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") >> (64 - KEY_BITS)


Piece = tuple[InputFile, int, int]
"""A row group to read: file, number, and how many of its rows."""


def pieces(inputs: Inputs, limit: int | None, only: Rows | None = None) -> Iterator[Piece]:
    """Yields the row groups to read, in order: file, number, and how many of its rows."""
    left = limit
    for file in inputs.files:
        if file.state == "good":
            for number, group in enumerate(inputs.footers[file.uri].groups):
                rows = group.rows if only is None else len(only.get((file.public_name, number), ()))
                rows = rows if left is None else min(rows, left)
                left = None if left is None else left - rows
                if rows:
                    yield file, number, rows


def batched(inputs: Inputs, found: Iterable[Piece], most_bytes: float) -> Iterator[tuple[Piece, ...]]:
    """Combines small row groups, up to so many bytes of content by their footers."""
    batch: list[Piece] = []
    filled = 0
    for piece in found:
        file, group, _ = piece
        size = inputs.footers[file.uri].groups[group].column_bytes.get(inputs.columns.content, 0)
        if batch and filled + size > most_bytes:
            yield tuple(batch)
            batch, filled = [], 0
        batch.append(piece)
        filled += size
    if batch:
        yield tuple(batch)


def reading_of(inputs: Inputs, only: Rows | None = None) -> Reading:
    """Returns how to read the inputs, or only some of their rows, with as many hash buckets as they need."""
    num_bytes = sum(file.num_bytes for file in inputs.files if file.state == "good")
    # Parquet compresses source code to about a quarter.
    buckets = min(MAX_BUCKETS, 1 + int(4 * num_bytes / (BUCKET_MB * 1_000_000)))
    schema = pa.schema(
        [
            pa.field("content", inputs.schema.field(inputs.columns.content).type),
            pa.field("path", pa.large_string()),
            pa.field("repo_name", pa.large_string()),
            pa.field("language", pa.large_string()),
            pa.field("source_uri", pa.large_string()),
            pa.field("source_row_group", pa.int32()),
            pa.field("source_row", pa.int64()),
        ]
    )
    return Reading(inputs.columns, schema, buckets, only)


def damage(error: Exception) -> str:
    """Formats the fault of a file that can't be read to its end."""
    return f"damaged_input: {' '.join(str(error).split())[:300]}"
