"""The work of `codemill pack`: whole repositories of a unit in, training rows out.

The input is a corpus grouped by repository (`jobs.grouping`): a unit is a run of whole repositories, so the graph of
each can be built, and what a unit gives depends on its repositories alone. A row of the source counts as kept when
all of its text stands in packed rows. A file without a repository is a repository of its own.

Memory: the unit's text, its facts, and the packed rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from model.tokenizer import Tokenizer
from transforms.columns import ColumnOverrides, RejectedRow, RowLimits, resolve_columns, table_to_rows
from transforms.generation import rejected_record
from transforms.packing.documents import PLAIN, DocumentRecipe, SourceFile
from transforms.packing.facts import read_facts
from transforms.packing.order import OrderedRepository, order_repository
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex
from transforms.packing.resolution.index import is_named
from transforms.packing.rows import ROW_SCHEMA, RowPacker
from transforms.rows import REJECTED_SCHEMA, Rejection, Row, SourceRef
from transforms.work import Unit, UnitResult

# Columns that tell where a grouped row comes from; without them a row comes from where it was read.
SOURCE_COLUMNS: Final = ("source_uri", "source_row_group", "source_row")

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
    """

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    top_lines: int | None
    columns: ColumnOverrides
    limits: RowLimits

    def __post_init__(self) -> None:
        self._opened: Tokenizer | None = None
        self._tokens = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """That of packed rows, whatever the input's columns are."""
        return ROW_SCHEMA

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Content, path, repository and language, and where the row comes from."""
        found = resolve_columns(input_schema, self.columns)
        names = [found.content, found.path, found.repo_name, found.language, *SOURCE_COLUMNS]
        return [name for name in input_schema.names if name in names]

    def open(self) -> None:
        """Reads the vocabulary. Raises ConfigError where it can't be."""
        self._opened = Tokenizer.load(self.tokenizer)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Packs the repositories of one unit, in the order of their names."""
        assert self._opened is not None, "open() comes first"
        packer = RowPacker(self._opened, self.recipe, self.context_length)
        rejected: list[dict[str, Any]] = []
        repositories: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for index, item in enumerate(
            table_to_rows(table, unit, rows, resolve_columns(table.schema, self.columns), self.limits)
        ):
            source = _source_of(table, index) or item.source
            if isinstance(item, RejectedRow):
                rejected.append(replace(item, source=source).record())
            elif not item.path:
                rejected.append(rejected_record("row", replace(item, source=source), _NO_PATH))
            else:
                repositories[item.repo_name, 0 if item.repo_name else index].append(replace(item, source=source))
        batches: list[pa.RecordBatch] = []
        packed: list[dict[str, Any]] = []
        for _, files in sorted(repositories.items()):
            ordered, sources = self._order(files)
            for row in packer.pack(sources, ordered.imports):
                packed.append(row)
                if len(packed) == _ROWS_PER_BATCH:
                    batches.append(pa.RecordBatch.from_pylist(packed, ROW_SCHEMA))
                    packed.clear()
        packed += packer.finish()
        batches.append(pa.RecordBatch.from_pylist(packed, ROW_SCHEMA))
        kept = pa.Table.from_batches(batches, ROW_SCHEMA)
        self._tokens += sum(kept.column("num_tokens").to_pylist())
        num_kept = sum(map(len, repositories.values()))
        return UnitResult(
            kept, pa.Table.from_pylist(rejected, REJECTED_SCHEMA), _counts(kept, rejected, num_kept, len(repositories))
        )

    def _order(self, files: Sequence[Row]) -> tuple[OrderedRepository, list[SourceFile]]:
        """A repository's files in packing order. Files of one path stand together, by content hash."""
        by_path: dict[str, list[Row]] = defaultdict(list)
        for file in sorted(files, key=lambda file: (file.path, file.content_sha256)):
            by_path[file.path].append(file)
        first = {path: same[0] for path, same in by_path.items()}
        facts = (read_facts(path, row.content, row.language, top_lines=self.top_lines) for path, row in first.items())
        configs = {path: row.content for path, row in first.items() if any(is_named(path, n) for n in CONFIG_NAMES)}
        ordered = order_repository(RepositoryIndex(facts, files[0].repo_name, configs))
        sources = [
            SourceFile(row.repo_name, row.path, row.language, row.content, row.content_sha256)
            for path in ordered.paths
            for row in by_path[path]
        ]
        return ordered, sources

    def heartbeat(self) -> dict[str, float]:
        """Tokens packed so far."""
        return {"tokens_out": float(self._tokens)}

    def close(self) -> None:
        """Nothing is held."""


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
