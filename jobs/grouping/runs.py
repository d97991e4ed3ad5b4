"""Runs: rows on local disk, texts one by one, so that any row can be read again without the others.

    NAME-0.texts   the texts, each compressed by itself, those of one hash bucket next to each other
    NAME-0.arrow   one record batch per hash bucket: what is known of each row, and where its text is

A run is what a writer buffered in memory, so there are as many runs as rows fill the buffer. Only the entries of one
bucket are in memory at a time when runs are read.

Cost: one compression of each text; an entry has about 200 bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pyarrow as pa

from jobs.grouping.reading import keys_of
from transforms.rows.cells import as_binary

RUN_MB: Final = 32
_CODEC: Final = "zstd"
_LEVEL: Final = 1
_OPEN_FILES: Final = 128

KEYS: Final = ("path", "repo_name", "language", "source_uri", "source_row_group", "source_row")
ENTRY_SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.int64()),  # `keys_of`
        pa.field("path", pa.large_string()),
        pa.field("repo_name", pa.large_string()),
        pa.field("language", pa.large_string()),
        pa.field("source_uri", pa.large_string()),
        pa.field("source_row_group", pa.int32()),
        pa.field("source_row", pa.int64()),
        pa.field("sha256", pa.string()),  # of the content; null where that is null
        pa.field("size", pa.int64()),  # bytes of the content; null where that is null
        pa.field("offset", pa.int64()),
        pa.field("stored", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Run:
    """One run: the path of its files without their ending, and the batch of each hash bucket in it."""

    path: str
    batches: tuple[tuple[int, int], ...]

    @property
    def texts(self) -> str:
        """Path of the texts."""
        return f"{self.path}.texts"

    @property
    def entries(self) -> str:
        """Path of the entries."""
        return f"{self.path}.arrow"


class RunWriter:
    """Writes rows to runs.

    Args:
        path: How the paths of the runs begin.
    """

    def __init__(self, path: str):
        self._path = path
        self._waiting: dict[int, list[pa.Table]] = defaultdict(list)
        self._waiting_bytes = 0
        self._runs: list[Run] = []
        self._codec = pa.Codec(_CODEC, _LEVEL)

    def add(self, bucket: int, table: pa.Table) -> None:
        """Adds rows (`Reading.schema`) to a hash bucket."""
        self._waiting[bucket].append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > RUN_MB * 1_000_000:
            self._flush()

    def finish(self) -> tuple[Run, ...]:
        """Writes the remaining rows; returns all runs."""
        if self._waiting:
            self._flush()
        return tuple(self._runs)

    def _flush(self) -> None:
        path = f"{self._path}-{len(self._runs)}"
        run = Run(path, tuple((bucket, batch) for batch, bucket in enumerate(sorted(self._waiting))))
        with (
            open(run.texts, "wb") as texts,
            pa.OSFile(run.entries, "wb") as sink,
            pa.ipc.new_file(sink, ENTRY_SCHEMA) as writer,
        ):
            for bucket, _ in run.batches:
                entries = [self._write(table, texts) for table in self._waiting[bucket]]
                writer.write_batch(pa.concat_tables(entries).combine_chunks().to_batches()[0])
        self._waiting.clear()
        self._waiting_bytes = 0
        self._runs.append(run)

    def _write(self, table: pa.Table, texts: BinaryIO) -> pa.Table:
        """Writes the texts of a table; returns its entries."""
        hashes: list[str | None] = []
        sizes: list[int | None] = []
        offsets, stored = [], []
        for cell in as_binary(table.column("content")):
            offsets.append(texts.tell())
            buffer = cell.as_buffer()
            if buffer is not None:
                texts.write(self._codec.compress(buffer))
            hashes.append(None if buffer is None else hashlib.sha256(buffer).hexdigest())
            sizes.append(None if buffer is None else buffer.size)
            stored.append(texts.tell() - offsets[-1])
        columns: list[Any] = [keys_of(table), *(table.column(name) for name in KEYS), hashes, sizes, offsets, stored]
        return pa.table(
            [
                column if isinstance(column, pa.ChunkedArray) else pa.array(column, field.type)
                for column, field in zip(columns, ENTRY_SCHEMA, strict=True)
            ],
            schema=ENTRY_SCHEMA,
        )


def entries_of(runs: Sequence[Run], bucket: int) -> pa.Table:
    """Reads the entries of one hash bucket; an additional column `run` is the position of the entry's run."""
    tables = []
    for number, run in enumerate(runs):
        for batch in (batch for key, batch in run.batches if key == bucket):
            with pa.OSFile(run.entries) as source:
                table = pa.Table.from_batches([pa.ipc.open_file(source).get_batch(batch)])
            tables.append(table.append_column("run", pa.array([number] * table.num_rows, pa.int32())))
    return pa.concat_tables(tables)


def write_table(entries: pa.Table, path: str) -> None:
    """Writes entries to a file, from which `read_table` reads parts."""
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, entries.schema) as writer:
        writer.write_table(entries.combine_chunks())


def read_table(path: str) -> pa.Table:
    """The entries in a file; only what is used of them is read."""
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()


def buckets_of(runs: Iterable[Run]) -> list[int]:
    """All hash buckets that have rows, in order."""
    return sorted({bucket for run in runs for bucket, _ in run.batches})


class RunReader:
    """Reads texts of runs; keeps some of their files open."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._codec = pa.Codec(_CODEC)

    def read(self, texts: str, offset: int, stored: int, size: int | None) -> bytes | None:
        """The text at a place of a file of texts; None where it is null."""
        if size is None:
            return None
        if texts not in self._files:
            if len(self._files) >= _OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[texts] = os.open(texts, os.O_RDONLY | os.O_CLOEXEC)
        data = os.pread(self._files[texts], stored, offset)
        assert len(data) == stored, "the run was truncated"
        return bytes(self._codec.decompress(data, size, asbytes=True))

    def close(self) -> None:
        """Closes the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
