"""`codemill dedup`: one file of each cluster of exact and near duplicates.

    codemill dedup --input 'corpus/**/*.parquet' --output unique --threshold 0.7

    plan -> [each worker, once: signatures of all planned rows -> clusters] -> units: rows kept, or rejected as a
    duplicate of which row

The signatures (`transforms.filters.dedup`) are made anew by each worker process from the frozen plan, so a resumed
job meets the same
clusters. They are held in memory: about 2 KB a row and 8 bytes a distinct 5-gram (at most 33 KB a row).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import CommonOptions, from_all_options, option

if TYPE_CHECKING:
    import pyarrow as pa

    from transforms.filters.dedup import Duplicate, Signature
    from transforms.rows import SourceRef
    from transforms.work import Unit, UnitResult


@dataclass(frozen=True, kw_only=True)
class Options(CommonOptions):
    """Leave out exact and near duplicates of a corpus's files, or of generated middles."""

    threshold: float = option(
        0.7,
        help="Least Jaccard similarity, of 5-grams of tokens, at which two texts are duplicates.",
        minimum=0.1,
        maximum=1,
    )
    keep: Literal["first", "longest"] = option("first", help="Which row of a cluster stays: the first, or the longest.")


def build_work(options: Mapping[str, Any]) -> DedupWork:
    """Makes the job's work from its options (`jobs.options.all_options`)."""
    return DedupWork(from_all_options(Options, options))


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver import run_job
    from jobs.options import all_options

    return run_job("dedup", options, beam_args, build_work(all_options(options)))


@dataclass
class DedupWork:
    """Rejects duplicates; see `transforms.work.Work` for the contract."""

    options: Options

    def __post_init__(self) -> None:
        self._duplicates: dict[str, Duplicate] | None = None
        self._sizes: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self.options, "_duplicates": None, "_sizes": {}}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The input's columns, then `cluster_size` and `lineage`."""
        import pyarrow as pa

        from transforms.columns import output_fields, resolve_columns

        results = _result_fields()
        kept = output_fields(input_schema, resolve_columns(input_schema, self._overrides()), [f.name for f in results])
        return pa.schema([*kept, *results])

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All of them: the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Signs every planned row and finds the clusters."""
        from transforms.filters.dedup import cluster_sizes, find_duplicates

        o = self.options
        self._duplicates = find_duplicates(self._signatures(), threshold=o.threshold, keep=o.keep)
        self._sizes = cluster_sizes(self._duplicates)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Keeps the rows that stay and rejects the others, each naming the row that stays for it."""
        import pyarrow as pa

        from transforms.columns import RejectedRow
        from transforms.filters.work import rejected_row
        from transforms.rows import REJECTED_SCHEMA, Rejection
        from transforms.work import UnitResult

        assert self._duplicates is not None, "open() comes first"
        picks: list[int] = []
        results: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        counts: Counter[str] = Counter(targets=0, targets_accepted=0, targets_rejected=0)
        for index, item in enumerate(self._rows(unit, table, rows)):
            if isinstance(item, RejectedRow):
                rejected.append(item.record())
                continue
            key = row_key(item.source)
            duplicate = self._duplicates.get(key)
            if duplicate is not None:
                detail = f"of {duplicate.kept.replace(_SEPARATOR, ' ')}: similarity {duplicate.similarity}"
                rejected.append(rejected_row(item, Rejection("dedup", f"{duplicate.kind}_duplicate", detail)))
                counts["bytes_rejected"] += len(item.content.encode())
                continue
            picks.append(index)
            counts["bytes_kept"] += len(item.content.encode())
            lineage = {"source_uri": item.source.uri, "source_row_group": item.source.row_group}
            lineage |= {"source_row": item.source.row, "content_sha256": item.content_sha256}
            results.append({"cluster_size": self._sizes.get(key, 1), "lineage": lineage})
        counts.update({"rows_in": len(rows), "rows_kept": len(picks), "rows_rejected": len(rejected)})
        counts.update(f"rejected_row/{r['stage']}/{r['reason']}" for r in rejected)
        schema, sources = self.output_schema(table.schema), table.take(pa.array(picks, pa.int64()))
        arrays = [
            sources.column(position).cast(field.type)
            if position < table.num_columns
            else pa.array([result[field.name] for result in results], field.type)
            for position, field in enumerate(schema)
        ]
        kept = pa.Table.from_arrays(arrays, schema=schema)
        return UnitResult(kept, pa.Table.from_pylist(rejected, REJECTED_SCHEMA), counts)

    def heartbeat(self) -> dict[str, float]:
        """Nothing beyond what commits tell."""
        return {}

    def close(self) -> None:
        """Lets the clusters go."""
        self._duplicates, self._sizes = None, {}

    def _signatures(self) -> Iterator[Signature]:
        """Of every readable row of the frozen plan."""
        from jobs import storage
        from jobs.job_file import read_job
        from jobs.plan import NO_ROW_GROUP, read_plan
        from jobs.reading import UnreadableUnit, read_unit
        from transforms.filters.dedup import sign
        from transforms.rows import Row

        job_dir = storage.join(self.options.output, "_job")
        job = read_job(self.options.output)
        if job is None:  # the sample of a dry run: nothing is planned yet, so nothing is a duplicate
            return
        for unit in read_plan(job_dir):
            if unit.row_group == NO_ROW_GROUP:
                continue
            try:
                table, rows = read_unit(unit, job.read_schema)
            except UnreadableUnit:
                continue  # running the unit reports it
            for item in self._rows(unit, table, rows):
                if isinstance(item, Row):
                    yield sign(row_key(item.source), item.content)

    def _rows(self, unit: Unit, table: pa.Table, rows: list[int]) -> Sequence[Any]:
        from transforms.columns import RowLimits, resolve_columns, table_to_rows

        limits = RowLimits(max_content_bytes=int(self.options.max_content_mb * 1e6))
        return table_to_rows(table, unit, rows, resolve_columns(table.schema, self._overrides()), limits)

    def _overrides(self) -> Any:
        from transforms.columns import ColumnOverrides

        o = self.options
        return ColumnOverrides(
            content=o.content_column, path=o.path_column, repo_name=o.repo_column, language=o.language_column
        )


_SEPARATOR = "\x1f"


def row_key(source: SourceRef) -> str:
    """A row's name that sorts as rows stand: file, row group, row.

    >>> from transforms.rows import SourceRef
    >>> row_key(SourceRef("a", 0, 9)) < row_key(SourceRef("a", 0, 10)) < row_key(SourceRef("a", 1, 0))
    True
    """
    return _SEPARATOR.join([source.uri, f"{source.row_group:08}", f"{source.row:012}"])


def _result_fields() -> list[pa.Field]:
    import pyarrow as pa

    lineage = pa.struct(
        [
            pa.field("source_uri", pa.large_string(), nullable=False),
            pa.field("source_row_group", pa.int32(), nullable=False),
            pa.field("source_row", pa.int64(), nullable=False),
            pa.field("content_sha256", pa.string(), nullable=False),
        ]
    )
    return [pa.field("cluster_size", pa.int64(), nullable=False), pa.field("lineage", lineage, nullable=False)]


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["dedup", *sys.argv[1:]]))
