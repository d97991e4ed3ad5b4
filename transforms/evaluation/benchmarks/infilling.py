"""HumanEval infilling: a line, some lines or any span of HumanEval's solutions is left out.

A program is prefix, answer, suffix and tests, run for at most 3 seconds. Nothing is cut off an answer here: what a
single line ends at is the job's. Source: Bavarian et al., 2022 (arXiv 2207.14255) and the harness
github.com/openai/human-eval-infilling.
"""

from __future__ import annotations

from typing import Final

from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.benchmarks.human_eval import WALL_S
from transforms.evaluation.problems import Problem
from transforms.evaluation.question import Asking


def problem(row: Row) -> Problem:
    """The problem of a row."""
    return Problem(
        problem_id=row["task_id"],
        language="Python",
        form="check",
        prefix=row["prompt"],
        suffix=row["suffix"],
        test=row["test"],
        entry_point=row["entry_point"],
        wall_s=WALL_S,
    )


BENCHMARKS: Final = tuple(
    Benchmark(
        name=f"human_eval_infilling_{kind}",
        version="2",
        source="arXiv 2207.14255; github.com/openai/human-eval-infilling",
        layouts=(("task_id", "prompt", "suffix", "entry_point", "test"),),
        problem=problem,
        reference=lambda row: row.get("canonical_solution"),
        asking=Asking(
            protocol="human_eval_infilling",
            prompt=lambda row: row["prompt"],
            suffix=lambda row: row["suffix"],
            is_line=kind == "single_line",
        ),
    )
    for kind in ("single_line", "multi_line", "random_span")
)
