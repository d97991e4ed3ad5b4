"""Packs a unit: its files in packing order in, packed rows out.

    read, filter -> FIM, rows

Memory: the unit's texts, the documents of the files that wait, and the unit's packed rows.
"""

from __future__ import annotations

import array
import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import pyarrow as pa

from model.tokenizer import Tokenizer
from transforms.filters.columns import Filtered, Names, filter_columns, filter_names
from transforms.filters.content import filter_input
from transforms.packing.documents import DocumentRecipe, SourceFile
from transforms.packing.order import IMPORTS, POSITION
from transforms.packing.rows import ROW_SCHEMA, RowPacker
from transforms.row_pool import beat
from transforms.rows.cells import texts_of
from transforms.rows.columns import ColumnOverrides, RowLimits, resolve_columns, table_to_rows
from transforms.rows.rejections import RejectedRow, Rejection, rejected_record
from transforms.rows.row import Row
from transforms.rows.sources import SOURCE_COLUMNS, sources_of
from transforms.scanning import ContentFilter
from transforms.work import Unit

_ROWS_PER_BATCH: Final = 64
_ROWS_READ: Final = 256


@dataclass(frozen=True)
class Packed:
    """The outcome for a unit's rows.

    Args:
        rows: The packed rows.
        files: Number of files packed.
        repositories: Number of repositories that begin in the unit.
        redacted: Number of files that the filter changed.
        rejected: Records of `REJECTED_SCHEMA`.
        counts: Findings of the filter, counted by `found/TYPE/ACTION`, and `transforms.packing.middles`.
    """

    rows: pa.Table
    files: int
    repositories: int
    redacted: int
    rejected: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]


class _Placed(NamedTuple):
    """A file to pack, its position in its repository, and the positions of the files that it imports."""

    file: SourceFile
    position: int
    imports: Sequence[int]


