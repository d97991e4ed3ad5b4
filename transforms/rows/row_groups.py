"""Parquet row groups that are encoded by themselves, in any process, and put into one file one behind the other.

    table -> encode_group -> EncodedGroup   the group's bytes, and its entry in a footer
    EncodedGroups in order -> GroupFile     writes bytes, entries and footer: what `pq.ParquetWriter` writes

A group is encoded as a file of its own. Its bytes hold no places, so they can stand anywhere; its entry in the footer
names the places of its columns, which move with it. Entries are in Thrift's compact protocol, in which a number takes
as many bytes as it needs: an entry is cut at these numbers once, and put together with others when its place is known.
Cost: encoding, and about 0.5 ms a group of a dozen columns.

Sources: Apache Parquet format, parquet.thrift; Apache Thrift, compact protocol.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

_MAGIC = b"PAR1"
_LENGTH_BYTES = 4

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12

# Fields of parquet.thrift.
_FILE_ROWS, _FILE_GROUPS, _FILE_KEY_VALUES = 3, 4, 5  # FileMetaData
_GROUP_COLUMNS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 5, 7  # RowGroup
_CHUNK_OFFSET, _CHUNK_METADATA = 2, 3  # ColumnChunk
_PAGE_OFFSETS = (9, 10, 11)  # ColumnMetaData: of the first data page, the index, the dictionary
MAX_GROUPS: Final = 32_768
"""Row groups in a file, at most: Parquet numbers them with 16 bits."""


class Sink(Protocol):
    """What a file is written to."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A group's entry in a footer, cut where something depends on its place in the file.

    Args:
        pieces: What stands before, between and behind the numbers.
        numbers: The numbers: offsets in a file of this group alone, None for the group's own number in the file.
    """

    pieces: tuple[bytes, ...]
    numbers: tuple[int | None, ...]

    def placed(self, shift: int, ordinal: int) -> bytes:
        """The entry of the group that stands `shift` bytes further back, as the file's group `ordinal`."""
        found = [self.pieces[0]]
        for number, piece in zip(self.numbers, self.pieces[1:], strict=True):
            # An offset of 0 says that there is none.
            value = ordinal if number is None else number + shift if number else 0
            found += (_varint(value << 1), piece)
        return b"".join(found)


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """A row group that can be written anywhere: its rows, its bytes, its entry in a footer."""

    num_rows: int
    data: bytes
    entry: Entry


def encode_group(table: pa.Table) -> EncodedGroup:
    """Encodes a table, which has rows, as one row group.

    The same rows give the same bytes, in however many pieces the table is: where these meet would show in the pages.
    """
    footer, data = _encoded(table.combine_chunks())
    return EncodedGroup(table.num_rows, data, _group_entry(footer))


class GroupFile:
    """A Parquet file of encoded groups.

    Args:
        sink: Where it is written to, from its start on.
        schema: Of every group.
    """

    def __init__(self, sink: Sink, schema: pa.Schema):
        self._sink = sink
        self._schema = schema
        self._entries: list[bytes] = []
        self._num_rows = 0
        self._sink.write(_MAGIC)
        self._size = len(_MAGIC)

    def append(self, group: EncodedGroup) -> None:
        """Writes the next group."""
        assert len(self._entries) < MAX_GROUPS
        self._entries.append(group.entry.placed(self._size - len(_MAGIC), len(self._entries)))
        self._sink.write(group.data)
        self._size += len(group.data)
        self._num_rows += group.num_rows

    def close(self) -> None:
        """Writes the footer. The sink stays open."""
        before, after = _frame(self._schema)
        rows, groups = _field_header(1, _I64), _field_header(1, _LIST)  # each the field after the one before
        counted = (rows, _varint(self._num_rows << 1), groups, _list_header(len(self._entries), _STRUCT))
        footer = b"".join((before, *counted, *self._entries, after))
        self._sink.write(footer)
        self._sink.write(len(footer).to_bytes(_LENGTH_BYTES, "little") + _MAGIC)


def _encoded(table: pa.Table) -> tuple[bytes, bytes]:
    """A table as a Parquet file of at most one group: the footer, and all before it but the magic number."""
    sink = pa.BufferOutputStream()
    dictionary = _repetitive(table.schema)
    with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=dictionary) as writer:
        if table.num_rows:
            writer.write_table(table, row_group_size=table.num_rows)
    file = memoryview(sink.getvalue())
    end = len(file) - _LENGTH_BYTES - len(_MAGIC)
    start = end - int.from_bytes(file[end : end + _LENGTH_BYTES], "little")
    return bytes(file[start:end]), bytes(file[len(_MAGIC) : start])


