r"""MATH: competition problems whose solutions end in `\boxed{...}`. The last box of an answer counts.

Source: Hendrycks et al., 2021 (arXiv 2103.03874).
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.question import Asking
from transforms.evaluation.texts.formulas import check_comparing
from transforms.evaluation.texts.problem import TextProblem, numbered
from transforms.evaluation.texts.reading import last_box

# The hub's copies, from memory: hendrycks/competition_math (withdrawn) and EleutherAI/hendrycks_math (a configuration
# a subject) have the first; HuggingFaceH4/MATH-500 the second, with the answer beside the solution whose box it is.
_LAYOUTS: Final = (("problem", "level", "type", "solution"), ("problem", "solution", "answer", "subject", "level"))


def problem(row: Row) -> TextProblem:
    """The problem of a row. Raises RecordError if its solution has no box."""
    gold = last_box(row["solution"])
    if gold is None:
        raise RecordError("no_answer", "solution must have its answer in a box")
    return TextProblem(problem_id=numbered("math", row["problem"]), kind="formula", gold=(gold,))


def _question(row: Row) -> str:
    return f"Problem:\n{row['problem'].strip()}\n\nSolution:"


BENCHMARK: Final = Benchmark(
    name="math",
    version="5",
    source="arXiv 2103.03874",
    layouts=_LAYOUTS,
    problem=problem,
    reference=lambda row: row["solution"],
    asking=Asking(
        protocol="math", prompt=_question, shot=lambda row: f"{_question(row)}\n{row['solution'].strip()}\n\n"
    ),
    is_text=True,
    check_needs=check_comparing,
)
