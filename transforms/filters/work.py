"""The work of `codemill filter`: each row passes through a list of stages, the fastest first.

    row -> license -> generated, vendored -> quality -> contamination -> secrets, personal data, safety
        -> kept (redacted) or rejected (stage, reason, detail)

Each stage is a class in its topic's module (`transforms.filters.stage` describes the base class);
`jobs.filter.stages_of` lists the stages. The first stage that rejects a row ends its processing. Rows in the output
have the results of all stages, each over the complete text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import pyarrow as pa

from transforms.filters.columns import Filtered, Names, filter_columns, filter_names
from transforms.filters.content import ContentStage, redactions, with_findings
from transforms.filters.stage import NOTHING, Stage, StageResult
from transforms.row_pool import beats
from transforms.rows.columns import ColumnOverrides, RowLimits, resolve_columns, table_to_rows
from transforms.rows.output import (
    REDACTED_FIELD,
    SOURCE_FIELDS,
    OutputRow,
    output_schema,
    output_table,
    source_lineage,
)
from transforms.rows.rejections import (
    RejectedRow,
    Rejection,
    rejected_counts,
    rejected_record,
    rejected_table,
)
from transforms.rows.row import Row
from transforms.scanning import ContentFilter
from transforms.work import Unit, UnitResult

ROWS_PER_CHUNK: Final = 256
CHARS_PER_CHUNK: Final = 1 << 18
"""The size of the chunks that a stage examines at once; a chunk ends with the row that makes it larger."""
LINEAGE_TYPE: Final = pa.struct(
    [*SOURCE_FIELDS, REDACTED_FIELD, pa.field("filter_version", pa.string(), nullable=False)]
)


class FilteredRow(NamedTuple):
    """The result of all stages for a row.

    Args:
        rejection: Why it was rejected, or None.
        content: Its text after redaction; "" if it was rejected.
        redacted_sha256: That text's hash.
        columns: The values of all stages' fields; empty if it was rejected.
        counts: The sums of the stages' counts.
    """

    rejection: Rejection | None = None
    content: str = ""
    redacted_sha256: str = ""
    columns: Mapping[str, Any] = NOTHING
    counts: Mapping[str, int] = NOTHING


@dataclass(frozen=True)
class FilterStages:
    """Applies all stages to one row, in order; `own_code` is the hash of the code of the user's own ones."""

    stages: Sequence[Stage]
    own_code: str = ""

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        assert len(set(names)) == len(names), f"two stages give a column of the same name: {names}"

    @property
    def fields(self) -> list[pa.Field]:
        """The result columns, in reverse order of the stages, with `checks` last, as in the output of every job."""
        fields = [field for stage in reversed(self.stages) for field in stage.fields]
        return sorted(fields, key=lambda field: field.name == "checks")

    @property
    def version(self) -> str:
        """The lineage's `filter_version`: the versions of all stages, and the user's own code."""
        versions = [version for stage in self.stages if (version := stage.version)]
        return "/".join([*versions, *([f"stages-{self.own_code[:16]}"] if self.own_code else [])]) or "none"

    def open(self) -> None:
        """Opens all stages. Raises ConfigError."""
        for stage in self.stages:
            stage.open()

    @property
    def content_filter(self) -> ContentFilter | None:
        """The filter of the stage for secrets and personal data, which also scans the other columns."""
        return next((stage.content_filter for stage in self.stages if isinstance(stage, ContentStage)), None)

    def filter_names(self, asked: Sequence[Names]) -> list[Filtered]:
        """Scans and redacts texts of columns other than the content."""
        assert self.content_filter is not None
        return [filter_names(self.content_filter, names) for names in asked]

    def filter(self, row: Row) -> FilteredRow:
        """Runs the stages until one of them rejects the row."""
        return self.filter_rows([row])[0]

    def filter_rows(self, rows: Sequence[Row]) -> list[FilteredRow]:
        """Runs each stage over the rows that passed all earlier ones."""
        passing = [_PassingRow(row) for row in rows]
        results: list[FilteredRow | None] = [None] * len(rows)
        left = list(range(len(rows)))
        for stage in self.stages:
            still_left = []
            for index, result in zip(left, stage.examine_all([passing[i].row for i in left]), strict=True):
                if result.rejection is None:
                    passing[index].take(result)
                    still_left.append(index)
                else:
                    results[index] = passing[index].rejected(result)
            left = still_left
        for index in left:
            results[index] = passing[index].kept()
        return [result for result in results if result is not None]


