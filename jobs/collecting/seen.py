"""Which files of its sources a corpus has seen, so that a night reads only those that may have changed.

    _job/seen.parquet    source, path, size, mtime, ctime, inode -> git's blob id, SHA-256 where a record has it

A file with the size, times and inode that it had is taken for the same: any write sets its ctime, which no program
can choose. Only a write within the same tick of the file system's clock doesn't show, so a file is noted only if its
times are older than `SETTLED_S` when it is read: more than a tick of any file system, and than clocks of a network
differ. (Git does the same: "racy-clean".) What is younger, or from the future, is read again the next night.

File systems that don't keep ctime, or a mapping in memory that is written on one that is itself in memory, need
`--reread`. Only a complete look notes files, under the output's lock. A list that is missing, damaged or of another
version costs one night's reading.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.storage.folders import OutputFolder
from transforms.corpus.entries import File, Known, Stamp

FILE: Final = "seen.parquet"
SETTLED_S: Final = 600.0
_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.dictionary(pa.int32(), pa.large_binary()), nullable=False),  # it may not be UTF-8
        pa.field("path", pa.large_string(), nullable=False),
        pa.field("num_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("ctime_ns", pa.int64(), nullable=False),
        pa.field("inode", pa.uint64(), nullable=False),
        pa.field("blob_id", pa.large_string(), nullable=False),
        pa.field("sha256", pa.large_string()),
    ]
)
_VERSION: Final = b"2"
_EARLIEST_NS: Final = -(1 << 63)  # a time before that, of the year 1677, can't be stored

Contents = tuple[str, str | None]
"""Blob id and SHA-256."""
_Noted = dict[str, tuple[Stamp, Contents]]


class SeenFiles:
    """The files of all sources, by the sources' paths.

    Args:
        noted: What is known of them.
        now_s: When the look began, in seconds since 1970.
    """

    def __init__(self, noted: Mapping[str, _Noted] | None = None, now_s: float = 0.0):
        self._before = noted or {}
        self._after: dict[str, _Noted] = {}
        self._now_s = now_s

    def of(self, source: str) -> Callable[[str, Stamp], Known | None]:
        """What is known of a source's files. From now on, those are forgotten that aren't noted again."""
        noted = self._before.get(source, {})
        self._after[source] = {}

        def find(path: str, stamp: Stamp) -> Known | None:
            found = noted.get(path)
            return Known(path, *found[1]) if found is not None and found[0] == stamp else None

        return find

    def note(self, source: str, entry: File | Known, contents: Contents) -> None:
        """Notes a file that wasn't read, or one that was, if a later change is sure to show."""
        if isinstance(entry, Known):
            self._after[source][entry.path] = self._before[source][entry.path]
        elif (stamp := entry.stamp) is not None and self._is_settled(stamp):
            self._after[source][entry.path] = (stamp, contents)

    def _is_settled(self, stamp: Stamp) -> bool:
        times = (stamp.mtime_ns, stamp.ctime_ns)
        return min(times) >= _EARLIEST_NS and max(times) / 1e9 + SETTLED_S < self._now_s

    @property
    def noted(self) -> Mapping[str, _Noted]:
        """What is known now."""
        return {**self._before, **self._after}

    def write(self, output: OutputFolder) -> None:
        """Writes the list if it differs: the sources that were looked at, and the others as they were."""
        if self.noted != self._before:
            storage.write_bytes(output.job.join(FILE), _to_parquet(self.noted))


def read_seen(output: OutputFolder, now_s: float) -> SeenFiles:
    """What a corpus has seen; nothing if there is no such list that can be read."""
    try:
        data = storage.read_bytes(output.job.join(FILE))
    except FileNotFoundError:
        return SeenFiles({}, now_s)
    try:
        return SeenFiles(_from_parquet(data), now_s)
    except (OSError, ValueError, KeyError, pa.ArrowException):  # whatever damaged bytes are read as
        return SeenFiles({}, now_s)


def _from_parquet(data: bytes) -> dict[str, _Noted]:
    table = pq.read_table(io.BytesIO(data), use_threads=False)
    noted: dict[str, _Noted] = {}
    if (table.schema.metadata or {}).get(b"version") == _VERSION:
        for source, path, *stamp, blob_id, sha256 in _rows(table):
            noted.setdefault(os.fsdecode(source), {})[path] = (Stamp(*stamp), (blob_id, sha256))
    return noted


def _rows(table: pa.Table) -> Iterator[tuple[bytes, str, int, int, int, int, str, str | None]]:
    yield from zip(*(table[name].to_pylist() for name in _SCHEMA.names), strict=True)


def _to_parquet(noted: Mapping[str, _Noted]) -> bytes:
    rows = [
        (os.fsencode(source), path, *stamp, *contents)
        for source, files in noted.items()
        for path, (stamp, contents) in files.items()
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_SCHEMA)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
    sink = io.BytesIO()
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata({"version": _VERSION}))
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
