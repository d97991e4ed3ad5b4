"""Builds the rows that a model is asked: the questions of a benchmark, with examples in front where it has some.

Examples are rows of the benchmark's own file that aren't scored (MBPP), or the first rows of the file that
`--shots_data` names: what a benchmark's authors or another harness chose doesn't come with codemill.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.evaluation.prepare import Sources, read_problems
from jobs.evaluation.tables import read_rows
from model.errors import ConfigError
from transforms.evaluation.benchmarks.base import Benchmark
from transforms.evaluation.protocol import Protocol, Stops
from transforms.evaluation.question import Asking, Question
from transforms.evaluation.texts.problem import TextProblem
from transforms.evaluation.work import problem_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """What a model is asked.

    Args:
        sources: Where the problems stand.
        benchmark: Whose they are.
        asking: How its rows become questions.
        protocol: The facts of it.
        shots: Examples in front of each question.
        shots_data: The file that they come from; None: the benchmark's own.
        samples: Answers to each.
    """

    sources: Sources
    benchmark: Benchmark
    asking: Asking
    protocol: Protocol
    shots: int
    shots_data: str | None
    samples: int

    @property
    def version(self) -> str:
        """Protocol and examples in one word, for the lineage."""
        return f"{self.protocol.version}/shots-{self.shots}"


def asked_rows(questions: Questions) -> list[dict[str, Any]]:
    """The rows to ask, one per sample; writes nothing.

    Raises:
        ConfigError: A file can't be read, has another layout, or too few examples.
    """
    examples = "".join(_examples(questions))
    rows = list(_asked(questions, examples))
    if not rows:
        wanted = f" in {', '.join(questions.sources.languages)}" if questions.sources.languages else ""
        raise ConfigError(f"{questions.sources.data}: {questions.benchmark.name} has no problem there{wanted}")
    return rows


def _asked(questions: Questions, examples: str) -> Iterator[dict[str, Any]]:
    asking, shots = questions.asking, questions.shots
    prompt_of = asking.shot_prompt if shots and asking.shot_prompt is not None else asking.prompt
    for problem, row in read_problems(questions.sources):
        question = Question(
            form=questions.protocol.form,
            protocol=questions.version,
            suffix=asking.suffix(row),
            is_line=asking.is_line,
            lead=asking.lead(row),
            ending=_ending(questions, problem.language),
        )
        for sample in range(questions.samples):
            yield {
                "content": examples + prompt_of(row),
                "task_id": problem.problem_id,
                "sample": sample,
                "language": problem.language,
                "benchmark": questions.benchmark.name,
                "question": question.text(),
                "problem": problem.text() if isinstance(problem, TextProblem) else problem_text(problem),
            }


def _ending(questions: Questions, language: str) -> Stops:
    return questions.protocol.ending_of(language, questions.shots)


def _examples(questions: Questions) -> Iterator[str]:
    """The examples' texts, as many as are asked for."""
    wanted, asking = questions.shots, questions.asking
    if not wanted:
        return
    if asking.shot is None:
        raise ConfigError(f"--shots {wanted}: {questions.benchmark.name} is asked without examples; remove --shots")
    rows: Iterator[Mapping[str, Any]]
    if questions.shots_data is not None:
        where = f"--shots_data {questions.shots_data}"
        rows = _checked(questions, read_rows(questions.shots_data, "--shots_data"))
    elif asking.is_shot is not None:
        where = f"--data {questions.sources.data}"
        rows = filter(asking.is_shot, read_rows(questions.sources.data, "--data"))
    else:
        raise ConfigError(
            f"{questions.benchmark.name} with --shots {wanted} needs --shots_data, a file of its layout whose first "
            "rows are the examples (rows that aren't scored, such as those of its train split)"
        )
    found = [asking.shot(row) for row in itertools.islice(rows, wanted)]
    if len(found) < wanted:
        raise ConfigError(f"--shots {wanted}: {where} has {len(found)} examples")
    yield from found


def _checked(questions: Questions, rows: Iterator[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows):
        if not number:
            questions.benchmark.check_columns(list(row))
        yield row
