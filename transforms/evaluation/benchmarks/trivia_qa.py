"""TriviaQA without context: questions with short answers. Right is any of an answer's aliases, whatever its case.

Source: Joshi et al., 2017 (arXiv 1705.03551).
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.question import Asking
from transforms.evaluation.texts.problem import TextProblem


def problem(row: Row) -> TextProblem:
    """The problem of a row. Raises RecordError if its answer has another layout."""
    answer = row["answer"]
    if not isinstance(answer, dict) or "value" not in answer:
        raise RecordError("no_answer", "answer must be a struct with value and aliases")
    forms = (answer["value"], *(answer.get("aliases") or ()), *(answer.get("normalized_aliases") or ()))
    gold = tuple(dict.fromkeys(form for form in forms if form))
    return TextProblem(problem_id=str(row["question_id"]), kind="short", gold=gold)


def _question(row: Row) -> str:
    return f"Question: {row['question'].strip()}\nAnswer:"


BENCHMARK: Final = Benchmark(
    name="trivia_qa",
    version="1",
    source="arXiv 1705.03551",
    layouts=(("question", "question_id", "answer"),),
    problem=problem,
    reference=lambda row: row["answer"]["value"],
    asking=Asking(
        protocol="trivia_qa",
        prompt=_question,
        shot=lambda row: f"{_question(row)} " + row["answer"]["value"] + "\n\n",  # a null is no text
    ),
    is_text=True,
)
