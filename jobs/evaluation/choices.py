"""The questions of a benchmark with choices as rows, and the work that has a model choose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.evaluation.tables import checked_rows
from jobs.execution.lengths import check_lengths, with_lengths
from jobs.execution.vocabulary import check_vocabulary
from jobs.options import ModelJobOptions
from model.checkpoint import checkpoint_hash, read_config
from model.engine.settings import EngineSpec
from model.errors import ConfigError
from transforms.evaluation.choosing import ChoiceWork, question_text
from transforms.evaluation.columns import reading_row
from transforms.evaluation.language.base import ChoiceBenchmark
from transforms.evaluation.texts.problem import distinct_ids

_CHOICE_TOKENS: Final = 128  # of a continuation, at most, that the default leaves room for
_PROMPT_TOKENS: Final = 4096  # holds five examples of all of MMLU's subjects but those with long texts
_LANGUAGE: Final = "English"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What a model is to choose.

    Args:
        benchmark: Whose questions, with the number of examples before each.
        data: Their file.
        shots_data: The file with the examples; None if there are none.
        limit: Only the first so many questions.
    """

    benchmark: ChoiceBenchmark
    data: str
    shots_data: str | None
    limit: int | None

    def __post_init__(self) -> None:
        if self.benchmark.shots and self.shots_data is None:
            raise ConfigError(
                f"{self.benchmark.name} has {self.benchmark.shots} examples before each question: give --shots_data, "
                f"the data's {self.benchmark.shots_split} split"
            )
        if self.shots_data is not None and not self.benchmark.shots:
            raise ConfigError(
                f"{self.benchmark.name} is asked without examples; give their number by --shots, or remove --shots_data"
            )


def choice_rows(choices: Choices) -> list[dict[str, Any]]:
    """The rows to ask; writes nothing.

    Raises:
        ConfigError: A file can't be read, has another layout, has a row that is no question, or too few examples.
    """
    benchmark = choices.benchmark
    rows = _rows(benchmark, choices.data, "--data", choices.limit)
    if not rows:
        raise ConfigError(f"{choices.data}: {benchmark.name} has no question there")
    shots = None
    if choices.shots_data is not None:
        where = (f"--shots_data {choices.shots_data}", f"--data {choices.data}")
        examples = _rows(benchmark, choices.shots_data, "--shots_data")
        if os.path.realpath(choices.shots_data) == os.path.realpath(choices.data):
            examples = examples[len(rows) :]  # a question isn't its own example
        shots = benchmark.examples(examples, rows, where)
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows, start=1):
        with reading_row(f"--data {choices.data}, row {number}", f"question of {benchmark.name}"):
            question = benchmark.ask(row, shots)
        found.append(
            {
                "content": question.choices[0].prompt,
                "task_id": question.question_id,
                "sample": 0,
                "language": _LANGUAGE,
                "benchmark": benchmark.name,
                "question": question_text(question),
            }
        )
    # HellaSwag's ids are of texts, each of which has several questions.
    ids = distinct_ids([row["task_id"] for row in found])
    return [{**row, "task_id": one} for row, one in zip(found, ids, strict=True)]


def _rows(benchmark: ChoiceBenchmark, path: str, flag: str, limit: int | None = None) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for _, row in checked_rows(path, flag, benchmark.check_columns):
        rows.append(row)
        if len(rows) == limit:
            break
    return rows


def choice_work(options: ModelJobOptions, benchmark: ChoiceBenchmark) -> ChoiceWork:
    """Makes the work.

    Raises:
        ConfigError: The model or its vocabulary can't be found or don't match, or a question could be longer than its
            context.
    """
    options = with_lengths(options, answer_tokens=_CHOICE_TOKENS, prompt_tokens=_PROMPT_TOKENS)
    config = read_config(options.model)
    check_vocabulary(options, config, is_chat=None)
    check_lengths(options, config)
    return ChoiceWork(
        engine=options.part(EngineSpec),
        tokenizer=options.vocabulary,
        checkpoint_sha256=checkpoint_hash(options.model),
        benchmark_version=benchmark.version,
    )
