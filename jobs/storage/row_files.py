"""Writes rows, as tables or as row groups that are encoded already, into Parquet files of a bounded size.

    rows -> row group (bounded by rows and bytes) -> file (bounded by bytes) -> the next file

Sizes are of text, as the caller counts it, so that the cuts depend on the rows alone and not on the tables in which
they come. Memory: one row group, and the last table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa

from jobs import storage
from transforms.rows.row_groups import MAX_GROUPS, EncodedGroup, GroupFile, encode_group


class RowFiles:
    """Rows of one schema on their way into files.

    Args:
        prefix: Files are named `<prefix>-00000.parquet` and so on.
        schema: Of every row.
        file_bytes: Text in a file, at most, unless a single row has more.
        group_rows: Rows in a row group, at most.
        group_bytes: Text in a row group, at most, unless a single row has more.
    """

    def __init__(self, prefix: str, schema: pa.Schema, *, file_bytes: float, group_rows: int, group_bytes: float):
        self.paths: list[str] = []
        self._prefix = prefix
        self._schema = schema
        self._file_bytes = file_bytes
        self._group_rows = group_rows
        self._group_bytes = group_bytes
        self._slices: list[pa.Table] = []  # of the row group
        self._rows_in_group = 0
        self._bytes_in_group = 0
        self._bytes_in_file = 0
        self._groups_in_file = 0
        self._file: GroupFile | None = None
        self._files = ExitStack()

    def add(self, table: pa.Table, sizes: Sequence[int]) -> None:
        """Takes rows; `sizes` are the bytes of text in each."""
        start = 0
        for index, size in enumerate(sizes):
            if self._rows_in_group and self._bytes_in_group + size > self._group_bytes:
                self._slices.append(table.slice(start, index - start))
                self._write_group()
                start = index
            self._rows_in_group += 1
            self._bytes_in_group += size
            if self._rows_in_group == self._group_rows:
                self._slices.append(table.slice(start, index + 1 - start))
                self._write_group()
                start = index + 1
        if start < table.num_rows:
            self._slices.append(table.slice(start))

    def add_group(self, group: EncodedGroup, num_bytes: int) -> None:
        """Takes a row group; the rows before it, if they are not in one yet, become a group as well."""
        if self._rows_in_group:
            self._write_group()
        self._append(group, num_bytes)

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes what is left, or, after an error, leaves the file in part: nothing names it."""
        if kind is not None:
            self._files.__exit__(kind, error, traceback)
            return
        # Without rows there is no file: `datasets` can't load one, whatever its form.
        if self._rows_in_group:
            self._write_group()
        if self._file is not None:
            self._close_file(self._file)

    def _write_group(self) -> None:
        self._append(encode_group(pa.concat_tables(self._slices)), self._bytes_in_group)
        self._slices, self._rows_in_group, self._bytes_in_group = [], 0, 0

    def _append(self, group: EncodedGroup, num_bytes: int) -> None:
        is_full = self._bytes_in_file + num_bytes > self._file_bytes or self._groups_in_file == MAX_GROUPS
        if self._file is not None and is_full:
            self._close_file(self._file)
        if self._file is None:
            self._file = self._open_file()
        self._file.append(group)
        self._bytes_in_file += num_bytes
        self._groups_in_file += 1

    def _open_file(self) -> GroupFile:
        path = f"{self._prefix}-{len(self.paths):05}.parquet"
        sink = self._files.enter_context(storage.open_output(path))
        self.paths.append(path)
        self._bytes_in_file = self._groups_in_file = 0
        return GroupFile(sink, self._schema)

    def _close_file(self, file: GroupFile) -> None:
        file.close()
        self._file = None
        self._files.close()
