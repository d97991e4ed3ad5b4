"""GSM8K: problems of school mathematics in words. The answer is the number behind `####`, or the last one.

Source: Cobbe et al., 2021 (arXiv 2110.14168).
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.question import Asking
from transforms.evaluation.texts.problem import TextProblem, numbered
from transforms.evaluation.texts.reading import strict_number


def problem(row: Row) -> TextProblem:
    """The problem of a row. Raises RecordError if its answer doesn't end in `#### N`."""
    gold = strict_number(row["answer"])
    if gold is None:
        raise RecordError("no_answer", "answer must end in #### and a number")
    return TextProblem(problem_id=numbered("gsm8k", row["question"]), kind="number", gold=(gold,))


def _question(row: Row) -> str:
    return f"Question: {row['question'].strip()}\nAnswer:"


BENCHMARK: Final = Benchmark(
    name="gsm8k",
    version="1",
    source="arXiv 2110.14168",
    layouts=(("question", "answer"),),
    problem=problem,
    reference=lambda row: row["answer"],
    asking=Asking(protocol="gsm8k", prompt=_question, shot=lambda row: f"{_question(row)} {row['answer'].strip()}\n\n"),
    is_text=True,
)
