"""`codemill dedup`: one file of each cluster of exact and near duplicates.

    codemill dedup --input 'corpus/**/*.parquet' --output unique --threshold 0.7

    codemill dedup --input infill/data --output distinct --text_column generated_middle --min_tokens 8

    plan -> [signatures -> hash buckets -> clusters, once, through local disk]
         -> units: each row is kept, or rejected with the row that it duplicates

The clusters (`jobs.grouping.duplicates`, `transforms.duplicates.clusters`) depend only on the frozen plan, so a resumed
job and any number of workers get the same clusters.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jobs.options import CommonOptions, GrowOptions, OptOutOptions, from_all_options, option

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.grouping.duplicates import Duplicates, Entry, PlannedRows
    from transforms.fused_work import RowsBefore
    from transforms.opt_out.rows import RowMatcher
    from transforms.rows.columns import ColumnMap
    from transforms.rows.rejections import RejectedRow, Rejection
    from transforms.work import Unit, UnitResult


@dataclass(frozen=True, kw_only=True)
class Options(GrowOptions, OptOutOptions, CommonOptions):
    """Remove exact and near duplicates among the files of a corpus, or among generated middles."""

    threshold: float = option(
        0.7,
        help="Minimum Jaccard similarity of token 5-grams at which two texts count as duplicates.",
        minimum=0.1,
        maximum=1,
    )
    keep: Literal["first", "longest"] = option(
        "first", help="Which row of a cluster to keep: the first or the longest."
    )
    text_column: str | None = option(
        None, help="Column with the texts to compare, e.g. generated_middle; default: the content column."
    )
    min_tokens: int = option(
        0, help="Keep all rows whose text has fewer tokens, since short texts are often similar by chance.", minimum=0
    )
    # A unit costs three synchronized writes, 15 to 30 ms. Its rows cost 0.03 ms each, beside 20 and more in other jobs.
    unit_rows: int = option(
        8192, help="Maximum rows per unit of work; fixed when the plan is made.", operational=True, minimum=1
    )
    unit_mb: float = option(
        8.0,
        help="Maximum megabytes of text per unit of work; fixed when the plan is made.",
        operational=True,
        minimum=0.01,
        metavar="MB",
    )


def build_work(options: Mapping[str, Any]) -> DedupWork:
    """Makes the job's work from its options (`jobs.options.all_options`)."""
    return DedupWork(from_all_options(Options, options))


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.driver import run_job
    from jobs.grouping.depending import duplicates_of
    from jobs.growth.again import Dependents
    from jobs.options import all_options

    work = build_work(all_options(options))
    return run_job("dedup", options, beam_args, work, dependents=Dependents(duplicates_of))


