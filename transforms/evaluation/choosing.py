"""The work of `codemill evaluate` for benchmarks with choices: the engine scores them, the likeliest is the answer.

    rows -> [prompts, continuations] -> engine's scoring -> log-likelihoods -> verdict -> rows with evidence and lineage

All requests of a unit are submitted at once, and several units are in flight. A question that is longer than the
engine's limits is rejected, and so has no verdict.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from model.engine.requests import Generator, Scores
from model.engine.settings import EngineSpec
from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms.evaluation.grading import MEASURED_TYPE
from transforms.evaluation.language.questions import Choice, Question, Verdict, verdict_of
from transforms.evaluation.language.tokens import Asked, requests_of
from transforms.generation.engine import acquire_engine, engine_figures, keep_compiled
from transforms.rows.output import SOURCE_FIELDS, source_lineage
from transforms.rows.rejections import Rejection, rejected_counts, rejected_record, rejected_table
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.work import Unit, UnitResult, WorkBroken

CHOICE_SCHEMA: Final = pa.schema(
    [
        pa.field("content", pa.large_string(), nullable=False),  # the first choice's prompt
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),  # 0: the likeliest choice is the only answer
        pa.field("language", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("question", pa.large_string(), nullable=False),  # JSON of `Question`
    ]
)
"""The rows that the job prepares, one per question."""

_KEPT: Final = ("task_id", "sample", "language", "benchmark")
_LINEAGE: Final = ("model", "checkpoint_sha256", "determinism", "engine", "benchmark_version")
_CHOICE_TYPE: Final = pa.struct(
    [
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("logprob", pa.float64(), nullable=False),  # sum over its tokens, in nats
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("num_bytes", pa.int32(), nullable=False),
    ]
)
CHOSEN_SCHEMA: Final = pa.schema(
    [
        *[CHOICE_SCHEMA.field(name) for name in _KEPT],
        pa.field("prompt", pa.large_string(), nullable=False),
        pa.field("answer", pa.large_string(), nullable=False),  # the likeliest choice
        pa.field("passed", pa.bool_(), nullable=False),
        pa.field("choices", pa.list_(pa.field("item", _CHOICE_TYPE, nullable=False)), nullable=False),
        pa.field("gold", pa.int32(), nullable=False),
        pa.field("measured", MEASURED_TYPE, nullable=False),
        pa.field(
            "lineage",
            pa.struct([*SOURCE_FIELDS, *[pa.field(name, pa.string(), nullable=False) for name in _LINEAGE]]),
            nullable=False,
        ),
    ]
)


def question_text(question: Question) -> str:
    """A question as JSON, for `CHOICE_SCHEMA`."""
    return json.dumps(asdict(question), ensure_ascii=False)


def question_of(text: str) -> Question:
    """Reads what `question_text` wrote."""
    values = json.loads(text)
    return Question(**{**values, "choices": tuple(Choice(**choice) for choice in values["choices"])})


@dataclass
class _Scoring:
    """A question on its way."""

    row: Row
    question: Question
    values: Mapping[str, Any]
    asked: Asked
    futures: Sequence[Future[Scores]] = ()


@dataclass
class ChoiceWork:
    """Has a model choose; see `transforms.work.Work` for the contract.

    Args:
        engine: The engine that scores.
        tokenizer: Location of the vocabulary.
        checkpoint_sha256: The model's hash, for the lineage.
        benchmark_version: For the lineage.
    """

    engine: EngineSpec
    tokenizer: str
    checkpoint_sha256: str
    benchmark_version: str

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = True
    opens_first: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._generator: Generator | None = None
        self._tokens: Tokenizer | None = None
        self._done = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None, "_tokens": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The question, the choice, and the evidence for its verdict."""
        return CHOSEN_SCHEMA

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Starts the engine. Raises ConfigError if the model can't be loaded."""
        self._tokens = Tokenizer.load(self.tokenizer)
        self._generator = acquire_engine(self.engine)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Scores the choices of one unit's questions."""
        assert self._generator is not None and self._tokens is not None, "call open() first"
        asked = [_asked(unit, row, values, self._tokens) for row, values in zip(rows, table.to_pylist(), strict=True)]
        _submit(self._generator, asked)
        lineage = self._lineage(self._generator)
        kept, rejected = [], []
        counts: Counter[str] = Counter()
        for one in asked:
            try:
                scores = [_scores(future) for future in one.futures]
            except RecordError as error:
                rejected.append(rejected_record(one.row, Rejection("score", error.reason, error.detail)))
            else:
                kept.append(_output(one, scores, lineage))
                counts["tokens_scored"] += sum(len(tokens) for found in scores for tokens in found)
            self._done += 1
        counts.update(rows_in=len(rows), rows_kept=len(kept), rows_rejected=len(rejected))
        counts.update(targets=0, targets_accepted=0, targets_rejected=0)
        counts.update(rejected_counts(rejected))
        return UnitResult(pa.Table.from_pylist(kept, CHOSEN_SCHEMA), rejected_table(rejected), counts)

    def heartbeat(self) -> dict[str, float]:
        """The engine's statistics, and how many questions were answered."""
        return {**engine_figures(self.engine), "rows_done": float(self._done)}

    def close(self) -> None:
        """The engine stays open in the process; what it compiled is kept."""
        keep_compiled()

    def _lineage(self, generator: Generator) -> dict[str, str]:
        values = (
            os.path.basename(os.path.normpath(self.engine.model)),
            self.checkpoint_sha256,
            self.engine.determinism,
            json.dumps(generator.fingerprint(), sort_keys=True),
            self.benchmark_version,
        )
        return dict(zip(_LINEAGE, values, strict=True))


