"""The work of `codemill filter`: each row through licence, quality, contamination and content, in that order.

    row -> licences -> quality -> contamination -> secrets, personal data, safety -> kept (redacted) or rejected
    (stage, reason)

Cheap stages come first, but a row's findings are always those of its whole text. The stages are pure and picklable
and run in the row pool's
processes; a row whose stage crashes costs that row alone.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from transforms.filters.contamination import PUBLIC_INDEX, BenchmarkIndex, build_index, load_index, merge_indexes
from transforms.filters.licenses import LicencePolicy, file_licences
from transforms.filters.quality import Limits, fault, measure
from transforms.languages.files import is_generated, is_vendor
from transforms.row_pool import CRASHED, RowPool, default_workers
from transforms.rows.columns import (
    CANDIDATES,
    ColumnOverrides,
    RejectedRow,
    RowLimits,
    output_fields,
    resolve_columns,
    table_to_rows,
)
from transforms.rows.row import REJECTED_SCHEMA, Rejection, Row, content_sha256
from transforms.scanning.content import ContentFilter
from transforms.scanning.syntax import parses
from transforms.work import Unit, UnitResult

ROWS_PER_CHUNK = 32
FINDING_TYPE = pa.struct(
    [
        pa.field("type", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("byte_start", pa.int64(), nullable=False),
        pa.field("byte_end", pa.int64(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("validated", pa.bool_(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("placeholder", pa.string(), nullable=False),
        pa.field("value_hash", pa.string(), nullable=False),
    ]
)
CONTAMINATION_TYPE = pa.struct(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("num_ngrams", pa.int32(), nullable=False),
        pa.field("first_token", pa.int64(), nullable=False),
    ]
)
CHECKS_TYPE = pa.struct(
    [
        pa.field("longest_line", pa.int64(), nullable=False),
        pa.field("mean_line", pa.float32(), nullable=False),
        pa.field("alphanumeric_share", pa.float32(), nullable=False),
        pa.field("encoded_share", pa.float32(), nullable=False),
        pa.field("repeated_line_share", pa.float32(), nullable=False),
        pa.field("comment_line_share", pa.float32(), nullable=False),
    ]
)
FILTER_LINEAGE_TYPE = pa.struct(
    [
        pa.field("source_uri", pa.large_string(), nullable=False),
        pa.field("source_row_group", pa.int32(), nullable=False),
        pa.field("source_row", pa.int64(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("redacted_sha256", pa.string(), nullable=False),
        pa.field("filter_version", pa.string(), nullable=False),
    ]
)
RESULT_SCHEMA = pa.schema(
    [
        pa.field("findings", pa.list_(pa.field("item", FINDING_TYPE, nullable=False)), nullable=False),
        pa.field("contamination", pa.list_(pa.field("item", CONTAMINATION_TYPE, nullable=False)), nullable=False),
        pa.field("licences", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        pa.field("checks", CHECKS_TYPE, nullable=False),
        pa.field("lineage", FILTER_LINEAGE_TYPE, nullable=False),
    ]
)


@dataclass(frozen=True)
class FilteredRow:
    """What became of a row: its columns, or why it was rejected; `found` counts findings by `type/action`."""

    text: str
    columns: Mapping[str, Any]
    rejection: Rejection | None = None
    found: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FilterStages:
    """All stages over one row; each may be None, and then lets everything through.

    Args:
        content_filter: Secrets, personal data, safety.
        limits: Quality thresholds.
        licences: What licences and repositories are allowed.
        licence_column: The input's licence column; None finds it by its usual names.
        benchmark_folders: The user's own benchmarks beside the public ones; `decontaminate` switches the stage on.
        min_ngrams: How many n-grams of one benchmark item reject a row.
        require_syntax: Whether files of known languages must parse.
        drop_generated, drop_vendored: Whether such files are left out.
    """

    content_filter: ContentFilter | None = None
    limits: Limits | None = None
    licences: LicencePolicy | None = None
    licence_column: str | None = None
    decontaminate: bool = True
    benchmark_folders: tuple[str, ...] = ()
    min_ngrams: int = 3
    require_syntax: bool = False
    drop_generated: bool = True
    drop_vendored: bool = False

    def open(self) -> None:
        """Makes the scanner and reads the benchmark index. Raises ConfigError."""
        if self.content_filter is not None:
            self.content_filter.open()
        if self.decontaminate:
            _benchmarks(self.benchmark_folders)

    def filter(self, row: Row) -> FilteredRow:
        """Runs the stages in order."""
        names = (self.licence_column,) if self.licence_column else CANDIDATES["license"]
        repository = next((_as_list(row.columns[name]) for name in names if name in row.columns), [])
        licences = file_licences(row.content, repository)
        columns: dict[str, Any] = {"licences": list(licences), "findings": [], "contamination": []}
        signals = measure(row.content, row.language)
        columns["checks"] = {name: getattr(signals, name) for name in CHECKS_TYPE.names}
        rejection = self._licence(licences, row) or self._quality(signals, row)
        if rejection is None:
            rejection = self._contamination(row, columns)
        if rejection is not None or self.content_filter is None:
            return FilteredRow(row.content, columns, rejection)
        outcome = self.content_filter.filter_input(row.content, row.language, row.path)
        found = Counter(f"{finding.type}/{finding.action}" for finding in outcome.findings)
        columns["findings"] = [{name: getattr(f, name) for name in FINDING_TYPE.names} for f in outcome.findings]
        if outcome.dropped is not None:
            rules = ", ".join(sorted({f.rule for f in outcome.findings if f.action == "drop"}))
            rejection = Rejection("content", outcome.dropped, rules and f"by rule {rules}")
        return FilteredRow(outcome.text, columns, rejection, found)

    def _licence(self, licences: Sequence[str], row: Row) -> Rejection | None:
        reason = self.licences.reason(licences, row.repo_name) if self.licences is not None else None
        return Rejection("licence", reason, ", ".join(licences) or "no licence found") if reason else None

    def _quality(self, signals: Any, row: Row) -> Rejection | None:
        if self.drop_generated and is_generated(row.path, row.content):
            return Rejection("quality", "generated_file", "its name or head says so")
        if self.drop_vendored and is_vendor(row.path):
            return Rejection("quality", "vendored_file", "by its path")
        reason = fault(signals, self.limits, row.language) if self.limits is not None else None
        if reason is None and self.require_syntax and not parses(row.content, row.language):
            reason = "does_not_parse"
        return Rejection("quality", reason, f"{signals.num_lines} lines, {signals.num_bytes} bytes") if reason else None

    def _contamination(self, row: Row, columns: dict[str, Any]) -> Rejection | None:
        if not self.decontaminate:
            return None
        found = _benchmarks(self.benchmark_folders).find(row.content)
        columns["contamination"] = [{name: getattr(c, name) for name in CONTAMINATION_TYPE.names} for c in found[:20]]
        worst = next((c for c in found if c.num_ngrams >= self.min_ngrams), None)
        if worst is None:
            return None
        detail = f"{worst.benchmark} {worst.item}: {worst.num_ngrams} n-grams from token {worst.first_token}"
        return Rejection("contamination", "holds_a_benchmark_item", detail)


@functools.lru_cache(maxsize=4)
def _benchmarks(folders: tuple[str, ...]) -> BenchmarkIndex:
    from pathlib import Path

    from transforms.filters.contamination_index import benchmark_texts

    own = [build_index(list(benchmark_texts(Path(folder)))) for folder in folders]
    return merge_indexes(load_index(PUBLIC_INDEX), *own)


def _as_list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]


@dataclass
class FilterWork:
    """Filters the rows of units; see `transforms.work.Work` for the contract.

    Args:
        stages: What is done to a row.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        row_workers: Processes beside this one; -1 chooses by the machine, 0 runs inline.
    """

    stages: FilterStages
    columns: ColumnOverrides
    limits: RowLimits
    row_workers: int = 0

    def __post_init__(self) -> None:
        self._pool: RowPool | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """Input columns (content as redacted), then the result columns, `checks` and `lineage`."""
        kept = output_fields(input_schema, resolve_columns(input_schema, self.columns), RESULT_SCHEMA.names)
        return pa.schema([*kept, *RESULT_SCHEMA])

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All of them: the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Makes the scanner here or in the pool's processes. Raises ConfigError."""
        pool = RowPool(self.stages, default_workers() if self.row_workers < 0 else self.row_workers)
        pool.open()
        self._pool = pool

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Filters the rows of one unit."""
        assert self._pool is not None, "open() comes first"
        column_map = resolve_columns(table.schema, self.columns)
        items = table_to_rows(table, unit, rows, column_map, self.limits)
        readable = [item for item in items if isinstance(item, Row)]
        chunks = [readable[at : at + ROWS_PER_CHUNK] for at in range(0, len(readable), ROWS_PER_CHUNK)]
        calls = [self._pool.apply("filter", chunk) for chunk in chunks]
        results = iter([result for call in calls for result in call()])
        counts: Counter[str] = Counter(rows_in=len(items), targets=0, targets_accepted=0, targets_rejected=0)
        kept: list[tuple[int, Row, FilteredRow]] = []
        rejected: list[dict[str, Any]] = []
        for index, item in enumerate(items):
            if isinstance(item, RejectedRow):
                rejected.append(item.record())
                continue
            result = next(results)
            if result is CRASHED:
                rejected.append(
                    rejected_row(item, Rejection("content", "crashed_worker", "the row killed its process"))
                )
                continue
            counts.update({f"found/{name}": count for name, count in result.found.items()})
            if result.rejection is not None:
                rejected.append(rejected_row(item, result.rejection))
                counts["bytes_rejected"] += len(item.content.encode())
                continue
            kept.append((index, item, result))
            counts["bytes_kept"] += len(result.text.encode())
            counts["rows_redacted"] += result.text != item.content
        counts["rows_kept"], counts["rows_rejected"] = len(kept), len(rejected)
        counts.update(f"rejected_row/{r['stage']}/{r['reason']}" for r in rejected)
        table_kept = self._kept_table(table, column_map.content, kept)
        return UnitResult(table_kept, pa.Table.from_pylist(rejected, REJECTED_SCHEMA), counts)

    def heartbeat(self) -> dict[str, float]:
        """Nothing beyond what commits tell."""
        return {}

    def close(self) -> None:
        """Ends the pool."""
        if self._pool is not None:
            self._pool.close()

    def _kept_table(self, table: pa.Table, content: str, kept: Sequence[tuple[int, Row, FilteredRow]]) -> pa.Table:
        schema = self.output_schema(table.schema)
        sources = table.take(pa.array([index for index, _, _ in kept], pa.int64()))
        results = [{**result.columns, "lineage": self._lineage(row, result)} for _, row, result in kept]
        arrays = []
        for position, output_field in enumerate(schema):
            if position >= table.num_columns:
                arrays.append(pa.array([result[output_field.name] for result in results], output_field.type))
            elif table.schema.names[position] == content:
                arrays.append(pa.array([result.text for _, _, result in kept], output_field.type))
            else:
                arrays.append(sources.column(position).cast(output_field.type))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _lineage(self, row: Row, result: FilteredRow) -> dict[str, Any]:
        is_same = result.text == row.content
        version = self.stages.content_filter.version if self.stages.content_filter is not None else "none"
        return {
            "source_uri": row.source.uri,
            "source_row_group": row.source.row_group,
            "source_row": row.source.row,
            "content_sha256": row.content_sha256,
            "redacted_sha256": row.content_sha256 if is_same else content_sha256(result.text),
            "filter_version": version,
        }


def rejected_row(row: Row, rejection: Rejection) -> dict[str, Any]:
    """The row of `REJECTED_SCHEMA` that tells why a source row was left out."""
    return {
        "kind": "row",
        "uri": row.source.uri,
        "row_group": row.source.row_group,
        "row": row.source.row,
        "content_sha256": row.content_sha256,
        "path": row.path or None,
        "target": None,
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
    }
