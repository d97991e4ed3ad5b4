"""Grouped files: the rows of a corpus by repository, in the order in which they are packed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.grouping.runs import KEYS, RunReader
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


@functools.cache
def reader() -> RunReader:
    """The process's reader, so that runs are opened once."""
    return RunReader()


def close_reader() -> None:
    """Closes the runs that this process has read."""
    reader().close()


def write_groups(output: str, texts: Sequence[str], groups: Sequence[pa.Table]) -> None:
    """Writes a grouped file.

    Args:
        output: Its path.
        texts: For each run the path of its texts.
        groups: For each row group its entries, in order, with `GROUPED_SCHEMA`'s last two columns.
    """
    with (
        storage.open_output(output) as file,
        pq.ParquetWriter(file, GROUPED_SCHEMA, compression="zstd") as writer,
    ):
        for entries in groups:
            # One group at a time, so that the file isn't in memory.
            writer.write_table(_grouped(texts, entries), row_group_size=entries.num_rows)
            beat()


def _grouped(texts: Sequence[str], entries: pa.Table) -> pa.Table:
    columns: list[Any] = [pa.array(_contents(texts, entries), pa.large_binary())]
    columns += [entries.column(name) for name in (*KEYS, POSITION, IMPORTS)]
    return pa.table(columns, names=["content", *KEYS, POSITION, IMPORTS]).cast(GROUPED_SCHEMA)


def _contents(texts: Sequence[str], entries: pa.Table) -> Iterator[bytes | None]:
    places = zip(*(entries.column(name).to_pylist() for name in ("run", "offset", "stored", "size")), strict=True)
    for run, offset, stored, size in places:
        yield reader().read(texts[run], offset, stored, size)
