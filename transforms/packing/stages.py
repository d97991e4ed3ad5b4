"""The part of `codemill pack` that runs in separate processes: a unit's table in, packed rows out, both as files.

    read, filter, spool texts -> facts, graph, order of each repository -> FIM, rows

Memory: the facts of one repository, `LOOKAHEAD` documents and a batch of rows. Texts and packed rows are on local disk.
"""

from __future__ import annotations

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import pyarrow as pa

from model.tokenizer import Tokenizer
from transforms.filters.columns import Filtered, Names, filter_columns, filter_names
from transforms.filters.content import filter_input
from transforms.packing.documents import DocumentRecipe, SourceFile
from transforms.packing.facts import FileFacts, read_facts
from transforms.packing.order import OrderedRepository, order_repository
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex
from transforms.packing.rows import ROW_SCHEMA, RowPacker
from transforms.row_pool import beat
from transforms.rows.columns import ColumnOverrides, RowLimits, resolve_columns, table_to_rows
from transforms.rows.rejections import RejectedRow, Rejection, rejected_record
from transforms.rows.row import Row, SourceRef
from transforms.scanning import ContentFilter
from transforms.spool import Extent, TextSpool
from transforms.work import Unit

# Columns with the origin of a grouped row; without them the origin is where the row was read.
SOURCE_COLUMNS: Final = ("source_uri", "source_row_group", "source_row")

_ROWS_PER_BATCH: Final = 64


@dataclass(frozen=True)
class PackCall:
    """Input of the packing process.

    Args:
        folder: A folder for the unit alone. It contains `source`, the unit's table, and receives `result`, the packed
            rows, both as Arrow IPC files.
        unit: The unit.
        rows: For each row of the table, its index among the unit's rows.
    """

    folder: str
    unit: Unit
    rows: tuple[int, ...]

    @property
    def source(self) -> str:
        """Path of the unit's table."""
        return os.path.join(self.folder, "source.arrow")

    @property
    def result(self) -> str:
        """Path of the packed rows."""
        return os.path.join(self.folder, "rows.arrow")


@dataclass(frozen=True)
class Packed:
    """The outcome for a unit's rows, in addition to the packed rows.

    Args:
        files: Number of files packed.
        repositories: Number of repositories they come from.
        redacted: Number of files that the filter changed.
        rejected: Records of `REJECTED_SCHEMA`.
        counts: Findings of the filter, counted by `found/TYPE/ACTION`.
    """

    files: int
    repositories: int
    redacted: int
    rejected: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]


class _Entry(NamedTuple):
    """A file that waits to be packed; its text is in the spool."""

    repo_name: str
    path: str
    language: str
    content_sha256: str
    redacted_sha256: str
    text: Extent


