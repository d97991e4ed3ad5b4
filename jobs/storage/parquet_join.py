"""Joins Parquet files of one schema: their row groups are copied as they stand, behind one another, under one footer.

    PAR1 | row group | row group | ... | footer | its length | PAR1

Row groups don't refer to each other. Only the footer says where the chunks of their columns are, in bytes from the
start of the file, so a copy needs nothing but other offsets there. Nothing is decoded or encoded.

Cost: a copy of the bytes, and reading and writing footers: about a millisecond for each row group. Memory: one file.
Source: parquet.thrift of apache/parquet-format.
"""

from __future__ import annotations

import io
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.storage import thrift

MAGIC: Final = b"PAR1"
_TAIL: Final = 8  # the footer's length, and MAGIC

# Numbers of fields in parquet.thrift.
_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS = 2, 3, 4
_GROUP_COLUMNS, _GROUP_BYTES, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 2, 5, 7
_CHUNK_OFFSET, _CHUNK_METADATA = 2, 3
_COLUMN_OFFSETS: Final = (9, 10, 11)  # of data, index and dictionary pages
# What else refers to places in a file: indexes, Bloom filters, encryption. Files with these are not joined.
_CHUNK_KNOWN: Final = frozenset({_CHUNK_OFFSET, _CHUNK_METADATA})
_COLUMN_BLOOM: Final = 14


class Sink(Protocol):
    """A file that is written."""

    def write(self, data: Any, /) -> Any: ...


class ParquetJoiner:
    """Writes one Parquet file from others.

    Args:
        file: Where it is written; at its start.
        schema: The schema of the result. Where a file has other metadata, these count.
    """

    def __init__(self, file: Sink, schema: pa.Schema):
        self._file = file
        sink = io.BytesIO()
        pq.ParquetWriter(sink, schema).close()
        self._footer = _footer(sink.getvalue())
        self._groups: list[thrift.Struct] = []
        self._rows = 0
        self._place = len(MAGIC)
        file.write(MAGIC)

    def takes(self, data: bytes, *, least_bytes: int = 0) -> bool:
        """Whether a file can be added: it has this schema, row groups of `least_bytes` or more (before compression),
        and nothing that can't be moved.
        """
        try:
            footer = _footer(data)
        except thrift.UnknownThrift:
            return False
        return footer[_FILE_SCHEMA] == self._footer[_FILE_SCHEMA] and all(
            group[_GROUP_BYTES][1] >= least_bytes and _can_move(group) for group in footer[_FILE_GROUPS][1][1]
        )

    def add(self, data: bytes) -> int:
        """Appends the row groups of a file that `takes` takes; returns its number of rows."""
        footer = _footer(data)
        groups = footer[_FILE_GROUPS][1][1]
        end = len(data) - _TAIL - _footer_length(data)
        for group in groups:
            _move(group, self._place - len(MAGIC))
        self._groups += groups
        self._file.write(memoryview(data)[len(MAGIC) : end])
        self._place += end - len(MAGIC)
        rows: int = footer[_FILE_ROWS][1]
        self._rows += rows
        return rows

    def finish(self) -> None:
        """Writes the footer."""
        self._footer[_FILE_ROWS] = thrift.I64, self._rows
        self._footer[_FILE_GROUPS] = thrift.LIST, (thrift.STRUCT, self._groups)
        footer = thrift.to_bytes(self._footer)
        self._file.write(footer + len(footer).to_bytes(4, "little") + MAGIC)


def _footer(data: bytes) -> thrift.Struct:
    length = _footer_length(data)
    if data[-len(MAGIC) :] != MAGIC or length > len(data) - _TAIL:
        raise thrift.UnknownThrift("no Parquet footer")
    return thrift.Reader(data, len(data) - _TAIL - length).struct()


def _footer_length(data: bytes) -> int:
    return int.from_bytes(data[-_TAIL : -len(MAGIC)], "little")


def _can_move(group: thrift.Struct) -> bool:
    return all(
        chunk.keys() <= _CHUNK_KNOWN and _COLUMN_BLOOM not in chunk[_CHUNK_METADATA][1]
        for chunk in group[_GROUP_COLUMNS][1][1]
    )


def _move(group: thrift.Struct, by: int) -> None:
    """Moves what a row group says of places by so many bytes."""
    group.pop(_GROUP_ORDINAL, None)  # of 16 bits, and files may leave it out
    _shift(group, _GROUP_OFFSET, by)
    for chunk in group[_GROUP_COLUMNS][1][1]:
        if chunk[_CHUNK_OFFSET][1]:  # zero: not given, as the format asks for
            _shift(chunk, _CHUNK_OFFSET, by)
        for number in _COLUMN_OFFSETS:
            _shift(chunk[_CHUNK_METADATA][1], number, by)


def _shift(fields: thrift.Struct, number: int, by: int) -> None:
    if number in fields:
        kind, place = fields[number]
        fields[number] = kind, place + by
