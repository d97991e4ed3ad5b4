"""MBPP: functions in Python asked for in a sentence, each with three assertions. The scored part is ids 11 to 510.

The columns are BabelCode's (`id`, `testing_code`, `entry_fn_name`) or those of the hub (`task_id`, `test_list`,
`test_setup_code`). Source: Austin et al., 2021 (arXiv 2108.07732).
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.problems import Problem
from transforms.evaluation.question import Asking

FIRST, LAST = 11, 510
SHOTS: Final = (2, 3, 4)
"""The tasks that are shown as examples; like all up to 10 they aren't scored."""
WALL_S: Final = 3.0


def problem(row: Row) -> Problem | None:
    """The problem of a row; None if its id is not in the scored part."""
    number = _number(row)
    if not FIRST <= number <= LAST:
        return None
    return Problem(
        problem_id=f"MBPP/{number}",
        language="Python",
        form="asserts",
        test=_tests(row),
        setup=(row.get("test_setup_code") or "").rstrip() + "\n",
        entry_point=row.get("entry_fn_name") or "",
        wall_s=WALL_S,
    )


def _number(row: Row) -> int:
    return int(row["id"] if "id" in row else row["task_id"])


def _tests(row: Row) -> str:
    tests: str = row["testing_code"] if "testing_code" in row else "\n".join(row["test_list"])
    return tests


def _reference(row: Row) -> str | None:
    return row.get("solution") or row.get("code") or None


def _docstring(row: Row) -> str:
    """The task and its first test, as a docstring that a program begins with."""
    first = _tests(row).strip().split("\n")[0].strip()
    return f'"""\n{row["text"].strip()}\n{first}\n"""\n'


def _marked(row: Row) -> str:
    """The task and its tests, up to where the solution begins."""
    tests = "\n".join(line.strip() for line in _tests(row).strip().split("\n"))
    return f"{row['text'].strip()}\n{tests}\n[BEGIN]\n"


def _example(row: Row) -> str:
    if (code := _reference(row)) is None:
        raise RecordError("no_solution", f"task {_number(row)} has no solution")
    code = code.replace("\r\n", "\n").strip()
    return f"{_marked(row)}{code}\n[DONE]\n\n"


BENCHMARK: Final = Benchmark(
    name="mbpp",
    version="3",
    source="arXiv 2108.07732",
    layouts=(("id", "text", "testing_code", "entry_fn_name"), ("task_id", "text", "test_list", "test_setup_code")),
    problem=problem,
    reference=_reference,
    asking=Asking(
        protocol="mbpp",
        prompt=_docstring,
        shot_prompt=_marked,
        shot=_example,
        is_shot=lambda row: _number(row) in SHOTS,
    ),
)
