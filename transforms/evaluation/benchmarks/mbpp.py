"""MBPP: functions in Python asked for in a sentence, each with three assertions. The scored part is ids 11 to 510.

The columns are BabelCode's (`id`, `testing_code`, `entry_fn_name`) or those of the hub (`task_id`, `test_list`,
`test_setup_code`). Source: Austin et al., 2021 (arXiv 2108.07732).
"""

from __future__ import annotations

from typing import Final

from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.problems import Problem

FIRST, LAST = 11, 510
WALL_S: Final = 3.0


def problem(row: Row) -> Problem | None:
    """The problem of a row; None if its id is not in the scored part."""
    number = int(row["id"] if "id" in row else row["task_id"])
    if not FIRST <= number <= LAST:
        return None
    return Problem(
        problem_id=f"MBPP/{number}",
        language="Python",
        form="asserts",
        test=row["testing_code"] if "testing_code" in row else "\n".join(row["test_list"]),
        setup=(row.get("test_setup_code") or "").rstrip() + "\n",
        entry_point=row.get("entry_fn_name") or "",
        wall_s=WALL_S,
    )


BENCHMARK: Final = Benchmark(
    name="mbpp",
    version="2",
    source="arXiv 2108.07732",
    layouts=(("id", "text", "testing_code", "entry_fn_name"), ("task_id", "text", "test_list", "test_setup_code")),
    problem=problem,
    reference=lambda row: row.get("solution") or row.get("code") or None,
)
