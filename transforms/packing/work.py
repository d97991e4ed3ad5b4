"""The work of `codemill pack`: whole repositories of a unit in, training rows out.

The input is a corpus grouped by repository (`jobs.grouping`): a unit is a run of whole repositories, so the graph of
each can be built, and what a unit gives depends on its repositories alone. A row of the source counts as kept when
all of its text stands in packed rows. A file without a repository is a repository of its own.

Memory: the unit's text, its facts, and the packed rows.
"""

from __future__ import annotations

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from model.tokenizer import Tokenizer
from transforms.columns import ColumnOverrides, RejectedRow, RowLimits, resolve_columns, table_to_rows
from transforms.generation import rejected_record
from transforms.packing.documents import PLAIN, DocumentRecipe, SourceFile
from transforms.packing.facts import read_facts
from transforms.packing.order import OrderedRepository, order_repository
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex
from transforms.packing.rows import ROW_SCHEMA, RowPacker
from transforms.rowpool import CRASHED, RowPool
from transforms.rows import REJECTED_SCHEMA, Rejection, SourceRef
from transforms.work import Unit, UnitResult

# Columns that tell where a grouped row comes from; without them a row comes from where it was read.
SOURCE_COLUMNS: Final = ("source_uri", "source_row_group", "source_row")

# No engine runs beside them, so every core may pack.
MAX_PROCESSES: Final = 16

_ROWS_PER_BATCH: Final = 64


@dataclass
class PackWork:
    """See `transforms.work.Work`.

    Args:
        tokenizer: Where the vocabulary lies.
        recipe: How documents are made.
        context_length: The most tokens of a row.
        top_lines: Imports below this line don't count; None counts all.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        row_workers: Processes that pack; -1 chooses by the machine, 0 packs in this one.
    """

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    top_lines: int | None
    columns: ColumnOverrides
    limits: RowLimits
    row_workers: int = -1

    def __post_init__(self) -> None:
        self._pool: RowPool | None = None
        self._tokens = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """That of packed rows, whatever the input's columns are."""
        return ROW_SCHEMA

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Content, path, repository and language, and where the row comes from."""
        found = resolve_columns(input_schema, self.columns)
        names = [found.content, found.path, found.repo_name, found.language, *SOURCE_COLUMNS]
        return [name for name in input_schema.names if name in names]

    def open(self) -> None:
        """Starts the processes that pack. Raises ConfigError where the vocabulary can't be read."""
        _tokenizer(self.tokenizer)
        stages = PackStages(self.tokenizer, self.recipe, self.context_length, self.top_lines)
        self._pool = RowPool(
            stages, min(MAX_PROCESSES, os.cpu_count() or 1) if self.row_workers < 0 else self.row_workers
        )
        self._pool.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Packs the repositories of one unit, in the order of their names."""
        assert self._pool is not None, "open() comes first"
        rejected: list[dict[str, Any]] = []
        files: list[SourceFile] = []
        column_map = resolve_columns(table.schema, self.columns)
        for index, item in enumerate(table_to_rows(table, unit, rows, column_map, self.limits)):
            item = replace(item, source=_source_of(table, index) or item.source)
            if isinstance(item, RejectedRow):
                rejected.append(item.record())
            elif not item.path:
                rejected.append(rejected_record("row", item, _NO_PATH))
            else:
                files.append(SourceFile(item.repo_name, item.path, item.language, item.content, item.content_sha256))
        (kept,) = self._pool.apply("pack", [tuple(files)])()
        if kept is CRASHED:
            raise RuntimeError(f"unit {unit.unit_id}: packing killed its process")  # narrowed down to the row
        self._tokens += pc.sum(kept.column("num_tokens")).as_py() or 0
        return UnitResult(
            kept,
            pa.Table.from_pylist(rejected, REJECTED_SCHEMA),
            _counts(kept, rejected, len(files), len({file.repo_name for file in files})),
        )

    def heartbeat(self) -> dict[str, float]:
        """Tokens packed so far."""
        return {"tokens_out": float(self._tokens)}

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.close()


@dataclass(frozen=True)
class PackStages:
    """The part of the work that runs in processes of its own: files in, a table of packed rows out."""

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    top_lines: int | None

    def open(self) -> None:
        """Reads the vocabulary."""
        _tokenizer(self.tokenizer)

    def pack(self, files: Sequence[SourceFile]) -> pa.Table:
        """Packs whole repositories, one after the other in the order of their names."""
        packer = RowPacker(_tokenizer(self.tokenizer), self.recipe, self.context_length)
        repositories: dict[tuple[str, int], list[SourceFile]] = defaultdict(list)
        for index, file in enumerate(files):
            repositories[file.repo_name, 0 if file.repo_name else index].append(file)
        batches: list[pa.RecordBatch] = []
        packed: list[dict[str, Any]] = []
        for _, members in sorted(repositories.items()):
            ordered, sources = self._order(members)
            for row in packer.pack(sources, ordered.imports):
                packed.append(row)
                if len(packed) == _ROWS_PER_BATCH:
                    batches.append(pa.RecordBatch.from_pylist(packed, ROW_SCHEMA))
                    packed.clear()
        packed += packer.finish()
        batches.append(pa.RecordBatch.from_pylist(packed, ROW_SCHEMA))
        return pa.Table.from_batches(batches, ROW_SCHEMA)

    def _order(self, files: Sequence[SourceFile]) -> tuple[OrderedRepository, list[SourceFile]]:
        """A repository's files in packing order. Files of one path stand together, by content hash."""
        by_path: dict[str, list[SourceFile]] = defaultdict(list)
        for file in sorted(files, key=lambda file: (file.path, file.content_sha256)):
            by_path[file.path].append(file)
        first = {path: same[0] for path, same in by_path.items()}
        facts = (
            read_facts(path, file.content, file.language, top_lines=self.top_lines) for path, file in first.items()
        )
        configs = {path: file.content for path, file in first.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES}
        ordered = order_repository(RepositoryIndex(facts, files[0].repo_name, configs))
        return ordered, [file for path in ordered.paths for file in by_path[path]]


@functools.lru_cache(maxsize=2)
def _tokenizer(path: str) -> Tokenizer:
    return Tokenizer.load(path)


_NO_PATH: Final = Rejection("read", "no_path", "a file without a path has no place in its repository")


def _source_of(table: pa.Table, index: int) -> SourceRef | None:
    if not set(SOURCE_COLUMNS) <= set(table.column_names):
        return None
    return SourceRef(*(table.column(name)[index].as_py() for name in SOURCE_COLUMNS))


def _counts(
    kept: pa.Table, rejected: Iterable[Mapping[str, Any]], num_kept: int, num_repositories: int
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for parts in kept.column("parts").to_pylist():
        for part in parts:
            counts["documents"] += 1
            counts[f"documents_{part['fim_mode']}"] += 1
            counts["documents_fim"] += part["fim_mode"] != PLAIN
    rejected = list(rejected)
    counts.update(f"rejected_row/{record['stage']}/{record['reason']}" for record in rejected)
    counts["tokens_out"] = sum(kept.column("num_tokens").to_pylist())
    counts["rows_packed"] = kept.num_rows
    counts["repositories"] = num_repositories
    counts["rows_kept"], counts["rows_rejected"] = num_kept, len(rejected)
    counts["rows_in"] = num_kept + len(rejected)
    for name in ("targets", "targets_accepted", "targets_rejected"):
        counts[name] = 0
    return counts
