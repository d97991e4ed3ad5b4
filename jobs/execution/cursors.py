"""Cursors: one sequential pass over a row group, shared by the units that are cut out of it.

Parquet can't start decoding in the middle of a row group. Ranges of one group therefore share a *cursor*, which
continues from its position when the next range is requested. It keeps the batches that it decoded last, for ranges that
are requested out of order or concurrently. A group is thus decoded once per worker, not once per unit, whatever its
size.

    row group   |----------------------------------------------------|
    cursor                             kept batches |> next_row       end

A request for a row before all kept batches opens a second cursor, which starts from the first row: slower, but correct.

Cost: what `expect_units` allows to be kept, plus the batches that are being decoded, plus one buffer per column of an
open group. One unit at a time needs one cursor with its last batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.storage.parquet import open_parquet
from transforms.work import Unit

MAX_BATCH_ROWS = 32  # a row may have ten megabytes, and a batch's size is known only after decoding
_BATCH_BYTES = 1 << 20
_KEPT_BYTES_A_UNIT = 16 << 20  # of each unit that is read beside the first
# A group in a bucket with more compressed bytes is not fetched at once but read through one buffer per column, as are
# local files, where there is no latency to save: of a prefetched group all bytes stay in memory until its end.
_PREFETCH_BYTES = 64 << 20
_BUFFER_BYTES, _LOCAL_BUFFER_BYTES = 4 << 20, 1 << 20


@dataclass(frozen=True, slots=True)
class _Kept:
    first: int
    batch: pa.RecordBatch
    num_bytes: int


@dataclass(eq=False)
class _Cursor:
    """Rows count from the first of the groups. The thread that decodes the next batch holds `decoding`."""

    key: tuple[object, ...]
    file: Any
    batches: Iterator[pa.RecordBatch]
    end: int
    next_row: int = 0
    is_open: bool = True
    kept: deque[_Kept] = field(default_factory=deque)
    decoding: threading.Lock = field(default_factory=threading.Lock)

    def find(self, row: int) -> _Kept | None:
        """Returns the batch with the row if it is kept. Kept batches are contiguous and end at `next_row`."""
        if not self.kept or not self.kept[0].first <= row < self.next_row:
            return None
        return next(kept for kept in reversed(self.kept) if kept.first <= row)


_lock = threading.RLock()  # guards the globals below and the cursors' kept batches
_cursors: list[_Cursor] = []  # least recently used first
_kept_bytes = 0
_max_cursors = 8
_max_kept_bytes = 64 << 20


def expect_units(at_once: int) -> None:
    """Bounds what is kept for a process that reads so many units at the same time."""
    global _max_cursors, _max_kept_bytes
    with _lock:
        _max_cursors, _max_kept_bytes = at_once, (at_once - 1) * _KEPT_BYTES_A_UNIT


def batch_at(unit: Unit, names: tuple[str, ...], row: int) -> tuple[int, pa.RecordBatch]:
    """Returns the number of the first row of the batch that contains the given row, and the batch. Thread-safe.

    Args:
        unit: The file and its row groups.
        names: The columns to read; those that the file lacks are omitted.
        row: The row, counted from the first row of the unit's first row group.

    Raises:
        pa.ArrowException, OSError: The file can't be read, or has fewer rows.
    """
    key = (unit.uri, unit.version, unit.row_group, unit.group_rows, names)
    while True:
        cursor = _choose(key, row) or _add(key, unit, names, row)
        with cursor.decoding:
            kept = _kept_by(cursor, row)
            while kept is None and row >= cursor.next_row and cursor.is_open:
                try:
                    decoded = _decode(cursor, is_shared=unit.row_count < cursor.end)
                except BaseException:
                    _drop(cursor)
                    raise
                kept = decoded if row < cursor.next_row else None
        if kept is not None:
            return kept.first, kept.batch
        # Another thread moved the cursor past the row or closed it: try again.


def close_cursors() -> None:
    """Closes all files and releases all kept rows."""
    with _lock:
        cursors = list(_cursors)
    for cursor in cursors:
        with cursor.decoding:
            _drop(cursor)


def _choose(key: tuple[object, ...], row: int) -> _Cursor | None:
    """Returns a cursor of this key that keeps the row, else the one that must decode the fewest rows to reach it."""
    with _lock:
        able = [one for one in _cursors if one.key == key and (one.find(row) is not None or one.next_row <= row)]
        if not able:
            return None
        best = max(able, key=lambda one: (one.find(row) is not None, one.next_row))
        _cursors.remove(best)
        _cursors.append(best)
        return best


def _add(key: tuple[object, ...], unit: Unit, names: tuple[str, ...], row: int) -> _Cursor:
    """Opens a cursor and adds it, unless another thread has done so in the meantime; returns the one to use."""
    _make_room()  # first, so that the buffers of one more are never in memory
    cursor = _open(key, unit, names)
    with _lock:
        if (other := _choose(key, row)) is None:
            _cursors.append(cursor)
    if other is not None:
        cursor.file.close()
    return other or cursor


def _make_room() -> None:
    """Closes the cursors that were not used for the longest time and aren't in use, so that one more may be opened."""
    with _lock:
        spare = _cursors[: max(0, len(_cursors) + 1 - _max_cursors)]
    for one in spare:
        if one.decoding.acquire(blocking=False):
            try:
                _drop(one)
            finally:
                one.decoding.release()


