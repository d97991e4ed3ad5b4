"""The work of every generation job: runs a task's targets on the engine and returns the validated answers as rows.

One unit passes through these stages; several units are in flight at once, so that the engine's slots stay full:

    Arrow table -> rows -> [pool: redact, choose targets, build prompts] -> engine -> [pool: validate, filter] -> tables

A row is *kept* if at least one of its targets was accepted, and *rejected* otherwise. Each accepted target is one
output row and each rejected target one rejected record, so both ledgers balance for each unit.

Cost: the engine's time; everything else runs in parallel with it.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import pyarrow as pa

from model.engine.requests import Completion, Generator
from model.errors import RecordError
from transforms.duplicates.known_text import COPY_TYPE, open_known_text
from transforms.filters.columns import Names, filter_columns
from transforms.filters.content import redactions
from transforms.generation.engine import EngineSpec, acquire_engine, engine_figures, keep_compiled
from transforms.generation.imported import ContextSource, context_counts
from transforms.generation.lineage import JobLineage, lineage_type
from transforms.generation.row_state import RowState, reject_repeats, row_rejection, verdict_names
from transforms.generation.scores import SCORE_FIELDS, score_columns, score_originals
from transforms.generation.stages import Answers, Prepared, RowStages, Validated, sample_request
from transforms.generation.trying import TrialRuns, tests_of
from transforms.row_pool import CRASHED, RowPool, default_workers
from transforms.rows.columns import ColumnMap, ColumnOverrides, RowLimits, resolve_columns, table_to_rows
from transforms.rows.output import OutputRow, output_schema, output_table
from transforms.rows.rejections import RejectedRow, Rejection, rejected_counts, rejected_record, rejected_table
from transforms.sandbox.sandbox import Isolation
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding
from transforms.tasks.base import DistinctTask, NestingTask, RejectedTarget, Task, VerifiedTask
from transforms.verification.repository_tests import Corpus
from transforms.work import Unit, UnitResult, WorkBroken

T = TypeVar("T")

ROWS_PER_CHUNK = 16  # rows sent to the pool together: enough to hide pickling, few enough to start the engine early


class TargetCounts:
    """How far the rows and targets of this process are. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """Adds to counts."""
        with self._lock:
            self._counts.update(counts)

    def figures(self, samples: int) -> dict[str, float]:
        """Rows whose targets are chosen, these targets, and those whose samples are all there or that get none."""
        with self._lock:
            rows, asked, answers = (self._counts[name] for name in ("rows", "asked", "answers"))
        return {
            "rows_prepared": float(rows),
            "targets_asked": float(asked),
            "targets_done": float(answers // samples),
        }


@dataclass(frozen=True)
class _Opened:
    """The resources that `open` creates."""

    pool: RowPool
    generator: Generator
    lineage: JobLineage
    trials: TrialRuns | None  # None: nothing is compiled or run
    counts: TargetCounts = field(default_factory=TargetCounts)


@dataclass
class GenerationWork:
    """Runs a task over units; see `transforms.work.Work` for the contract.

    Args:
        task: Chooses targets, builds prompts, validates answers.
        engine: The engine to run them on.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        checkpoint_sha256: The model's hash, for the lineage.
        content_filter: Filters inputs and outputs; None accepts everything.
        row_workers: Number of row workers; -1 chooses by the machine, 0 runs inline.
        samples: Samples requested per target.
        keep: Maximum number of distinct answers kept per target.
        nest: Whether a file becomes one row, into which the task combines all accepted answers.
        distinct: Whether an answer that repeats another of its row is rejected, if the task supports it; a nested file
            keeps all of its answers.
        score_original: Whether rows have the log-probability of the text that the answer replaces (not if nested).
        rejected_answers: Whether rejected targets keep the model's answer, unless the filter finds something in it.
        known_text: Folder of an index of known text; "" for none. With one, rows have a column `verbatim_copies`.
        tokenizer: Location of the vocabulary; "": the model's own.
        isolation: What programs run in, where answers are compiled or run.
        tests: A corpus in which the tests of rows are looked up; None for none.
        context: Makes known, in a process that runs units, where prompts get what files import; None for nowhere. What
            it returns is None in a dry run, which groups nothing: prompts are then without.
    """

    task: Task
    engine: EngineSpec
    columns: ColumnOverrides
    limits: RowLimits
    checkpoint_sha256: str
    content_filter: ContentFilter | None = None
    row_workers: int = -1
    samples: int = 1
    keep: int = 1
    nest: bool = False
    distinct: bool = True
    rejected_answers: bool = False
    score_original: bool = False
    known_text: str = ""
    tokenizer: str = ""
    isolation: Isolation = "bubblewrap"
    tests: Corpus | None = None
    context: ContextSource | None = None

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = True
    opens_first: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._opened: _Opened | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @property
    def is_verified(self) -> bool:
        """Whether answers are compiled or run."""
        return isinstance(self.task, VerifiedTask) and self.task.verify != "parse"

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """Input columns (content as redacted), the task's result columns, then `lineage`: a list of them if nested."""
        copies = pa.field("verbatim_copies", pa.list_(pa.field("item", COPY_TYPE, nullable=False)), nullable=False)
        extra = [copies] if self.known_text else []
        if self.nest:
            assert not self.score_original, "a row of several answers has no single original"
            assert isinstance(self.task, NestingTask), "nesting requires a task that supports it"
            lineage = pa.list_(pa.field("item", lineage_type(is_verified=self.is_verified), nullable=False))
            added = [*self.task.nested_schema, *extra, pa.field("lineage", lineage, nullable=False)]
        else:
            lineage = lineage_type(is_verified=self.is_verified, has_context=self.context is not None)
            scores = SCORE_FIELDS if self.score_original else ()
            added = [*self.task.result_schema, *extra, *scores, pa.field("lineage", lineage, nullable=False)]
        return output_schema(input_schema, resolve_columns(input_schema, self.columns), added)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All columns: the output keeps the input's columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Starts the engine and the row pool.

        Raises:
            ConfigError: The model can't be loaded, or there can be no sandbox where one is needed.
        """
        # First, since a model takes minutes to load.
        trials = self._open_trials() if self.is_verified else None
        try:
            self._opened = self._open_engine(trials)
        except BaseException:
            if trials is not None:
                trials.close()
            raise

    def _open_trials(self) -> TrialRuns:
        return TrialRuns.open(self.isolation, self.tests, slots=self.row_workers if self.row_workers > 0 else None)

    def _open_engine(self, trials: TrialRuns | None) -> _Opened:
        workers = default_workers() if self.row_workers < 0 else self.row_workers
        stages = RowStages(
            task=self.task,
            content_filter=self.content_filter,
            keep=self.keep,
            nest=self.nest,
            answer_tokenizer=(self.tokenizer or self.engine.model) if self.rejected_answers else "",
            known_text=self.known_text,
            context=None if self.context is None else self.context.find(),
        )
        pool = RowPool(stages, workers)
        pool.open()
        generator = acquire_engine(self.engine)
        lineage = JobLineage(
            task=self.task.name,
            template_version=self.task.template_version,
            # Only the folder's name: local paths are never published.
            model=os.path.basename(os.path.normpath(self.engine.model)),
            checkpoint_sha256=self.checkpoint_sha256,
            determinism=self.engine.determinism,
            engine=generator.fingerprint(),
            filter_version=filter_version(self.content_filter, self.known_text),
        )
        return _Opened(pool, generator, lineage, trials)

    def check_sandbox(self) -> None:
        """Makes a sandbox and ends it. Raises ConfigError if there can be none."""
        TrialRuns.open(self.isolation, slots=1).close()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Generates for the rows of one unit; blocks until the last answer is validated."""
        assert self._opened is not None, "call open() first"
        column_map = resolve_columns(table.schema, self.columns)
        filtered = filter_columns(self.content_filter, table, column_map, self._filter_names)
        table = filtered.table
        trials = self._opened.trials
        brought = tests_of(table) if trials is not None else {}
        unreadable: dict[int, RejectedRow] = {}
        states: list[RowState] = []
        for index, item in enumerate(table_to_rows(table, unit, rows, column_map, self.limits)):
            if isinstance(item, RejectedRow):
                unreadable[index] = item
            else:
                tests = trials.tests_of(item, brought.get(index)) if trials is not None else None
                states.append(RowState(index, item, tests=tests))
        self._opened.counts.add(rows=len(unreadable))
        _prepare_and_submit(self._opened, states, self.samples)
        counts = _validate(self._opened, states)
        counts.update(filtered.counts)
        if self.distinct and not self.nest and isinstance(self.task, DistinctTask):
            reject_repeats(self.task, states)
        if self.score_original:
            counts.update(score_originals(self._opened.generator, states))
        for state in states:
            if state.validated.kept and state.prepared is not None:
                counts.update(_redactions(state.prepared, filtered.findings.get(state.index, ())))
        return self._result(table, column_map, states, unreadable, counts)

    def heartbeat(self) -> dict[str, float]:
        """The engine's statistics, rows that the pool has done and programs that have ended, and targets so far."""
        if self._opened is None:
            return {}
        programs = self._opened.trials.programs_done if self._opened.trials is not None else 0
        return {
            **engine_figures(self.engine),
            "rows_done": float(self._opened.pool.rows_done + programs),
            **self._opened.counts.figures(self.samples),
        }

    def close(self) -> None:
        """Closes the pool; the engine stays open in the process (`transforms.generation.engine.release_engines`)."""
        if self._opened is not None:
            keep_compiled()
            self._opened.pool.close()
            if self._opened.trials is not None:
                self._opened.trials.close()

    def _filter_names(self, asked: Sequence[Names]) -> list[Any]:
        assert self._opened is not None, "call open() first"
        calls = [self._opened.pool.apply("filter_names", [names]) for names in asked]
        return [result for call in calls for result in call()]

    def _result(
        self,
        table: pa.Table,
        column_map: ColumnMap,
        states: Sequence[RowState],
        unreadable: Mapping[int, RejectedRow],
        counts: Counter[str],
    ) -> UnitResult:
        kept: list[OutputRow] = []
        rejected: list[dict[str, Any]] = []
        by_index = {state.index: state for state in states}
        for index in range(table.num_rows):
            if index in unreadable:
                rejected.append(unreadable[index].record())
                continue
            state = by_index[index]
            outputs = self._outputs(state)
            kept += [OutputRow(index, state.row.content, results) for results in outputs]
            refused = state.validated.rejected
            if not outputs:
                rejected.append(rejected_record(state.row, row_rejection(state, refused)))
            rejected.extend(
                rejected_record(state.row, item.rejection, target=item.target, answer=item.answer) for item in refused
            )
            num_accepted = len({item.request for item in state.validated.kept})
            counts["targets"] += num_accepted + len(refused)
            counts["targets_accepted"] += num_accepted
            counts["targets_rejected"] += len(refused)
            counts["rows_kept"] += bool(outputs)
            counts["rows_redacted"] += state.row.redacted_sha256 != state.row.content_sha256
            counts.update({f"samples/{fate}": count for fate, count in state.validated.sample_fates.items()})
            counts.update(name for item in state.validated.kept for name in verdict_names(item.accepted.columns))
            if state.prepared is not None:
                counts.update(state.prepared.counts)
                counts.update(context_counts(state.prepared.requests))
        counts["rows_in"] = table.num_rows
        counts["rows_rejected"] = table.num_rows - counts["rows_kept"]
        counts.update(rejected_counts(rejected))
        schema = self.output_schema(table.schema)
        return UnitResult(output_table(table, column_map, schema, kept), rejected_table(rejected), counts)

    def _outputs(self, state: RowState) -> list[Mapping[str, Any]]:
        """The result columns and lineage of the row's output rows."""
        assert self._opened is not None
        if not state.validated.kept:
            return []
        assert state.prepared is not None
        lineages = []
        for item in state.validated.kept:
            request, completion = state.prepared.requests[item.request], state.completions[item.request][item.sample]
            assert isinstance(completion, Completion), "a kept answer has a completion"
            lineage = self._opened.lineage.of(
                state.row, request, completion, sample=item.sample, agreement=item.agreement
            )
            if self.is_verified:
                lineage.update(verification=item.accepted.verification, behavior_agreement=item.behavior)
            lineages.append(lineage)
        if state.validated.nested is not None:
            return [{**state.validated.nested, "lineage": lineages}]
        outputs: list[Mapping[str, Any]] = []
        for item, lineage in zip(state.validated.kept, lineages, strict=True):
            scores = score_columns(state.original_scores.get(item.request)) if self.score_original else {}
            outputs.append({**item.accepted.columns, **scores, "lineage": lineage})
        return outputs


def filter_version(content_filter: ContentFilter | None, known_text: str) -> str:
    """Policy, rules and known text as one word, for the lineage. Raises ConfigError if the index can't be read."""
    version = content_filter.version if content_filter is not None else "none"
    return f"{version}/known-{open_known_text(known_text).version}" if known_text else version


def _redactions(prepared: Prepared, in_columns: Iterable[Finding]) -> Counter[str]:
    """What was redacted in a kept row: in its content, of which only counts are known, and in its other columns."""
    found = [(finding.type, finding.action) for finding in in_columns]
    for name, count in prepared.counts.items():
        _, type_, action = name.split("/")
        found += [(type_, action)] * count
    return redactions(found)


def _prepare_and_submit(opened: _Opened, states: Sequence[RowState], samples: int) -> None:
    """Prepares and submits rows in chunks: the engine decodes the first rows while the pool prepares the last."""
    for state in states:
        # Tasks don't use the input's other columns: the output takes them from the table.
        state.row = replace(state.row, columns={})
    chunks = list(_chunks(states, ROWS_PER_CHUNK))
    calls = [opened.pool.apply("prepare_light", [state.row for state in chunk]) for chunk in chunks]
    for chunk, call in zip(chunks, calls, strict=True):
        for state, prepared in zip(chunk, call(), strict=True):
            if prepared is CRASHED:
                state.rejection = Rejection("targets", "crashed_worker", "parsing the row crashed its process")
                opened.counts.add(rows=1)
                continue
            state.prepared, state.row, state.rejection = prepared, prepared.row or state.row, prepared.rejection
            requests = [sample_request(r.request, sample) for r in prepared.requests for sample in range(samples)]
            try:
                futures = opened.generator.submit(requests)
            except RuntimeError as error:
                raise WorkBroken(f"the engine no longer accepts prompts: {error}") from error
            refused = len(prepared.rejected_targets)
            opened.counts.add(rows=1, asked=len(prepared.requests) + refused, answers=refused * samples)
            for future in futures:
                future.add_done_callback(lambda _: opened.counts.add(answers=1))
            state.futures = [futures[start : start + samples] for start in range(0, len(futures), samples)]


def _validate(opened: _Opened, states: Sequence[RowState]) -> Counter[str]:
    """Waits for the answers and validates them, a chunk of rows at a time."""
    counts: Counter[str] = Counter()
    asked = [(state, state.prepared) for state in states if state.prepared is not None]
    calls = []
    for chunk in _chunks(asked, ROWS_PER_CHUNK):
        answers = []
        for state, prepared in chunk:
            state.completions = [tuple(_wait(future, counts) for future in samples) for samples in state.futures]
            answers.append(Answers(state.row, prepared.requests, tuple(state.completions), state.tests))
        if opened.trials is None:
            calls.append((chunk, opened.pool.apply("validate", answers)))
        else:
            calls.append((chunk, opened.trials.validate(opened.pool, answers)))
    for chunk, call in calls:
        for (state, prepared), validated in zip(chunk, call(), strict=True):
            if validated is CRASHED:
                rejection = Rejection("judge", "crashed_worker", "validating the row's answers crashed its process")
                refused = [RejectedTarget(target=r.target, rejection=rejection) for r in prepared.requests]
                validated = Validated((), tuple(refused))
            state.validated = replace(validated, rejected=(*prepared.rejected_targets, *validated.rejected))
    return counts


def _wait(future: Future[Completion], counts: Counter[str]) -> Completion | Rejection:
    try:
        completion = future.result()
    except RecordError as error:
        return Rejection("generate", error.reason, error.detail)
    except RuntimeError as error:  # the engine or its device has stopped, whatever the request
        raise WorkBroken(f"the engine failed: {type(error).__name__}") from error
    counts["tokens_in"] += completion.prompt_tokens
    counts["tokens_out"] += len(completion.tokens)
    return completion


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