def _asked(unit: Unit, row: int, values: Mapping[str, Any], tokenizer: Tokenizer) -> _Scoring:
    digest = content_sha256(values["content"])
    question = question_of(values["question"])
    source = Row(SourceRef(*unit.place(row)), values["content"], digest, digest)
    return _Scoring(source, question, values, requests_of(question, tokenizer))


def _submit(generator: Generator, asked: Sequence[_Scoring]) -> None:
    try:
        futures = iter(generator.score([request for one in asked for request in one.asked.requests]))
    except RuntimeError as error:
        raise WorkBroken(f"the engine no longer accepts prompts: {error}") from error
    for one in asked:
        one.futures = [next(futures) for _ in one.asked.requests]


def _scores(future: Future[Scores]) -> Scores:
    """Waits for a request's scores. Raises RecordError if it can't be scored."""
    try:
        return future.result()
    except RecordError:
        raise
    except RuntimeError as error:  # the engine or its device has stopped, whatever the request
        raise WorkBroken(f"the engine failed: {type(error).__name__}") from error


def _output(one: _Scoring, scores: Sequence[Scores], lineage: Mapping[str, str]) -> dict[str, Any]:
    question = one.question
    verdict = verdict_of(question, one.asked.logprobs(scores))
    texts = [choice.continuation.strip() for choice in question.choices]
    counts = [len(scores[request][number]) for request, number in one.asked.places]
    evidence = zip(texts, verdict.logprobs, counts, verdict.num_bytes, strict=True)
    return {
        **{name: one.values[name] for name in _KEPT},
        "prompt": one.row.content,
        "answer": texts[verdict.predicted],
        "passed": verdict.correct,
        "choices": [dict(zip([field.name for field in _CHOICE_TYPE], values, strict=True)) for values in evidence],
        "gold": question.gold,
        "measured": _measured(verdict, texts),
        "lineage": {**source_lineage(one.row), **lineage},
    }


def _measured(verdict: Verdict, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"metric": "acc", "extracted": texts[verdict.predicted], "correct": verdict.correct},
        {"metric": "acc_norm", "extracted": texts[verdict.predicted_norm], "correct": verdict.correct_norm},
    ]
