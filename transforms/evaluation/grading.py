"""Whether an answer is right: by running it, or by comparing it with the answer that is known.

code   program -> sandbox -> `Verdict`, beside the engine
text   `transforms.evaluation.texts`: what is extracted from the answer, by each metric of the benchmark
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from transforms.evaluation.problems import Verdict
from transforms.evaluation.trials import Trials
from transforms.evaluation.work import problem_of
from transforms.sandbox.sandbox import Isolation

MEASURED_TYPE: Final = pa.list_(
    pa.field(
        "item",
        pa.struct(
            [
                pa.field("metric", pa.string(), nullable=False),
                pa.field("extracted", pa.large_string()),  # null: there is nothing of that form in the answer
                pa.field("correct", pa.bool_()),  # null: it can't be told
            ]
        ),
        nullable=False,
    )
)
"""What was found in an answer that is a text, by metric."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a text.

    Args:
        metric: Its name.
        extracted: What was found in the answer; None: nothing of that form.
        correct: Whether it is the known answer; None: it can't be told.
    """

    metric: str
    extracted: str | None
    correct: bool | None


@dataclass(frozen=True, slots=True)
class Graded:
    """What became of an answer.

    Args:
        passed: Whether it is right, by the benchmark's first metric; None: it can't be told here.
        verdict: The evidence of a program's run.
        measured: The metrics of a text.
    """

    passed: bool | None
    verdict: Verdict | None = None
    measured: tuple[Measured, ...] = ()


class Grader(Protocol):
    """Grades the answers of one benchmark."""

    @property
    def sandbox(self) -> str:
        """What programs run in, for the lineage; "" if none does."""
        ...

    def submit(self, problem: str, answer: str) -> Callable[[], Graded]:
        """Begins; the result waits.

        Args:
            problem: The problem, as its row has it.
            answer: The answer.
        """
        ...

    def close(self) -> None: ...


class ProgramGrader:
    """Runs answers; see `Grader`. Raises ConfigError if there can be no sandbox."""

    def __init__(self, slots: int, isolation: Isolation):
        self._trials = Trials(slots, isolation)

    @property
    def sandbox(self) -> str:
        return self._trials.name

    def submit(self, problem: str, answer: str) -> Callable[[], Graded]:
        pending = self._trials.submit(problem_of(problem), answer)

        def graded() -> Graded:
            verdict = pending.verdict()
            return Graded(verdict.passed if verdict.was_run else None, verdict)

        return graded

    def close(self) -> None:
        self._trials.close()
