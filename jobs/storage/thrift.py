"""Thrift's compact protocol, as far as Parquet's footers use it: bytes to plain values, and back to the same bytes.

    struct  {field id: (type, value)}, in the order of the bytes     list  (type of its items, items)
    number  int; a boolean's value is its type                       bytes, double  bytes as they stand

Source: thrift/doc/specs/thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

from typing import Any, Final

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_NUMBERS: Final = frozenset({I16, I32, I64})
_LONG_LIST: Final = 15  # a list's size follows as a number

Struct = dict[int, tuple[int, Any]]


class UnknownThrift(ValueError):
    """Bytes that these functions don't read."""


class Reader:
    """Reads values one after the other.

    Args:
        data: The bytes.
        place: Where the next value begins.
    """

    def __init__(self, data: bytes, place: int = 0):
        self._data = data
        self.place = place

    def struct(self) -> Struct:
        """Reads a struct. Raises UnknownThrift."""
        fields: Struct = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._signed()
            fields[number] = kind, self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self._signed()
        if kind in (TRUE, FALSE):
            return None
        if kind == BINARY:
            return self._take(self._unsigned())
        if kind == STRUCT:
            return self.struct()
        if kind == LIST:
            head = self._byte()
            item, count = head & 15, head >> 4
            count = self._unsigned() if count == _LONG_LIST else count
            return item, [self._item(item) for _ in range(count)]
        if kind in (BYTE, DOUBLE):
            return self._take(1 if kind == BYTE else 8)
        raise UnknownThrift(f"type {kind} at byte {self.place}")

    def _item(self, kind: int) -> Any:
        return self._take(1) if kind in (TRUE, FALSE) else self._value(kind)

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        found = self._data[self.place : self.place + count]
        if len(found) < count:
            raise UnknownThrift("the bytes end in a value")
        self.place += count
        return found


def to_bytes(fields: Struct) -> bytes:
    """The bytes of a struct."""
    out = bytearray()
    _put_struct(out, fields)
    return bytes(out)


def _put_struct(out: bytearray, fields: Struct) -> None:
    before = 0
    for number, (kind, value) in fields.items():
        if 0 < number - before <= 15:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _put_signed(out, number)
        before = number
        _put_value(out, kind, value)
    out.append(0)


def _put_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _NUMBERS:
        _put_signed(out, value)
    elif kind == BINARY:
        _put_unsigned(out, len(value))
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind == LIST:
        item, items = value
        out.append(min(len(items), _LONG_LIST) << 4 | item)
        if len(items) >= _LONG_LIST:
            _put_unsigned(out, len(items))
        for one in items:
            if item in (TRUE, FALSE):
                out += one
            else:
                _put_value(out, item, one)
    elif value is not None:
        out += value


def _put_signed(out: bytearray, number: int) -> None:
    _put_unsigned(out, number << 1 ^ number >> 63)


def _put_unsigned(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
