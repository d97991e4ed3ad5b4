"""HumanEval: 164 functions in Python, each asked for by its signature and documentation.

An answer goes on where the prompt ends; `check(entry_point)` must return within 3 seconds. Source: Chen et al., 2021
(arXiv 2107.03374) and the harness github.com/openai/human-eval.
"""

from __future__ import annotations

from typing import Final

from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.problems import Problem
from transforms.evaluation.question import Asking

WALL_S: Final = 3.0


def problem(row: Row) -> Problem:
    """The problem of a row."""
    return Problem(
        problem_id=row["task_id"],
        language="Python",
        form="check",
        prefix=row["prompt"],
        test=row["test"],
        entry_point=row["entry_point"],
        wall_s=WALL_S,
    )


BENCHMARK: Final = Benchmark(
    name="human_eval",
    version="2",
    source="arXiv 2107.03374; github.com/openai/human-eval",
    layouts=(("task_id", "prompt", "entry_point", "test"),),
    problem=problem,
    reference=lambda row: row.get("canonical_solution") or None,
    asking=Asking(protocol="human_eval", prompt=lambda row: row["prompt"]),
)
