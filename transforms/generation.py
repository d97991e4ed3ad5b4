"""The work of every generating job: a task's targets go through the engine, and its verdicts come back as rows.

One unit passes these stages; several units are under way at once, so the engine's slots stay full:

    Arrow table -> rows -> [pool: redact, choose targets, build prompts] -> engine -> [pool: judge, filter] -> tables

A row is *kept* when at least one of its targets was accepted, and *rejected* otherwise; each accepted target is one
output row, each rejected target one rejected record, so both ledgers add up unit by unit.

The engine's time dwarfs the rest; what each stage costs stands in docs/benchmarks.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from model.engine.api import Completion, Generator
from model.errors import RecordError
from transforms.bridge import EngineSpec, acquire_engine
from transforms.columns import ColumnOverrides, RejectedRow, RowLimits, output_fields, resolve_columns, table_to_rows
from transforms.filters import ContentFilter
from transforms.lineage import LINEAGE_TYPE, JobLineage
from transforms.rowpool import CRASHED, RowPool, default_workers
from transforms.rows import REJECTED_SCHEMA, Rejection, Row, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget, Task, TaskRequest
from transforms.work import Unit, UnitResult

logger = logging.getLogger(__name__)

ROWS_PER_CHUNK = (
    16  # rows that travel to the pool together: enough to hide a pickle, few enough to start the engine early
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of one row before the engine: its (redacted) text, its requests and what was rejected on the way.

    `findings` counts what the input filter found, by `type/action`.
    """

    row: Row
    requests: tuple[TaskRequest, ...] = ()
    rejected_targets: tuple[RejectedTarget, ...] = ()
    rejection: Rejection | None = None
    findings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RowStages:
    """The pure-Python part of generation over one row, as the pool runs it.

    Args:
        task: Chooses targets, builds prompts, judges answers.
        content_filter: Looks at what goes in and at what the model wrote; None lets everything through.
    """

    task: Task
    content_filter: ContentFilter | None = None

    def open(self) -> None:
        """Makes the scanner; tasks open their tokenizers on first use."""
        if self.content_filter is not None:
            self.content_filter.open()

    def prepare(self, row: Row) -> Prepared:
        """Filters and redacts the row, then chooses its targets and builds their prompts."""
        if self.content_filter is None:
            return self._ask(row)
        try:
            outcome = self.content_filter.filter_input(row.content, row.language, row.path)
        except Exception as error:
            logger.exception("the input filter failed on %s", row.source)
            return Prepared(row, rejection=Rejection("filter_input", "stage_error", type(error).__name__))
        findings = Counter(f"{finding.type}/{finding.action}" for finding in outcome.findings)
        if outcome.dropped is not None:
            detail = ", ".join(sorted({finding.rule for finding in outcome.findings if finding.action == "drop"}))
            rejection = Rejection("filter_input", outcome.dropped, detail and f"by rule {detail}")
            return Prepared(row, rejection=rejection, findings=findings)
        if outcome.text != row.content:
            row = replace(row, content=outcome.text, redacted_sha256=content_sha256(outcome.text))
        return replace(self._ask(row), findings=findings)

    def _ask(self, row: Row) -> Prepared:
        try:
            asked = list(self.task.requests(row))
        except RecordError as error:
            return Prepared(row, rejection=Rejection("targets", error.reason, error.detail))
        except Exception as error:  # a bug in a task must cost one row, and must be seen: it is counted and named
            logger.exception("task %s failed on %s", self.task.name, row.source)
            return Prepared(row, rejection=Rejection("targets", "stage_error", type(error).__name__))
        requests = tuple(item for item in asked if isinstance(item, TaskRequest))
        rejected = tuple(item for item in asked if isinstance(item, RejectedTarget))
        if not asked:
            return Prepared(row, rejection=Rejection("targets", "no_target", "the task found nothing to ask for"))
        return Prepared(row, requests, rejected)

    def judge(self, answer: tuple[Row, TaskRequest, Completion]) -> Accepted | RejectedTarget:
        """Parses, verifies and scores one answer."""
        row, request, completion = answer
        try:
            return self._filtered(row, request, self.task.accept(row, request, completion))
        except RecordError as error:
            return RejectedTarget(target=request.target, rejection=Rejection("judge", error.reason, error.detail))
        except Exception as error:
            logger.exception("task %s failed to judge %s of %s", self.task.name, request.target, row.source)
            return RejectedTarget(
                target=request.target, rejection=Rejection("judge", "stage_error", type(error).__name__)
            )

    def _filtered(
        self, row: Row, request: TaskRequest, verdict: Accepted | RejectedTarget
    ) -> Accepted | RejectedTarget:
        """Looks at an accepted text in context; what would be redacted in a source may not be written."""
        if self.content_filter is None or isinstance(verdict, RejectedTarget):
            return verdict
        findings = self.content_filter.filter_output(*verdict.written, row.language, row.path)
        reason = self.content_filter.output_reason(findings)
        if reason is None:
            return replace(verdict, written=("", "", ""))  # it has been looked at, and needn't travel
        rules = ", ".join(sorted({finding.rule for finding in findings if finding.action in ("redact", "drop")}))
        return RejectedTarget(target=request.target, rejection=Rejection("filter_output", reason, f"by rule {rules}"))


