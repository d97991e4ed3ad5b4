"""How many bytes rows take in memory, whatever table they are a part of.

`Table.nbytes` of a slice depends on where in its table it begins: bitmaps are counted by whole bytes, and a column has
one of nulls if any row of the table is null. So what is cut by it depends on how rows came, not on the rows alone.

Cost: about 3 us a column, whatever its length: twice that of `Table.nbytes`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_OFFSET_BYTES = 8
_VALUE = pa.null()
# An id is looked up in a tenth of the time that tests of a type take.
_TEXTS = frozenset(
    kind.id
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())
)
_LISTS = frozenset(
    kind.id
    for kind in (
        pa.list_(_VALUE),
        pa.large_list(_VALUE),
        pa.list_(_VALUE, 1),
        pa.list_view(_VALUE),
        pa.large_list_view(_VALUE),
    )
)
_STRUCT, _DICTIONARY, _NULL = pa.struct([]).id, pa.dictionary(pa.int8(), _VALUE).id, _VALUE.id


def size_of(table: pa.Table) -> int:
    """Returns the bytes of a table's values, with offsets and bitmaps as if every column had its own.

    >>> column = pa.array([None, "abc", "defg", None])
    >>> size_of(pa.table({"a": column}).slice(1, 2)), size_of(pa.table({"a": column.slice(1, 2)}))
    (24, 24)
    """
    return sum(_size(chunk) for column in table.columns for chunk in column.chunks)


def _size(array: pa.Array) -> int:
    if isinstance(array, pa.ExtensionArray):
        return _size(array.storage)
    kind, rows = array.type, len(array)
    number, num_bytes = kind.id, _bits(rows)
    if number in _TEXTS:
        return num_bytes + _OFFSET_BYTES * rows + (pc.sum(pc.binary_length(array)).as_py() or 0)
    if number == _STRUCT:
        return num_bytes + sum(map(_size, array.flatten()))
    if number in _LISTS:
        return num_bytes + _OFFSET_BYTES * rows + _size(array.flatten())
    if number == _DICTIONARY:
        return num_bytes + _size(array.dictionary_decode())
    return num_bytes + (0 if number == _NULL else _bits(rows * kind.bit_width))


def _bits(count: int) -> int:
    return -(-count // 8)
