"""The names of columns in tables of text: what a value is called that has no name beside it.

    name,phone                                 delimited values with a header (RFC 4180), by the file's name
    INSERT INTO t (name, phone) VALUES (..)    SQL
    | name | phone |                           Markdown, above a line of dashes

A column is found by counting delimiters from the start of the value's row, without those in quotes.
"""

from __future__ import annotations

import bisect
import re
from functools import cached_property

_DELIMITED = frozenset(("csv", "tsv", "tab", "psv", "txt", "dat"))
_SQL = frozenset(("sql", "ddl", "psql", "pgsql", "mysql", "dump"))
_MARKDOWN = frozenset(("md", "markdown", "mdx", "rmd"))
_SUFFIXES = _DELIMITED | _SQL | _MARKDOWN
_HEADER_LINE = re.compile(rb"[\"' \t]*[A-Za-z\x80-\xff_][^\d@(){}=\n]*(?:[,\t;|][^,\t;|@(){}=\n]{1,60})+")
_MAX_HEADER_BYTES = 4096
_MAX_ROW_BYTES = 2048
_MAX_ROWS = 32
_QUOTED_FIELD = re.compile(rb"\"[^\"\n]*(?:\"|\Z)")
_SQL_STRING = re.compile(rb"'(?:[^'\\]|''|\\.|(?!)){0,2000}+(?:'|\Z)")
_INSERT = re.compile(rb"(?i)\bINTO\s{1,9}[\w.`\"\[\]]{1,120}\s{0,9}\(([^()]{1,2000})\)\s{0,9}VALUES\s{0,9}(?=\()")
_DASHES = re.compile(rb"\n([^\n]{0,2000}\|[^\n]{0,2000})\r?\n[ \t]{0,9}\|?[ \t]{0,9}:?-{2,}[-:| \t]{1,2000}\r?\n")


class Columns:
    """The columns of one text's tables."""

    def __init__(self, data: bytes, path: str):
        self._data, self._suffix = data, path.rpartition(".")[2].lower()
        self.may_be_any = self._suffix in _SUFFIXES
        self._cells: dict[int, list[bytes]] = {}

    def at(self, offset: int) -> bytes:
        """The name of the column that the byte at `offset` is in; empty if it is in no table."""
        if not self.may_be_any:
            return b""
        if self._delimited[0]:
            return self._in_delimited(offset)
        if self._inserts:
            return self._in_insert(offset)
        return self._in_markdown(offset) if self._markdown else b""

    def names(self) -> list[bytes]:
        """The names of all columns of all tables."""
        if not self.may_be_any:
            return []
        inserted = [name for _, names in self._inserts for name in names]
        return self._delimited[0] + inserted + [name for _, header in self._markdown for name in header.split(b"|")]

    @cached_property
    def _delimited(self) -> tuple[list[bytes], bytes]:
        """The names of the columns of delimited values, and their delimiter."""
        line = self._data[:_MAX_HEADER_BYTES].partition(b"\n")[0].rstrip(b"\r")
        if self._suffix not in _DELIMITED or not _HEADER_LINE.fullmatch(line):
            return [], b""
        delimiter = max((b",", b"\t", b";", b"|"), key=line.count)
        return [name.strip(b" \"'") for name in line.split(delimiter)], delimiter

    def cells(self, offset: int) -> list[bytes]:
        """The first cells of the column of delimited values that the byte at `offset` is in; empty elsewhere."""
        header, delimiter = self._delimited if self.may_be_any else ([], b"")
        first = self._data.rfind(b"\n", 0, offset) + 1
        if not header or not first:
            return []
        number = _QUOTED_FIELD.sub(b"", self._data[first:offset]).count(delimiter)
        if number not in self._cells:
            rows = self._data[: _MAX_ROWS * _MAX_ROW_BYTES].splitlines()[1 : _MAX_ROWS + 1]
            fields = [row.split(delimiter) for row in rows if row.strip()]
            self._cells[number] = [row[number].strip(b" \"'") for row in fields if number < len(row)]
        return self._cells[number]

    def _in_delimited(self, offset: int) -> bytes:
        header, delimiter = self._delimited
        first = self._data.rfind(b"\n", 0, offset) + 1
        number = _QUOTED_FIELD.sub(b"", self._data[first:offset]).count(delimiter)
        return header[number] if first and number < len(header) else b""

    @cached_property
    def _inserts(self) -> list[tuple[int, list[bytes]]]:
        """Where the rows of SQL's insertions begin, with the names of their columns."""
        if self._suffix not in _SQL:
            return []
        return [(m.end(), [n.strip(b' \t\r\n`"[]') for n in m[1].split(b",")]) for m in _INSERT.finditer(self._data)]

    def _in_insert(self, offset: int) -> bytes:
        index = bisect.bisect_right(self._inserts, offset, key=lambda insert: insert[0]) - 1
        if index < 0:
            return b""
        start, names = self._inserts[index]
        before = self._data[max(start, offset - _MAX_ROW_BYTES) : offset]
        row = before.rpartition(b"\n")[2] if b"\n" in before else before
        row = row if row.lstrip().startswith(b"(") else before
        plain = _SQL_STRING.sub(b"", row)
        number = plain.rpartition(b"(")[2].count(b",")
        return names[number] if b"(" in plain and b";" not in plain and number < len(names) else b""

    @cached_property
    def _markdown(self) -> list[tuple[int, bytes]]:
        """Where the rows of Markdown's tables begin, with the line of their header."""
        if self._suffix not in _MARKDOWN:
            return []
        return [(match.end(), match[1]) for match in _DASHES.finditer(b"\n" + self._data)]

    def _in_markdown(self, offset: int) -> bytes:
        index = bisect.bisect_right(self._markdown, offset + 1, key=lambda table: table[0]) - 1
        if index < 0:
            return b""
        start, header = self._markdown[index]
        rows = self._data[max(start - 1, offset - _MAX_ROW_BYTES) : offset]
        if b"\n\n" in rows:
            return b""
        names = header.split(b"|")
        number = rows.rpartition(b"\n")[2].count(b"|")
        return names[number].strip() if number < len(names) else b""
