"""The work of `codemill evaluate --model`: each row is a question; the engine answers it, and the answer is graded.

    rows -> [prompt] -> engine -> [answer] -> grader (sandbox beside the engine) -> rows with verdict and lineage

All prompts of a unit are submitted at once, each answer goes to the grader when it is there, and several units are in
flight: the engine never waits for a program. A row whose prompt doesn't fit is rejected, and so has no verdict.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from model.engine.requests import Completion, Generator
from model.engine.settings import EngineSpec
from model.errors import RecordError
from transforms.evaluation.asker import Answer, Asker
from transforms.evaluation.grading import MEASURED_TYPE, Graded, Grader, ProgramGrader
from transforms.evaluation.problems import EXECUTED_TYPE
from transforms.evaluation.question import Question
from transforms.evaluation.texts.comparing import TextGrader
from transforms.generation.engine import acquire_engine, engine_figures, keep_compiled
from transforms.generation.lineage import LINEAGE_TYPE, JobLineage
from transforms.generation.stages import sample_request
from transforms.rows.rejections import Rejection, rejected_counts, rejected_record, rejected_table
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.sandbox.sandbox import Isolation
from transforms.tasks.base import TaskRequest
from transforms.work import Unit, UnitResult, WorkBroken

ASKED_SCHEMA: Final = pa.schema(
    [
        pa.field("content", pa.large_string(), nullable=False),  # the prompt, or what stands before the answer
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("question", pa.large_string(), nullable=False),  # JSON of `Question`
        pa.field("problem", pa.large_string(), nullable=False),  # JSON of the problem, for the grader
    ]
)
"""The rows that the job prepares, one per sample."""

_KEPT: Final = ("task_id", "sample", "language", "benchmark")
_OWN_LINEAGE: Final = ("protocol_version", "benchmark_version", "sandbox")
_VERSION_FIELDS: Final = tuple(pa.field(name, pa.string(), nullable=False) for name in _OWN_LINEAGE)
ANSWERED_SCHEMA: Final = pa.schema(
    [
        *[ASKED_SCHEMA.field(name) for name in _KEPT],
        pa.field("prompt", pa.large_string(), nullable=False),
        pa.field("suffix", pa.large_string(), nullable=False),
        pa.field("answer", pa.large_string(), nullable=False),
        pa.field("generated", pa.large_string(), nullable=False),  # all that the model wrote
        pa.field("ended_by", pa.string(), nullable=False),
        pa.field("passed", pa.bool_()),  # null: it can't be told here
        pa.field("executed", EXECUTED_TYPE),  # null: nothing was run
        pa.field("measured", MEASURED_TYPE, nullable=False),
        pa.field("lineage", pa.struct([*LINEAGE_TYPE, *_VERSION_FIELDS]), nullable=False),
    ]
)


@dataclass
class _Asked:
    """A question on its way."""

    row: Row
    question: Question
    sample: int
    values: dict[str, Any]
    request: TaskRequest | None = None
    future: Future[Completion] | None = None
    completion: Completion | None = None
    answer: Answer | None = None
    graded: Callable[[], Graded] | None = None
    rejection: Rejection | None = None


@dataclass
class AnswerWork:
    """Asks a model and grades its answers; see `transforms.work.Work` for the contract.

    Args:
        asker: Builds prompts, parses answers.
        engine: The engine that answers.
        checkpoint_sha256: The model's hash, for the lineage.
        benchmark_version: For the lineage.
        slots: Programs that run at a time.
        isolation: What they run in.
        is_text: Whether answers are compared with known ones instead of being run.
    """

    asker: Asker
    engine: EngineSpec
    checkpoint_sha256: str
    benchmark_version: str
    slots: int
    isolation: Isolation = "bubblewrap"
    is_text: bool = False

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = True
    opens_first: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._grader: Grader | None = None
        self._generator: Generator | None = None
        self._done = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_grader": None, "_generator": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The question, the answer, and the evidence for its verdict."""
        return ANSWERED_SCHEMA

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Starts the grader and the engine. Raises ConfigError if there is no sandbox, or the model can't be loaded."""
        self._grader = self._make_grader()
        self._generator = acquire_engine(self.engine)

    def _make_grader(self) -> Grader:
        return TextGrader() if self.is_text else ProgramGrader(self.slots, self.isolation)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Asks the questions of one unit."""
        assert self._grader is not None and self._generator is not None, "call open() first"
        asked = [_asked(unit, row, values) for row, values in zip(rows, table.to_pylist(), strict=True)]
        self._submit(self._generator, asked)
        counts: Counter[str] = Counter()
        for one in asked:
            self._receive(self._grader, one, counts)
        lineage = self._lineage(self._generator)
        kept, rejected = [], []
        for one in asked:
            if one.rejection is not None:
                rejected.append(rejected_record(one.row, one.rejection))
            else:
                kept.append(self._output(one, lineage, self._grader.sandbox, counts))
            self._done += 1
        counts.update(rows_in=len(rows), rows_kept=len(kept), rows_rejected=len(rejected))
        counts.update(targets=0, targets_accepted=0, targets_rejected=0)
        counts.update(rejected_counts(rejected))
        return UnitResult(pa.Table.from_pylist(kept, ANSWERED_SCHEMA), rejected_table(rejected), counts)

    def heartbeat(self) -> dict[str, float]:
        """The engine's statistics, and how many answers were graded."""
        return {**engine_figures(self.engine), "rows_done": float(self._done)}

    def close(self) -> None:
        """Waits for the programs that run; the engine stays open in the process."""
        if self._grader is not None:
            self._grader.close()
            self._grader = None
            keep_compiled()

    def _submit(self, generator: Generator, asked: Sequence[_Asked]) -> None:
        for one in asked:
            try:
                one.request = self.asker.request(one.row, one.question)
            except RecordError as error:
                one.rejection = Rejection("targets", error.reason, error.detail)
        ready = [one for one in asked if one.request is not None]
        requests = [sample_request(one.request.request, one.sample) for one in ready if one.request is not None]
        try:
            futures = generator.submit(requests)
        except RuntimeError as error:
            raise WorkBroken(f"the engine no longer accepts prompts: {error}") from error
        for one, future in zip(ready, futures, strict=True):
            one.future = future

    def _receive(self, grader: Grader, one: _Asked, counts: Counter[str]) -> None:
        """Waits for a completion and hands its answer to the grader."""
        if one.future is None:
            return
        try:
            completion = one.future.result()
        except RecordError as error:
            one.rejection = Rejection("generate", error.reason, error.detail)
            return
        except RuntimeError as error:  # the engine or its device has stopped, whatever the request
            raise WorkBroken(f"the engine failed: {type(error).__name__}") from error
        counts["tokens_in"] += completion.prompt_tokens
        counts["tokens_out"] += len(completion.tokens)
        one.completion, one.answer = completion, self.asker.answer(one.row, one.question, completion)
        one.graded = grader.submit(one.values["problem"], one.answer.text)

    def _lineage(self, generator: Generator) -> JobLineage:
        return JobLineage(
            task=self.asker.name,
            template_version=self.asker.template_version,
            model=os.path.basename(os.path.normpath(self.engine.model)),
            checkpoint_sha256=self.checkpoint_sha256,
            determinism=self.engine.determinism,
            engine=generator.fingerprint(),
        )

    def _output(self, one: _Asked, lineage: JobLineage, sandbox: str, counts: Counter[str]) -> dict[str, Any]:
        assert one.request is not None and one.completion is not None
        assert one.answer is not None and one.graded is not None, "what is not rejected was graded"
        graded = one.graded()
        verdict = graded.verdict
        counts[f"answers/{verdict.reason if verdict else _result(graded)}"] += 1
        names = [field.name for field in EXECUTED_TYPE]
        versions = (one.question.protocol, self.benchmark_version, sandbox)
        return {
            **{name: one.values[name] for name in _KEPT},
            "prompt": one.row.content,
            "suffix": one.question.suffix,
            "answer": one.answer.text,
            "generated": one.answer.written,
            "ended_by": one.answer.ended_by,
            "passed": graded.passed,
            "executed": None if verdict is None else {name: getattr(verdict, name) for name in names},
            "measured": [
                {"metric": found.metric, "extracted": found.extracted, "correct": found.correct}
                for found in graded.measured
            ],
            "lineage": {
                **lineage.of(one.row, one.request, one.completion, sample=one.sample),
                **dict(zip(_OWN_LINEAGE, versions, strict=True)),
            },
        }


def _result(graded: Graded) -> str:
    return {True: "passed", False: "wrong", None: "not_decided"}[graded.passed]


def _asked(unit: Unit, row: int, values: dict[str, Any]) -> _Asked:
    content = values["content"]
    digest = content_sha256(content)
    source = Row(SourceRef(*unit.place(row)), content, digest, digest, language=values["language"])
    return _Asked(source, Question.of(values["question"]), values["sample"], values)