class _PassingRow:
    """A row with what the stages that it has passed gave."""

    __slots__ = ("columns", "counts", "row")

    def __init__(self, row: Row):
        self.row = row
        self.columns: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def take(self, result: StageResult) -> None:
        self.columns.update(result.columns)
        self._count(result.counts)
        if result.row is not None:
            self.row = result.row

    def rejected(self, result: StageResult) -> FilteredRow:
        self._count(result.counts)
        return FilteredRow(result.rejection, counts=self.counts)

    def kept(self) -> FilteredRow:
        return FilteredRow(None, self.row.content, self.row.redacted_sha256, self.columns, self.counts)

    def _count(self, counts: Mapping[str, int]) -> None:
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


@dataclass
class FilterWork:
    """Filters the rows of units; see `transforms.work.Work` for the contract.

    Args:
        stages: The stages to apply.
        columns: The user's overrides of the detected columns.
        limits: Limits for a row's content.
    """

    stages: FilterStages
    columns: ColumnOverrides
    limits: RowLimits

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = False
    opens_first: ClassVar[bool] = False
    checkpoint_sha256: ClassVar[str] = ""

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """Input columns (content as redacted), then the stages' columns and `lineage`."""
        results = [*self.stages.fields, pa.field("lineage", LINEAGE_TYPE, nullable=False)]
        return output_schema(input_schema, resolve_columns(input_schema, self.columns), results)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All columns, because the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Opens the stages. Raises ConfigError."""
        self.stages.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Filters the rows of one unit."""
        column_map = resolve_columns(table.schema, self.columns)
        filtered = filter_columns(self.stages.content_filter, table, column_map, self.stages.filter_names)
        table = filtered.table
        items = table_to_rows(table, unit, rows, column_map, self.limits)
        rows_to_filter = [item for item in items if isinstance(item, Row)]
        results = (result for chunk in _chunks(rows_to_filter) for result in self.stages.filter_rows(chunk))
        counts: Counter[str] = Counter(rows_in=len(items), targets=0, targets_accepted=0, targets_rejected=0)
        counts.update(filtered.counts)
        kept: list[OutputRow] = []
        rejected: list[dict[str, Any]] = []
        version = self.stages.version  # hashes the policy, so compute it once per unit, not per row
        for index, item in enumerate(items):
            if isinstance(item, RejectedRow):
                rejected.append(item.record())
                continue
            result = next(results)
            if result.counts:
                counts.update(result.counts)
            if result.rejection is not None:
                rejected.append(rejected_record(item, result.rejection))
                counts["bytes_rejected"] += len(item.content.encode())
                continue
            lineage = source_lineage(item) | {"redacted_sha256": result.redacted_sha256, "filter_version": version}
            columns = with_findings(result.columns, filtered.findings.get(index, ()))
            if findings := columns.get("findings"):
                counts.update(redactions((found["type"], found["action"]) for found in findings))
            kept.append(OutputRow(index, result.content, {**columns, "lineage": lineage}))
            counts["bytes_kept"] += len(result.content.encode())
            counts["rows_redacted"] += result.redacted_sha256 != item.content_sha256
        counts["rows_kept"], counts["rows_rejected"] = len(kept), len(rejected)
        counts.update(rejected_counts(rejected))
        schema = self.output_schema(table.schema)
        return UnitResult(output_table(table, column_map, schema, kept), rejected_table(rejected), counts)

    def heartbeat(self) -> dict[str, float]:
        """A number that grows with each stage of each row, which tells that there is progress."""
        return {"rows_done": float(beats())}

    def close(self) -> None:
        """Has nothing to close."""


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Splits rows into chunks of many small rows or few large ones."""
    start = num_chars = 0
    for end, row in enumerate(rows, start=1):
        num_chars += len(row.content)
        if num_chars >= CHARS_PER_CHUNK or end - start == ROWS_PER_CHUNK:
            yield rows[start:end]
            start, num_chars = end, 0
    if start < len(rows):
        yield rows[start:]