def _repetitive(schema: pa.Schema) -> list[str]:
    """The columns worth a dictionary: short texts that come again and again, unlike `content`, hashes and paths."""
    return [
        field.name for field in schema if pa.types.is_string(field.type) and not field.name.endswith(("_id", "sha256"))
    ]


@functools.lru_cache(maxsize=8)
def _frame(schema: pa.Schema) -> tuple[bytes, bytes]:
    """What stands in a footer before the number of rows, and behind the groups."""
    footer, _ = _encoded(schema.empty_table())
    walk = _Walk(footer)
    before = after = 0
    for field, kind, start in walk.fields():
        walk.skip(kind)
        if field == _FILE_ROWS:
            before = start
        elif field == _FILE_GROUPS:
            after = walk.at
    return footer[:before], footer[after:]


def _group_entry(footer: bytes) -> Entry:
    """The entry of the only group."""
    walk = _Walk(footer)
    for field, kind, _ in walk.fields():
        if field == _FILE_GROUPS:
            count, _ = walk.list_header()
            assert count == 1
            return _cut_entry(walk)
        walk.skip(kind)
    raise AssertionError("unreachable: a footer lists its groups")


def _cut_entry(walk: _Walk) -> Entry:
    start = walk.at
    places: list[tuple[int, int, int | None]] = []  # of each number: begin, end, value

    def note(*, is_ordinal: bool = False) -> None:
        begin = walk.at
        value = walk.varint() >> 1
        places.append((begin, walk.at, None if is_ordinal else value))

    for field, kind, _ in walk.fields():
        if field == _GROUP_COLUMNS:
            for _ in range(walk.list_header()[0]):
                for inner, inner_kind, _ in walk.fields():
                    if inner == _CHUNK_OFFSET:
                        note()
                    elif inner == _CHUNK_METADATA:
                        for innermost, innermost_kind, _ in walk.fields():
                            note() if innermost in _PAGE_OFFSETS else walk.skip(innermost_kind)
                    else:
                        walk.skip(inner_kind)
        elif field in (_GROUP_OFFSET, _GROUP_ORDINAL):
            note(is_ordinal=field == _GROUP_ORDINAL)
        else:
            walk.skip(kind)
    begins = [*(begin for begin, _, _ in places), walk.at]
    ends = [start, *(end for _, end, _ in places)]
    pieces = tuple(walk.data[end:begin] for end, begin in zip(ends, begins, strict=True))
    return Entry(pieces, tuple(value for _, _, value in places))


# --- Thrift's compact protocol ------------------------------------------------------------------------


class _Walk:
    """Walks over a struct in the compact protocol: what isn't of interest is skipped."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def fields(self) -> Iterator[tuple[int, int, int]]:
        """Id, type and start of each field of a struct. The caller reads or skips its value."""
        field = 0
        while (head := self.data[self.at]) != 0:
            start = self.at
            self.at += 1
            field = field + (head >> 4) if head >> 4 else self.varint() >> 1
            yield field, head & 0x0F, start
        self.at += 1

    def varint(self) -> int:
        """A number, as it stands there: numbers with a sign are in zigzag form."""
        byte = self.data[self.at]
        self.at += 1
        if byte < 0x80:
            return byte
        value, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
        return value

    def list_header(self) -> tuple[int, int]:
        """Number and type of a list's elements."""
        head = self.data[self.at]
        self.at += 1
        return (head >> 4 if head >> 4 != 0x0F else self.varint()), head & 0x0F

    def skip(self, kind: int) -> None:
        """Skips the value of a field."""
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BINARY:
            size = self.varint()
            self.at += size
        elif kind == _STRUCT:
            for _, inner, _ in self.fields():
                self.skip(inner)
        elif kind in (_LIST, _SET):
            count, inner = self.list_header()
            if inner in (_TRUE, _FALSE, _BYTE):
                self.at += count
            else:
                for _ in range(count):
                    self.skip(inner)
        elif kind in (_BYTE, _DOUBLE):
            self.at += 1 if kind == _BYTE else 8
        else:
            assert kind != _MAP, "parquet.thrift has no maps"
            self.varint()


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _field_header(delta: int, kind: int) -> bytes:
    return bytes([delta << 4 | kind])


def _list_header(count: int, kind: int) -> bytes:
    return bytes([count << 4 | kind]) if count < 0x0F else bytes([0xF0 | kind]) + _varint(count)