@dataclass
class DedupWork:
    """Rejects duplicates; see `transforms.work.Work` for the contract.

    Args:
        options: The job's options.
        before: Fused steps, which rows pass before they are compared; None if there are none.
    """

    options: Options
    before: RowsBefore | None = None

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = False
    opens_first: ClassVar[bool] = True
    checkpoint_sha256: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._planned: PlannedRows | None = None
        self._duplicates: Duplicates | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self.options, "before": self.before, "_planned": None, "_duplicates": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The input's columns, then `cluster_size` and `lineage`. Raises ConfigError if `text_column` is not text."""
        import pyarrow as pa

        from model.errors import ConfigError
        from transforms.rows.columns import resolve_columns
        from transforms.rows.output import output_schema

        name = self.options.text_column
        if name is not None:
            if name not in input_schema.names:
                raise ConfigError(
                    f"--text_column {name}: no such column; the input has {', '.join(input_schema.names)}"
                )
            kind = input_schema.field(name).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise ConfigError(f"--text_column {name} has type {kind}; it must be text")
        return output_schema(input_schema, resolve_columns(input_schema, self._overrides()), _result_fields())

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Returns all columns, because the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Opens the job's clusters; the first worker to open them creates them."""
        from jobs.execution.processes import processes_of
        from jobs.grouping.duplicates import PlannedRows, find_or_make
        from jobs.growth.editions import newest
        from jobs.plan.job_file import read_job
        from jobs.plan.units import read_plan
        from jobs.storage.folders import OutputFolder

        o = self.options
        output = newest(OutputFolder(o.output))
        job = read_job(output)
        if job is None:  # a dry run's sample: there is no plan yet, so nothing counts as a duplicate
            return
        self._planned = PlannedRows(read_plan(output.job))
        self._duplicates = find_or_make(
            output.job,
            job.read_schema,
            self._planned,
            self._texts,
            threshold=o.threshold,
            keep=o.keep,
            min_tokens=o.min_tokens,
            processes=processes_of(o, self).workers,
            paths=self._paths,
            before=self.before,
            columns=self._in_output(job.column_map),
        )

    def _in_output(self, columns: ColumnMap) -> tuple[str, str | None]:
        """The output's columns with the texts that are compared, and with their paths."""
        own = {field.name for field in _result_fields()}
        text = self.options.text_column or columns.content
        names = (None if name is None else f"input_{name}" if name in own else name for name in (text, columns.path))
        found, path = names
        assert found is not None
        return found, path

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Keeps one row per cluster and rejects the others; each rejected record names the row kept instead."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from transforms.rows.columns import resolve_columns
        from transforms.rows.output import source_lineages, table_of_columns
        from transforms.rows.rejections import rejected_counts, rejected_table
        from transforms.work import UnitResult

        columns = resolve_columns(table.schema, self._overrides())
        texts = self._usable(table, columns.content)
        entries = self._entries(unit, rows)
        kept = [
            index
            for index, usable in enumerate(texts.is_valid().to_pylist())
            if usable and ((entry := entries.get(index)) is None or entry.kind == "kept")
        ]
        counts: Counter[str] = Counter(targets=0, targets_accepted=0, targets_rejected=0)
        content = texts.take(pa.array(kept, pa.int64()))
        results = {
            "cluster_size": [entry.cluster_size if (entry := entries.get(index)) else 1 for index in kept],
            "lineage": source_lineages(unit, [rows[index] for index in kept], content),
        }
        schema = self.output_schema(table.schema)
        kept_table = table_of_columns(table, columns, schema, kept, content, results)
        rejected = self._rejected(unit, table, rows, texts, entries, sorted(set(range(len(rows))) - set(kept)))
        all_bytes = pc.sum(pc.binary_length(texts)).as_py() or 0
        counts["bytes_kept"] = pc.sum(pc.binary_length(content)).as_py() or 0
        counts["bytes_rejected"] = all_bytes - counts["bytes_kept"]
        counts.update({"rows_in": len(rows), "rows_kept": len(kept), "rows_rejected": len(rejected)})
        counts.update(rejected_counts(rejected))
        return UnitResult(kept_table, rejected_table(rejected), counts)

    def _rejected(
        self, unit: Unit, table: pa.Table, rows: list[int], texts: Any, entries: Mapping[int, Entry], places: list[int]
    ) -> list[dict[str, Any]]:
        """The rejected records of the rows at these places of the table."""
        from transforms.rows.rejections import RejectedRow, rejected_record
        from transforms.rows.row import SourceRef

        paths = self._paths(table)
        unusable = self._unusable(unit, table, rows, [place for place in places if not texts[place].is_valid])
        records = []
        for place in places:
            if (row := unusable.get(place)) is not None:
                records.append(row.record())
                continue
            rejection = self._rejection(entries[place])
            digest = hashlib.sha256(texts[place].as_buffer()).hexdigest()
            path = paths[place] if paths else ""
            row = RejectedRow(SourceRef(*unit.place(rows[place])), rejection, digest, path)
            records.append(rejected_record(row, rejection))
        return records

    def _unusable(self, unit: Unit, table: pa.Table, rows: list[int], places: list[int]) -> dict[int, RejectedRow]:
        """Why the rows at these places can't be read, by place."""
        import pyarrow as pa

        from transforms.rows.columns import RowLimits, resolve_columns, table_to_rows
        from transforms.rows.rejections import RejectedRow

        if not places:
            return {}
        some = table.take(pa.array(places, pa.int64()))
        limits = RowLimits(max_content_bytes=self._max_content_bytes)
        columns = resolve_columns(table.schema, self._overrides())
        items = table_to_rows(some, unit, [rows[place] for place in places], columns, limits)
        found = {}
        for place, item in zip(places, items, strict=True):
            assert isinstance(item, RejectedRow), "a row without a usable text has a reason"
            found[place] = item
        return found

    def _rejection(self, entry: Entry) -> Rejection:
        from transforms.duplicates.twins import REASONS, twin_detail
        from transforms.rows.rejections import Rejection

        if entry.kind not in REASONS:  # it could not be compared
            return Rejection("dedup", entry.kind, entry.detail or "")
        assert self._planned is not None
        where = entry.earlier
        uri, row_group, row = self._planned.place(entry.kept) if where is None else astuple(where)[1:]
        detail = twin_detail(entry.kept_path, uri, row_group, row, entry.similarity)
        return Rejection("dedup", REASONS[entry.kind], detail)

    def _entries(self, unit: Unit, rows: list[int]) -> dict[int, Entry]:
        if self._planned is None or self._duplicates is None:
            return {}
        return self._duplicates.of(self._planned.numbers(unit, rows))

    def heartbeat(self) -> dict[str, float]:
        """Returns nothing: the commits contain all counts."""
        return {}

    def close(self) -> None:
        """Closes the clusters."""
        from transforms.freeing import give_back_memory

        if self._duplicates is not None:
            self._duplicates.close()
        self._planned = self._duplicates = None
        give_back_memory()  # the merges that follow need another's

    def _texts(self, table: pa.Table) -> list[bytes | None]:
        """The text to compare for each row, in UTF-8; None if the row has none or is rejected."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from transforms.rows.cells import as_binary
        from transforms.rows.columns import resolve_columns

        texts = self._usable(table, resolve_columns(table.schema, self._overrides()).content)
        if self._opt_out is not None:
            # What has opted out is left out, so it must not be the row of a cluster that is kept.
            texts = pc.if_else(pa.array(self._opt_out.stays(table), pa.bool_()), texts, None)
        if self.options.text_column:
            others = as_binary(table.column(self.options.text_column))
            texts = pc.if_else(texts.is_valid(), others, None)
        found: list[bytes | None] = texts.to_pylist()
        return found

    def _paths(self, table: pa.Table) -> list[str]:
        """The rows' paths; empty if the input has no column of them."""
        from transforms.rows.cells import texts_of
        from transforms.rows.columns import resolve_columns

        path = resolve_columns(table.schema, self._overrides()).path
        return [] if path is None else list(texts_of(table.select([path]), path))

    def _usable(self, table: pa.Table, content: str) -> Any:
        from transforms.rows.cells import usable_texts

        return usable_texts(table, content, self._max_content_bytes)

    @functools.cached_property
    def _opt_out(self) -> RowMatcher | None:
        from jobs.options import all_options
        from jobs.plan.opt_out import matcher_of

        return matcher_of(all_options(self.options))

    @property
    def _max_content_bytes(self) -> int:
        return int(self.options.max_content_mb * 1e6)

    def _overrides(self) -> Any:
        from transforms.rows.columns import ColumnOverrides

        o = self.options
        return ColumnOverrides(
            content=o.content_column, path=o.path_column, repo_name=o.repo_column, language=o.language_column
        )


def _result_fields() -> list[pa.Field]:
    import pyarrow as pa

    from transforms.rows.output import SOURCE_FIELDS

    lineage = pa.struct(SOURCE_FIELDS)
    return [pa.field("cluster_size", pa.int64(), nullable=False), pa.field("lineage", lineage, nullable=False)]
