"""Problems that users bring: `task_id`, `language`, `prompt`, `test`, and optionally `setup`, `suffix`,
`entry_point`, `answer`.

The program is setup, prompt, answer, suffix and test, one after the other. A test in its language's own test tool is
compiled as one. `entry_point` names the function that a `check(candidate)` is given; without it, that is the last one
that the prompt begins to define. A row with `messages` is a conversation (`transforms.evaluation.conversations`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from model.errors import RecordError
from transforms.evaluation.benchmarks.base import Benchmark, Row
from transforms.evaluation.chat import code_of_turn
from transforms.evaluation.conversations import answer_of, conversation_of, problem_of_conversation
from transforms.evaluation.problems import Problem
from transforms.evaluation.question import Asking
from transforms.sandbox.toolchains import toolchain_of

_PYTHON_FUNCTION: Final = re.compile(r"^(?:async\s+)?def\s+(\w+)", re.M)


def problem(row: Row) -> Problem:
    """The problem of a row. Raises RecordError if its language isn't run here, or its test is missing."""
    if row.get("messages") is not None:
        return problem_of_conversation(row)
    toolchain = toolchain_of(str(row["language"]))
    if toolchain is None:
        raise RecordError("unknown_language", str(row["language"]))
    if not row.get("test"):
        raise RecordError("no_test", f"task {row['task_id']} has no test")
    return Problem(
        problem_id=str(row["task_id"]),
        language=toolchain.language,
        form="program",
        setup=row.get("setup") or "",
        prefix=row.get("prompt") or "",
        suffix=row.get("suffix") or "",
        test=row["test"],
        entry_point=row.get("entry_point") or next(iter(_PYTHON_FUNCTION.findall(row.get("prompt") or "")[::-1]), ""),
        wall_s=toolchain.run_limits.wall_s,
    )


def _own_answer(row: Row) -> Any:
    return answer_of(row) if row.get("answer") is None else row["answer"]


def _code(answer: str, row: Row) -> str:
    """What is tried of an answer: of a turn its code."""
    return answer if row.get("messages") is None else code_of_turn(answer, str(row["language"]))


OWN_TESTS: Final = Benchmark(
    name="tests",
    version="5",
    source="the user's",
    layouts=(("task_id", "language", "prompt", "test"), ("task_id", "language", "messages")),
    problem=problem,
    reference=_own_answer,
    asking=Asking(
        protocol="tests",
        prompt=lambda row: row.get("prompt") or "",
        suffix=lambda row: row.get("suffix") or "",
        conversation=conversation_of,
    ),
    code=_code,
)
