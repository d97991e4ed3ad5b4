"""Parquet row groups that are put into one file one behind the other, as they were encoded in any process.

    table -> encode_group -> EncodedGroup          a group's bytes, and its entry in a footer
    file  -> read_groups  -> EncodedGroups         those of a whole file
    either, in order -> GroupFile                  writes bytes, entries and footer: what `pq.ParquetWriter` writes

A group is encoded as a file of its own. Its bytes hold no places, so they can stand anywhere; its entry in the footer
names the places of its columns, which move with it (`transforms.rows.footers`).
Cost: encoding, a copy of the bytes, and about 0.5 ms a group of 20 columns.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.rows.footers import MAGIC, Entry, Footer, UnknownFooter, read_footer

MAX_GROUPS: Final = 32_768
"""Row groups in a file whose groups are numbered, at most: Parquet does so with 16 bits."""


class Sink(Protocol):
    """What a file is written to."""

    def write(self, data: Any, /) -> object: ...


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """A row group that can be written anywhere: its rows, its bytes, its entry in a footer."""

    num_rows: int
    data: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class EncodedGroups:
    """The row groups of a file, which can be written anywhere together: their rows, their bytes, their entries."""

    num_rows: int
    data: memoryview
    entries: tuple[Entry, ...]


def encode_group(table: pa.Table) -> EncodedGroup:
    """Encodes a table, which has rows, as one row group.

    The same rows give the same bytes, in however many pieces the table is: where these meet would show in the pages.
    """
    file = _encoded(table.combine_chunks())
    footer = read_footer(file)
    (group,) = footer.groups
    return EncodedGroup(table.num_rows, bytes(file[len(MAGIC) : footer.start]), group.entry)


def read_groups(file: bytes, schema: pa.Schema, *, least_bytes: int = 0) -> EncodedGroups | None:
    """Returns a file's row groups; None if they can't be put into a file of this schema as they stand.

    Args:
        file: Its bytes.
        schema: The schema of the other file. Its metadata doesn't matter.
        least_bytes: Bytes of a row group before compression, at least.
    """
    view = memoryview(file)
    try:
        footer = read_footer(view)
    except UnknownFooter:
        return None
    if footer.before != _frame(schema).before:
        return None
    if not all(group.can_move and group.num_bytes >= least_bytes for group in footer.groups):
        return None
    entries = tuple(group.entry for group in footer.groups)
    return EncodedGroups(footer.num_rows, view[len(MAGIC) : footer.start], entries)


class GroupFile:
    """A Parquet file of encoded groups.

    Args:
        sink: Where it is written to, from its start on.
        schema: Of every group. The file's metadata are those of this one.
        is_numbered: Whether each group has its number, as in files of Arrow's writer: then there can be `MAX_GROUPS`.
    """

    def __init__(self, sink: Sink, schema: pa.Schema, *, is_numbered: bool = True):
        self._sink = sink
        self._schema = schema
        self._is_numbered = is_numbered
        self._entries: list[bytes] = []
        self._num_rows = 0
        self._sink.write(MAGIC)
        self._size = len(MAGIC)

    def append(self, found: EncodedGroup | EncodedGroups) -> None:
        """Writes the next group, or several."""
        for entry in (found.entry,) if isinstance(found, EncodedGroup) else found.entries:
            assert len(self._entries) < MAX_GROUPS or not self._is_numbered
            ordinal = len(self._entries) if self._is_numbered else None
            self._entries.append(entry.placed(self._size - len(MAGIC), ordinal))
        self._sink.write(found.data)
        self._size += len(found.data)
        self._num_rows += found.num_rows

    def close(self) -> None:
        """Writes the footer. The sink stays open."""
        self._sink.write(_frame(self._schema).with_groups(self._num_rows, self._entries))


def _encoded(table: pa.Table) -> memoryview:
    """A table as a Parquet file of at most one group."""
    sink = pa.BufferOutputStream()
    dictionary = _repetitive(table.schema)
    with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=dictionary) as writer:
        if table.num_rows:
            writer.write_table(table, row_group_size=table.num_rows)
    return memoryview(sink.getvalue())


def _repetitive(schema: pa.Schema) -> list[str]:
    """The columns worth a dictionary: short texts that come again and again, unlike `content`, hashes and paths."""
    return [
        field.name for field in schema if pa.types.is_string(field.type) and not field.name.endswith(("_id", "sha256"))
    ]


@functools.lru_cache(maxsize=8)
def _frame(schema: pa.Schema) -> Footer:
    """The footer of a file without groups."""
    return read_footer(_encoded(schema.empty_table()))
