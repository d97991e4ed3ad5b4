"""Validation of a corpus's cells: which cells contain usable text, and why the others are rejected.

Cells are validated in Arrow, column by column. Python touches a cell only if its bytes are not UTF-8. No cell is
repaired.

Cost: one pass over the content's bytes for the UTF-8 check and one for NUL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.rows.rejections import Rejection
from transforms.rows.types import is_list_type, is_text_type

READ_STAGE = "read"


def is_turns_type(kind: pa.DataType) -> bool:
    """Whether a column of this type contains conversations: lists of structs with text fields `role` and `content`."""
    if not is_list_type(kind) or not pa.types.is_struct(kind.value_type):
        return False
    names = {field.name for field in kind.value_type if is_text_type(field.type)}
    return {"role", "content"} <= names


class ColumnsOfRow(Mapping[str, Any]):
    """One row of a table as a mapping; a cell is converted to a Python value when it is accessed."""

    def __init__(self, table: pa.Table, index: int):
        self._table = table
        self._index = index

    def __getitem__(self, name: str) -> Any:
        if (place := self._table.schema.get_field_index(name)) < 0:
            raise KeyError(name)
        return cell_value(self._table.column(place)[self._index])

    def __contains__(self, name: object) -> bool:  # without converting the cell
        return isinstance(name, str) and self._table.schema.get_field_index(name) >= 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_columns

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the row's plain values are pickled for the pool's processes, not the complete table.
        return dict, (dict(self.items()),)


def cell_value(cell: Any) -> Any:
    """Converts a cell to a Python value. Values without a Python equivalent (nanoseconds, years after 9999) become
    text, or the name of their type.

    >>> cell_value(pa.scalar(1, pa.timestamp("ns")))
    '1970-01-01 00:00:00.000000001'
    """
    try:
        return cell.as_py()
    except (ValueError, OverflowError):
        try:
            return cell.cast(pa.large_string()).as_py()
        except (pa.ArrowException, ValueError):
            return f"<{cell.type}>"


def as_binary(column: Any) -> Any:
    """Converts a column of any text type to bytes; conversations (`is_turns_type`) become JSON."""
    if is_turns_type(column.type):
        turns = [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in column.to_pylist()]
        return pa.chunked_array([pa.array(turns, pa.large_string()).cast(pa.large_binary())])
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    return column.cast(pa.large_binary())


def texts_of(table: pa.Table, name: str | None) -> list[str]:
    """Reads a column of short texts. Null becomes ""; bytes that are not UTF-8 are replaced by U+FFFD.

    Returns one "" per row if `name` is None or the column is not text.
    """
    if name is None or not is_text_type(table.schema.field(name).type):
        return [""] * table.num_rows
    data = as_binary(table.column(name))
    try:
        return [text or "" for text in data.cast(pa.large_string()).to_pylist()]
    except pa.ArrowInvalid:
        return [(cell or b"").decode("utf-8", "replace") for cell in data.to_pylist()]


def validate_content(
    data: Any, lengths: Sequence[int | None], max_content_bytes: int
) -> tuple[dict[int, Rejection], dict[int, str]]:
    """Splits the cells into rejections and texts, both keyed by position."""
    rejections: dict[int, Rejection] = {}
    for index, length in enumerate(lengths):
        if length is None:
            rejections[index] = Rejection(READ_STAGE, "null_content", "the content is null")
        elif length == 0:
            rejections[index] = Rejection(READ_STAGE, "empty_content", "the content is empty")
        elif length > max_content_bytes:
            rejections[index] = Rejection(
                READ_STAGE,
                "content_too_large",
                f"content has {length} bytes, the limit is {max_content_bytes}; raise --max_content_mb",
            )
    open_cells = [index for index in range(len(lengths)) if index not in rejections]
    cells: Any = data.take(pa.array(open_cells, pa.int64())) if rejections else data
    try:
        decoded: list[str | Rejection] = cells.cast(pa.large_string()).to_pylist()
    except pa.ArrowInvalid:
        decoded = [_decode(cell, b"\0" in cell) for cell in cells.to_pylist()]
    texts: dict[int, str] = {}
    for index, text in zip(open_cells, decoded, strict=True):
        if isinstance(text, Rejection):
            rejections[index] = text
        elif "\0" in text:
            rejections[index] = Rejection(READ_STAGE, "nul_in_content", f"NUL at character {text.index(chr(0))}")
        else:
            texts[index] = text
    return rejections, texts


def usable_texts(table: pa.Table, content: str, max_content_bytes: int) -> Any:
    """The content of each row in UTF-8, null where the content or another text of the row is rejected.

    No text is decoded, so this costs a tenth of `validate_content`, which knows the reasons.
    """
    data = as_binary(table.column(content))
    lengths = pc.binary_length(data)
    has_size = pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, max_content_bytes))
    is_usable = pc.fill_null(has_size, False)
    if _may_have_nul(data):
        is_usable = pc.and_(is_usable, pc.invert(pc.fill_null(pc.match_substring(data, "\0"), False)))
    unusable = set(validate_other_texts(table, content))
    try:
        data.cast(pa.large_string())
    except pa.ArrowInvalid:
        unusable |= {
            index for index, cell in enumerate(data.to_pylist()) if isinstance(_decode(cell or b"", False), Rejection)
        }
    if unusable:
        is_usable = pc.and_(is_usable, pa.array([index not in unusable for index in range(len(data))], pa.bool_()))
    if pc.all(is_usable).as_py():
        return data  # as it is: `if_else` copies it
    return pc.if_else(is_usable, data, pa.scalar(None, pa.large_binary()))


def _may_have_nul(data: Any) -> bool:
    """Whether there is a NUL in the cells' buffers; a tenth of the cost of searching each cell."""
    buffers = [chunk.buffers()[2] for chunk in data.chunks]
    return any(buffer is not None and (np.frombuffer(buffer, np.uint8) == 0).any() for buffer in buffers)


def validate_other_texts(table: pa.Table, content: str) -> dict[int, Rejection]:
    """Rejects rows whose text in any column other than the content is not UTF-8, by position.

    An output that contains such a text can't be loaded.
    """
    rejections: dict[int, Rejection] = {}
    for name in table.column_names:
        column: Any = table.column(name)
        if name == content or not _holds_strings(column.type):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            if pa.types.is_nested(column.type):
                rejections |= {
                    index: Rejection(READ_STAGE, "not_utf8", f"column {name} contains text that is not valid UTF-8")
                    for index, cell in enumerate(column)
                    if not _is_readable(cell)
                }
                continue
            for index, cell in enumerate(as_binary(column).to_pylist()):
                if isinstance(decoded := _decode(cell or b"", False), Rejection):
                    rejections[index] = Rejection(READ_STAGE, decoded.reason, f"column {name}: {decoded.detail}")
    return rejections


def _holds_strings(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_strings(kind.field(index).type) for index in range(kind.num_fields))
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_readable(cell: Any) -> bool:
    try:
        cell.as_py()
    except UnicodeDecodeError:
        return False
    except (ValueError, OverflowError):  # a time without a Python equivalent, see `cell_value`
        pass
    return True


def _decode(cell: bytes, has_nul: bool) -> str | Rejection:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not valid UTF-8"
    if has_nul:
        return Rejection(READ_STAGE, "binary_content", f"{where}, and there are NUL bytes")
    try:
        cell.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return Rejection(READ_STAGE, "not_utf8", f"{where}; `codemill corpus` detects encodings and converts")
    return Rejection(READ_STAGE, "lone_surrogate", f"{where}: half of a UTF-16 surrogate pair")