def _drop(cursor: _Cursor) -> None:
    with _lock:
        if cursor in _cursors:
            _cursors.remove(cursor)
        while cursor.kept:
            _let_go(cursor)
        cursor.is_open = False
    cursor.file.close()


def _end(cursor: _Cursor) -> None:
    """Lets go of the reader, which holds the group's pages: 30 MB for a group of 15. Kept batches stay."""
    cursor.batches = iter(())
    cursor.file.close()


def _let_go(cursor: _Cursor) -> None:
    global _kept_bytes
    _kept_bytes -= cursor.kept.popleft().num_bytes


def _kept_by(cursor: _Cursor, row: int) -> _Kept | None:
    with _lock:
        return cursor.find(row)


def _decode(cursor: _Cursor, *, is_shared: bool) -> _Kept:
    """Decodes the next batch and keeps it; drops the oldest kept batches if there are too many bytes."""
    global _kept_bytes
    batch = next(cursor.batches, None)
    if batch is None:
        raise pa.ArrowInvalid(f"the row group has {cursor.next_row} rows, fewer than planned")
    kept = _Kept(cursor.next_row, batch, batch.nbytes)
    with _lock:
        cursor.next_row += batch.num_rows
        while cursor.kept and not is_shared:
            _let_go(cursor)
        cursor.kept.append(kept)
        _kept_bytes += kept.num_bytes
        for other in _cursors:
            while _kept_bytes > _max_kept_bytes and other.kept and other.kept[0] is not kept:
                _let_go(other)
    if cursor.next_row == cursor.end:
        if is_shared:
            _end(cursor)
        else:
            _drop(cursor)  # no other unit needs these rows
    return kept


def _open(key: tuple[object, ...], unit: Unit, names: tuple[str, ...]) -> _Cursor:
    file = storage.open_input(unit.uri)
    try:
        metadata = pq.read_metadata(file)
        groups = list(range(unit.row_group, unit.row_group + len(unit.group_rows or (0,))))
        parts = [metadata.row_group(group) for group in groups]
        rows = sum(part.num_rows for part in parts)
        encoded = sum(part.total_byte_size for part in parts)
        compressed = sum(
            part.column(column).total_compressed_size for part in parts for column in range(part.num_columns)
        )
        is_local = storage.is_local(unit.uri)
        is_fetched = not is_local and compressed <= _PREFETCH_BYTES
        parquet = open_parquet(
            file,
            metadata,
            pre_buffer=is_fetched,
            buffer_size=0 if is_fetched else _LOCAL_BUFFER_BYTES if is_local else _BUFFER_BYTES,
            # Checksums are optional in Parquet; if the writer stored them, damage is detected.
            page_checksum_verification=True,
        )
        there = set(parquet.schema_arrow.names)
        present = [name for name in names if name in there]
        size = max(1, min(MAX_BATCH_ROWS, _BATCH_BYTES * rows // max(encoded, 1)))
        # Threads for a few columns of batches of a megabyte double processor time and memory.
        batches = (
            parquet.iter_batches(size, row_groups=groups, columns=present, use_threads=False)
            if present
            else _empty(rows)
        )
    except BaseException:
        file.close()
        raise
    return _Cursor(key, file, batches, rows)


def _empty(rows: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file that has none of the requested columns: the rows still count."""
    yield pa.record_batch({"": pa.nulls(rows)})