@dataclass(frozen=True)
class PackStages:
    """The part of the work that runs in separate processes: a table of files in, a table of packed rows out."""

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    top_lines: int | None
    columns: ColumnOverrides
    limits: RowLimits
    content_filter: ContentFilter | None = None

    def open(self) -> None:
        """Reads the vocabulary and creates the scanner."""
        load_tokenizer(self.tokenizer)
        if self.content_filter is not None:
            self.content_filter.open()

    def pack(self, call: PackCall) -> Packed:
        """Packs complete repositories, one after another in the order of their names."""
        spool = TextSpool(call.folder)
        rejected: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        repositories: dict[tuple[str, int], list[_Entry]] = defaultdict(list)
        count = 0
        for item in self._read(call, counts):
            entry = self._take_in(item, spool, counts)
            if isinstance(entry, _Entry):
                # A file without a repository forms its own.
                repositories[entry.repo_name, 0 if entry.repo_name else count].append(entry)
                count += 1
            else:
                rejected.append(entry)
        spool.ready()
        with pa.OSFile(call.result, "wb") as sink, pa.ipc.new_file(sink, ROW_SCHEMA) as writer:
            for batch in _batches(self._rows(repositories, spool)):
                writer.write_batch(batch)
        spool.close()
        entries = [entry for members in repositories.values() for entry in members]
        names = {entry.repo_name for entry in entries}
        redacted = sum(entry.redacted_sha256 != entry.content_sha256 for entry in entries)
        return Packed(count, len(names), redacted, tuple(rejected), dict(counts))

    def _read(self, call: PackCall, counts: Counter[str]) -> Iterator[Row | RejectedRow]:
        """The unit's rows, a few hundred in memory at a time."""
        with pa.memory_map(call.source) as source:
            reader = pa.ipc.open_file(source)
            column_map = resolve_columns(reader.schema, self.columns)
            first = 0
            for number in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(number)])
                filtered = filter_columns(
                    self.content_filter, table, column_map, self._filter_names, unscanned=SOURCE_COLUMNS
                )
                counts.update(filtered.counts)
                table = filtered.table
                rows = call.rows[first : first + table.num_rows]
                first += table.num_rows
                for index, item in enumerate(table_to_rows(table, call.unit, rows, column_map, self.limits)):
                    yield replace(item, source=_source_of(table, index) or item.source)

    def _filter_names(self, asked: Sequence[Names]) -> list[Filtered]:
        assert self.content_filter is not None
        return [filter_names(self.content_filter, names) for names in asked]

    def _take_in(self, item: Row | RejectedRow, spool: TextSpool, counts: Counter[str]) -> _Entry | dict[str, Any]:
        """Filters a row and spools its text; returns a rejected record for a row that isn't packed."""
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
        text = spool.add(row.content)
        return _Entry(row.repo_name, row.path, row.language, row.content_sha256, row.redacted_sha256, text)

    def _rows(self, repositories: Mapping[tuple[str, int], list[_Entry]], spool: TextSpool) -> Iterator[dict[str, Any]]:
        packer = RowPacker(load_tokenizer(self.tokenizer), self.recipe, self.context_length)
        for _, members in sorted(repositories.items(), key=lambda item: item[0]):
            ordered, entries = self._order(members, spool)
            yield from packer.pack((_source_file(entry, spool) for entry in entries), ordered.imports)
        yield from packer.finish()

    def _order(self, entries: Sequence[_Entry], spool: TextSpool) -> tuple[OrderedRepository, list[_Entry]]:
        """A repository's files in packing order. Files with the same path are adjacent, by content hash."""
        by_path: dict[str, list[_Entry]] = defaultdict(list)
        for entry in sorted(entries, key=lambda entry: (entry.path, entry.content_sha256)):
            by_path[entry.path].append(entry)
        first = {path: same[0] for path, same in by_path.items()}
        facts = (self._facts(path, entry, spool) for path, entry in first.items())
        configs = {
            path: spool.read(entry.text) for path, entry in first.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES
        }
        ordered = order_repository(RepositoryIndex(facts, entries[0].repo_name, configs))
        return ordered, [entry for path in ordered.paths for entry in by_path[path]]

    def _facts(self, path: str, entry: _Entry, spool: TextSpool) -> FileFacts:
        beat()
        return read_facts(path, spool.read(entry.text), entry.language, top_lines=self.top_lines)


def _source_file(entry: _Entry, spool: TextSpool) -> SourceFile:
    beat()
    text = spool.read(entry.text)
    return SourceFile(entry.repo_name, entry.path, entry.language, text, entry.content_sha256, entry.redacted_sha256)


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Packed rows as record batches, a few at a time: Python lists of numbers take ten times the memory."""
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _ROWS_PER_BATCH:
            yield pa.RecordBatch.from_pylist(waiting, ROW_SCHEMA)
            waiting.clear()
    yield pa.RecordBatch.from_pylist(waiting, ROW_SCHEMA)


@functools.lru_cache(maxsize=2)
def load_tokenizer(path: str) -> Tokenizer:
    """`Tokenizer.load`, cached per process."""
    return Tokenizer.load(path)


_NO_PATH: Final = Rejection("read", "no_path", "a file without a path can't be placed in its repository")


def _source_of(table: pa.Table, index: int) -> SourceRef | None:
    if not set(SOURCE_COLUMNS) <= set(table.column_names):
        return None
    return SourceRef(*(table.column(name)[index].as_py() for name in SOURCE_COLUMNS))
