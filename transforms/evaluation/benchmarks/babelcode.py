"""BabelCode: HumanEval and MBPP in eight languages. An answer passes when the program reports each of its tests.

`test_code` is a whole program with a place for the code; it prints `TEST-<id>...PASSED` for each test. A command may
run for 10 seconds, Java's 15, Kotlin's 30. Source: Orlanski et al., 2023 (arXiv 2302.01973) and the harness
github.com/google-research/babelcode.
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.problems import CODE_BODY, Problem
from transforms.evaluation.question import Asking
from transforms.sandbox.toolchains import toolchain_of

WALL_S: Final = {"Java": 15.0, "Kotlin": 30.0}
_DEFAULT_WALL_S: Final = 10.0


def problem(row: Row) -> Problem:
    """The problem of a row.

    Raises:
        RecordError: Its language isn't one that is run here, or its program has no place for the code.
    """
    toolchain = toolchain_of(row["language"])
    if toolchain is None:
        raise RecordError("unknown_language", row["language"])
    if row["test_code"].count(CODE_BODY) != 1:
        raise RecordError("no_place_for_code", f"test_code must have {CODE_BODY} once")
    return Problem(
        problem_id=f"{row['qid']}/{toolchain.language}",
        language=toolchain.language,
        form="markers",
        test=row["test_code"],
        entry_point=row["entry_fn_name"],
        entry_class=row["entry_cls_name"],
        markers=tuple(map(str, row["test_case_ids"])),
        wall_s=WALL_S.get(toolchain.language, _DEFAULT_WALL_S),
    )


BENCHMARKS: Final = tuple(
    Benchmark(
        name=f"babelcode_{name}",
        version="3",
        source="arXiv 2302.01973; github.com/google-research/babelcode",
        layouts=(("qid", "language", "signature_with_docstring", "test_code", "test_case_ids", "entry_fn_name"),),
        problem=problem,
        asking=Asking(
            protocol="babelcode",
            prompt=lambda row: row["signature_with_docstring"],
            lead=lambda row: row["signature_with_docstring"],
        ),
        reference=lambda row: (row.get("python_solution") or None) if row["language"].lower() == "python" else None,
    )
    for name in ("human_eval", "mbpp")
)