@dataclass(frozen=True)
class PackStages:
    """What is opened once in a process: the vocabulary, and the filter of inputs."""

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    context_share: float
    columns: ColumnOverrides
    limits: RowLimits
    content_filter: ContentFilter | None = None

    def open(self) -> None:
        """Reads the vocabulary and creates the scanner."""
        load_tokenizer(self.tokenizer)
        if self.content_filter is not None:
            self.content_filter.open()

    def pack(self, unit: Unit, table: pa.Table, row_numbers: Sequence[int]) -> Packed:
        """Packs files in their order, one repository after another.

        Args:
            unit: The unit.
            table: Its rows, grouped; those of a sample aren't, so they are packed in the order that they have.
            row_numbers: For each row of the table, its number in the unit.
        """
        table = _with_places(table)
        rejected: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        names = texts_of(table, resolve_columns(table.schema, self.columns).repo_name)
        repositories: dict[tuple[str, int], list[_Placed]] = defaultdict(list)
        for index, (item, position, imports) in enumerate(self._read(unit, table, row_numbers, counts)):
            found = self._take_in(item, counts)
            if isinstance(found, SourceFile):
                # A file without a repository forms its own.
                key = names[index], 0 if names[index] else index + 1
                repositories[key].append(_Placed(found, position, imports))
            else:
                rejected.append(found)
        rows = pa.concat_tables([ROW_SCHEMA.empty_table(), *_batches(self._rows(repositories, counts))])
        files = [placed.file for members in repositories.values() for placed in members]
        redacted = sum(file.redacted_sha256 != file.content_sha256 for file in files)
        return Packed(
            rows, len(files), self._begun(table, names, repositories), redacted, tuple(rejected), dict(counts)
        )

    def _begun(self, table: pa.Table, names: Sequence[str], repositories: Iterable[tuple[str, int]]) -> int:
        """How many repositories have packed files here and none in an earlier unit; files without one count as one."""
        first: dict[str, int] = {}
        for name, position in zip(names, table.column(POSITION).to_pylist(), strict=True):
            first.setdefault(name, position)
        return sum(first[name] == 0 for name in {name for name, _ in repositories})

    def _read(
        self, unit: Unit, table: pa.Table, row_numbers: Sequence[int], counts: Counter[str]
    ) -> Iterator[tuple[Row | RejectedRow, int, Sequence[int]]]:
        """The unit's rows with their places, a few hundred in memory at a time."""
        column_map = resolve_columns(table.schema, self.columns)
        for first in range(0, table.num_rows, _ROWS_READ):
            part = table.slice(first, _ROWS_READ)
            filtered = filter_columns(
                self.content_filter, part, column_map, self._filter_names, unscanned=SOURCE_COLUMNS
            )
            counts.update(filtered.counts)
            numbers = row_numbers[first : first + part.num_rows]
            items = table_to_rows(filtered.table, unit, numbers, column_map, self.limits)
            places = zip(part.column(POSITION).to_pylist(), part.column(IMPORTS).to_pylist(), strict=True)
            for item, source, (position, imports) in zip(items, sources_of(part), places, strict=True):
                yield replace(item, source=source or item.source), position, imports

    def _filter_names(self, asked: Sequence[Names]) -> list[Filtered]:
        assert self.content_filter is not None
        return [filter_names(self.content_filter, names) for names in asked]

    def _take_in(self, item: Row | RejectedRow, counts: Counter[str]) -> SourceFile | dict[str, Any]:
        """Filters a row; returns a rejected record for a row that isn't packed."""
        beat()
        if isinstance(item, RejectedRow):
            return item.record()
        if not item.path:
            return rejected_record(item, _NO_PATH)
        filtered = filter_input(self.content_filter, item)
        counts.update(filtered.counts)
        if filtered.rejection is not None:
            return rejected_record(item, filtered.rejection)
        row = filtered.row
        return SourceFile(row.repo_name, row.path, row.language, row.content, row.content_sha256, row.redacted_sha256)

    def _rows(
        self, repositories: Mapping[tuple[str, int], list[_Placed]], counts: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        packer = RowPacker(
            load_tokenizer(self.tokenizer), self.recipe, self.context_length, context_share=self.context_share
        )
        for members in repositories.values():
            yield from packer.pack(_each(members), _imports(members))
        yield from packer.finish()
        counts.update(packer.counts)


def _each(members: Iterable[_Placed]) -> Iterator[SourceFile]:
    for placed in members:
        beat()
        yield placed.file


def _imports(members: Sequence[_Placed]) -> dict[str, frozenset[str]]:
    """For each path the paths that it imports, by the paths after redaction."""
    paths = {placed.position: placed.file.path for placed in members}
    found: dict[str, set[str]] = defaultdict(set)
    for placed in members:
        found[placed.file.path].update(paths[position] for position in placed.imports if position in paths)
    return {path: frozenset(imported) for path, imported in found.items()}


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    """Packed rows as tables, a few at a time: Python lists of numbers take ten times the memory."""
    source = iter(rows)
    while waiting := list(itertools.islice(source, _ROWS_PER_BATCH)):
        columns = [_column([row[field.name] for row in waiting], field.type) for field in ROW_SCHEMA]
        yield pa.Table.from_arrays(columns, schema=ROW_SCHEMA)


def _column(cells: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A column of Python values; lists of numbers are `array.array`s."""
    code = _NUMBERS.get(kind.value_type) if pa.types.is_list(kind) else None
    if code is None:
        return pa.array(cells, kind)
    values = array.array(code)
    for cell in cells:
        values.extend(cell)
    ends = itertools.accumulate((len(cell) for cell in cells), initial=0)
    flat = pa.Array.from_buffers(kind.value_type, len(values), [None, pa.py_buffer(values)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat).cast(kind)


_NUMBERS: Final = {pa.int32(): "i", pa.int8(): "b"}


@functools.lru_cache(maxsize=2)
def load_tokenizer(path: str) -> Tokenizer:
    """`Tokenizer.load`, cached per process."""
    return Tokenizer.load(path)


_NO_PATH: Final = Rejection("read", "no_path", "a file without a path can't be placed in its repository")


def _with_places(table: pa.Table) -> pa.Table:
    """The table with the columns of a grouped one: each row in its place, none with known imports."""
    if POSITION in table.column_names:
        return table
    table = table.append_column(POSITION, pa.array(range(table.num_rows), pa.int64()))
    return table.append_column(IMPORTS, pa.array([[]] * table.num_rows, pa.list_(pa.int64())))