@dataclass
class _RowState:
    """One source row on its way through the unit; `index` is its place in the unit's table."""

    index: int
    row: Row
    requests: tuple[TaskRequest, ...] = ()
    futures: list[Future[Completion]] = field(default_factory=list)
    verdicts: list[Accepted | RejectedTarget] = field(default_factory=list)
    rejection: Rejection | None = None
    findings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Opened:
    """What `open` made."""

    pool: RowPool
    generator: Generator
    lineage: JobLineage


@dataclass
class GenerationWork:
    """Runs a task over units; see `transforms.work.Work` for the contract.

    Args:
        task: Chooses targets, builds prompts, judges answers.
        engine: Which engine to run them on.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        checkpoint_sha256: The model's hash, for the lineage.
        content_filter: Filters inputs and outputs; None lets everything through.
        row_workers: Processes for row work; -1 chooses by the machine, 0 runs inline.
    """

    task: Task
    engine: EngineSpec
    columns: ColumnOverrides
    limits: RowLimits
    checkpoint_sha256: str
    content_filter: ContentFilter | None = None
    row_workers: int = -1

    def __post_init__(self) -> None:
        self._opened: _Opened | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """Input columns (content as redacted), the task's result columns, then the struct `lineage`."""
        added = [*self.task.result_schema, pa.field("lineage", LINEAGE_TYPE, nullable=False)]
        kept = output_fields(input_schema, resolve_columns(input_schema, self.columns), [f.name for f in added])
        return pa.schema([*kept, *added])

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All of them: the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Starts the engine and the row pool. Raises ConfigError where the model can't be loaded."""
        workers = default_workers() if self.row_workers < 0 else self.row_workers
        pool = RowPool(RowStages(self.task, self.content_filter), workers)
        pool.open()
        generator = acquire_engine(self.engine)
        lineage = JobLineage(
            task=self.task.name,
            template_version=self.task.template_version,
            model=self.engine.model,
            checkpoint_sha256=self.checkpoint_sha256,
            determinism=self.engine.determinism,
            engine=generator.fingerprint(),
            filter_version=self.content_filter.version if self.content_filter is not None else "none",
        )
        self._opened = _Opened(pool, generator, lineage)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Generates for the rows of one unit; blocks until the last answer is judged."""
        assert self._opened is not None, "open() comes first"
        column_map = resolve_columns(table.schema, self.columns)
        unreadable: dict[int, RejectedRow] = {}
        states: list[_RowState] = []
        for index, item in enumerate(table_to_rows(table, unit, rows, column_map, self.limits)):
            if isinstance(item, RejectedRow):
                unreadable[index] = item
            else:
                states.append(_RowState(index, item))
        _prepare_and_submit(self._opened, states)
        counts = _judge(self._opened, states)
        return self._result(table, column_map.content, states, unreadable, counts)

    def heartbeat(self) -> dict[str, float]:
        """The engine's statistics."""
        return self._opened.generator.stats() if self._opened is not None else {}

    def close(self) -> None:
        """Ends the pool; the engine stays with the process (`transforms.bridge.release_engines`)."""
        if self._opened is not None:
            self._opened.pool.close()

    def _result(
        self,
        table: pa.Table,
        content_column: str,
        states: Sequence[_RowState],
        unreadable: Mapping[int, RejectedRow],
        counts: Counter[str],
    ) -> UnitResult:
        kept_indices: list[int] = []
        kept_content: list[str] = []
        kept_columns: list[Mapping[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        by_index = {state.index: state for state in states}
        for index in range(table.num_rows):
            if index in unreadable:
                rejected.append(unreadable[index].record())
                continue
            state = by_index[index]
            accepted = [verdict for verdict in state.verdicts if isinstance(verdict, Accepted)]
            refused = [verdict for verdict in state.verdicts if isinstance(verdict, RejectedTarget)]
            for verdict in accepted:
                kept_indices.append(index)
                kept_content.append(state.row.content)
                kept_columns.append(verdict.columns)
            if not accepted:
                rejected.append(rejected_record("row", state.row, _row_rejection(state, refused)))
            rejected.extend(rejected_record("target", state.row, item.rejection, item.target) for item in refused)
            counts["targets"] += len(state.verdicts)
            counts["targets_accepted"] += len(accepted)
            counts["targets_rejected"] += len(refused)
            counts["rows_kept"] += bool(accepted)
            counts["rows_redacted"] += state.row.redacted_sha256 != state.row.content_sha256
            counts.update({f"found/{name}": count for name, count in state.findings.items()})
        counts["rows_in"] = table.num_rows
        counts["rows_rejected"] = table.num_rows - counts["rows_kept"]
        counts.update(f"rejected_{r['kind']}/{r['stage']}/{r['reason']}" for r in rejected)
        kept = self._kept_table(table, content_column, kept_indices, kept_content, kept_columns)
        return UnitResult(kept, pa.Table.from_pylist(rejected, REJECTED_SCHEMA), counts)

    def _kept_table(
        self,
        table: pa.Table,
        content_column: str,
        indices: Sequence[int],
        content: Sequence[str],
        columns: Sequence[Mapping[str, Any]],
    ) -> pa.Table:
        """Repeats each source row for each of its accepted targets and appends the results."""
        schema = self.output_schema(table.schema)
        sources = table.take(pa.array(indices, pa.int64()))
        arrays = []
        for position, output_field in enumerate(schema):
            if position >= table.num_columns:
                values = [row[output_field.name] for row in columns]
                arrays.append(pa.array(values, output_field.type))
            elif table.schema.names[position] == content_column:
                arrays.append(pa.array(content, output_field.type))
            else:
                arrays.append(sources.column(position).cast(output_field.type))
        return pa.Table.from_arrays(arrays, schema=schema)


def _prepare_and_submit(opened: _Opened, states: Sequence[_RowState]) -> None:
    """Chunk by chunk, so that the engine decodes the first rows while the pool prepares the last."""
    chunks = list(_chunks(states, ROWS_PER_CHUNK))
    calls = [opened.pool.apply("prepare", [state.row for state in chunk]) for chunk in chunks]
    for chunk, call in zip(chunks, calls, strict=True):
        for state, prepared in zip(chunk, call(), strict=True):
            if prepared is CRASHED:
                state.rejection = Rejection("targets", "crashed_worker", "the row's parser killed its process")
                continue
            state.row = prepared.row
            state.requests = prepared.requests
            state.verdicts.extend(prepared.rejected_targets)
            state.rejection = prepared.rejection
            state.findings = prepared.findings
            state.futures = opened.generator.submit([request.request for request in prepared.requests])


def _judge(opened: _Opened, states: Sequence[_RowState]) -> Counter[str]:
    """Waits for the answers and judges them, again in chunks."""
    counts: Counter[str] = Counter()
    calls = []
    for chunk in _chunks(states, ROWS_PER_CHUNK):
        answers: list[tuple[_RowState, TaskRequest, Completion]] = []
        for state in chunk:
            for request, future in zip(state.requests, state.futures, strict=True):
                try:
                    completion = future.result()
                except RecordError as error:
                    rejection = Rejection("generate", error.reason, error.detail)
                    state.verdicts.append(RejectedTarget(target=request.target, rejection=rejection))
                    continue
                counts["tokens_in"] += completion.prompt_tokens
                counts["tokens_out"] += len(completion.tokens)
                answers.append((state, request, completion))
        calls.append((answers, opened.pool.apply("judge", [(s.row, r, c) for s, r, c in answers])))
    for answers, call in calls:
        for (state, request, completion), verdict in zip(answers, call(), strict=True):
            if verdict is CRASHED:
                rejection = Rejection("judge", "crashed_worker", "judging the answer killed its process")
                verdict = RejectedTarget(target=request.target, rejection=rejection)
            if isinstance(verdict, Accepted):
                lineage = opened.lineage.of(state.row, request, completion)
                verdict = replace(verdict, columns={**verdict.columns, "lineage": lineage})
            state.verdicts.append(verdict)
    return counts


def rejected_record(kind: str, row: Row, rejection: Rejection, target: str | None = None) -> dict[str, Any]:
    """Returns one record of `REJECTED_SCHEMA`: where the thing came from and why, never its content."""
    return {
        "kind": kind,
        "uri": row.source.uri,
        "row_group": row.source.row_group,
        "row": row.source.row,
        "content_sha256": row.content_sha256,
        "path": row.path,
        "target": target,
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
    }


def _row_rejection(state: _RowState, refused: Sequence[RejectedTarget]) -> Rejection:
    """Why a row without an accepted target was rejected: its own fault, or the sum of its targets'."""
    if state.rejection is not None:
        return state.rejection
    reasons = Counter(item.rejection.reason for item in refused)
    detail = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return Rejection("judge", "no_target_accepted", detail)


def _chunks(items: Sequence[_RowState], size: int) -> Iterator[Sequence[_RowState]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
