"""Footers of Parquet files, as far as row groups are moved from one file to another.

    PAR1 | row group | row group | ... | footer | its length | PAR1

Row groups don't refer to each other. Only the footer says where the chunks of their columns are, in bytes from the
start of the file. It is in Thrift's compact protocol, in which a number takes as many bytes as it needs. So a group's
entry is cut at these numbers once, and put together with others when its place is known; all else stays as it was
written, byte by byte. Nothing is decoded or encoded.

Cost: a walk over the footer, about 0.4 ms for a group of 20 columns. Memory: an entry, about 4 KB.

Sources: Apache Parquet format, parquet.thrift; Apache Thrift, thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"PAR1"
_LENGTH_BYTES: Final = 4
_TAIL: Final = _LENGTH_BYTES + len(MAGIC)

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_NUMBERS: Final = (_I16, _I32, _I64)

# Fields of parquet.thrift.
_FILE_ROWS, _FILE_GROUPS = 3, 4  # FileMetaData
_GROUP_COLUMNS, _GROUP_BYTES, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 2, 5, 7  # RowGroup
_CHUNK_OFFSET, _CHUNK_METADATA = 2, 3  # ColumnChunk; others refer to indexes and encryption
_PAGE_OFFSETS: Final = (9, 10, 11)  # ColumnMetaData: of the first data page, the index, the dictionary
_BLOOM_FILTER: Final = 14  # likewise, and its place can't be moved: the filter may stand behind all groups
_ORDINAL_HEADER: Final = bytes([1 << 4 | _I16])  # behind field 6


class UnknownFooter(ValueError):
    """A footer that these functions don't read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A group's entry in a footer, cut where something depends on its place in the file.

    Args:
        pieces: What stands before, between and behind the numbers.
        numbers: The numbers: offsets in the file that it comes from, None for the group's own number in the file.
    """

    pieces: tuple[bytes, ...]
    numbers: tuple[int | None, ...]

    def placed(self, shift: int, ordinal: int | None) -> bytes:
        """The entry of the group that stands `shift` bytes further back, as the file's group `ordinal`.

        None leaves the number out, as files may: it has 16 bits.
        """
        found = [self.pieces[0]]
        for number, piece in zip(self.numbers, self.pieces[1:], strict=True):
            if number is not None:
                # An offset of 0 says that there is none.
                found += (_varint(number + shift << 1 if number else 0), piece)
            elif ordinal is not None:
                found += (_ORDINAL_HEADER, _varint(ordinal << 1), piece)
            else:
                found.append(piece)
        return b"".join(found)


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """What a footer says of a group.

    Args:
        entry: All of it.
        num_bytes: Its bytes before compression.
        can_move: Whether nothing else in the file refers to its place, or it to others'.
    """

    entry: Entry
    num_bytes: int
    can_move: bool


@dataclass(frozen=True, slots=True)
class Footer:
    """A file's footer.

    Args:
        before: What stands before the number of rows: the version of the format and the schema.
        num_rows: Number of rows.
        groups: The row groups.
        after: What stands behind the groups: metadata, and who wrote the file.
        start: Where it begins in the file.
    """

    before: bytes
    num_rows: int
    groups: tuple[GroupEntry, ...]
    after: bytes
    start: int

    def with_groups(self, num_rows: int, entries: Sequence[bytes]) -> bytes:
        """The end of a file with other groups: this footer, its length, and the magic number."""
        rows, groups = _field_header(1, _I64), _field_header(1, _LIST)  # each the field after the one before
        counted = (rows, _varint(num_rows << 1), groups, _list_header(len(entries), _STRUCT))
        footer = b"".join((self.before, *counted, *entries, self.after))
        return footer + len(footer).to_bytes(_LENGTH_BYTES, "little") + MAGIC


def read_footer(file: memoryview) -> Footer:
    """Reads the footer of a file's bytes. Raises UnknownFooter."""
    end = len(file) - _TAIL
    start = end - int.from_bytes(file[end : end + _LENGTH_BYTES], "little")
    if end < len(MAGIC) or file[-len(MAGIC) :] != MAGIC or start < len(MAGIC):
        raise UnknownFooter("no Parquet footer")
    try:
        return _walked(_Walk(bytes(file[start:end])), start)
    except (IndexError, RecursionError):
        raise UnknownFooter("the footer ends in a value") from None


def _walked(walk: _Walk, start: int) -> Footer:
    before = num_rows = after = -1
    groups: tuple[GroupEntry, ...] = ()
    for field, kind, place in walk.fields():
        if field == _FILE_ROWS:
            before, num_rows = place, walk.varint() >> 1
        elif field == _FILE_GROUPS:
            groups = tuple(_group(walk) for _ in range(walk.list_header()[0]))
            after = walk.at
        else:
            walk.skip(kind)
    if before < 0 or after < 0:
        raise UnknownFooter("the footer lists no rows or no groups")
    return Footer(walk.data[:before], num_rows, groups, walk.data[after:], start)


def _group(walk: _Walk) -> GroupEntry:
    start = walk.at
    places: list[tuple[int, int, int | None]] = []  # of each number: begin, end, value
    num_bytes, can_move = 0, True
    for field, kind, place in walk.fields():
        if field == _GROUP_COLUMNS:
            for _ in range(walk.list_header()[0]):
                can_move &= _chunk(walk, places)
        elif field == _GROUP_BYTES:
            num_bytes = walk.varint() >> 1
        elif field == _GROUP_OFFSET:
            _note(walk, places)
        elif field == _GROUP_ORDINAL:
            walk.skip(kind)
            places.append((place, walk.at, None))
            if walk.data[place : place + 1] != _ORDINAL_HEADER or walk.data[walk.at]:
                raise UnknownFooter("the number of a group isn't the last field")
        else:
            walk.skip(kind)
    begins = [*(begin for begin, _, _ in places), walk.at]
    ends = [start, *(end for _, end, _ in places)]
    pieces = tuple(walk.data[end:begin] for end, begin in zip(ends, begins, strict=True))
    return GroupEntry(Entry(pieces, tuple(value for _, _, value in places)), num_bytes, can_move)


def _chunk(walk: _Walk, places: list[tuple[int, int, int | None]]) -> bool:
    """Notes the places in a column's chunk; returns whether it can be moved."""
    can_move = True
    for field, kind, _ in walk.fields():
        if field == _CHUNK_OFFSET:
            _note(walk, places)
        elif field == _CHUNK_METADATA:
            for inner, inner_kind, _ in walk.fields():
                if inner in _PAGE_OFFSETS:
                    _note(walk, places)
                else:
                    can_move &= inner != _BLOOM_FILTER
                    walk.skip(inner_kind)
        else:
            can_move = False
            walk.skip(kind)
    return can_move


def _note(walk: _Walk, places: list[tuple[int, int, int | None]]) -> None:
    begin = walk.at
    value = walk.varint() >> 1
    places.append((begin, walk.at, value))


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
        elif kind in _NUMBERS:
            self.varint()
        else:
            raise UnknownFooter(f"type {kind}, which parquet.thrift has nowhere")


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
