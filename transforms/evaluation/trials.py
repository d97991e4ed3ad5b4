"""The sandbox and the judge of a worker process, for the works that try answers."""

from __future__ import annotations

from transforms.evaluation.judge import Judge, Pending
from transforms.evaluation.problems import Problem
from transforms.sandbox.sandbox import Isolation, Sandbox
from transforms.sandbox.toolchains import toolchains


class Trials:
    """Tries answers, several at a time.

    Args:
        slots: Programs that run at a time.
        isolation: What they run in.

    Raises:
        ConfigError: There can be no sandbox.
    """

    def __init__(self, slots: int, isolation: Isolation):
        known = toolchains()
        folders = tuple({folder for one in known.values() if not one.missing for folder in one.folders})
        self._sandbox = Sandbox(slots=slots, isolation=isolation, folders=folders)
        self._sandbox.__enter__()
        self._judge = Judge(self._sandbox, known)

    @property
    def name(self) -> str:
        """What programs run in, for the lineage."""
        return self._sandbox.name

    def submit(self, problem: Problem, answer: str) -> Pending:
        """Has an answer tried when a slot is free."""
        return self._judge.submit(problem, answer)

    def close(self) -> None:
        """Waits for the programs that run, and removes what they have left."""
        self._sandbox.__exit__()
