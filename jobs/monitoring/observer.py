"""An observer of a run, and what it knows of the run from the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["complete", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What stays the same during a run.

    Args:
        job: The job's name.
        run_id: The run's name.
        output: The output folder, as it was named.
        inputs: The inputs, as they were named.
        started: When it began, in UTC.
    """

    job: str
    run_id: str
    output: str
    inputs: tuple[str, ...]
    started: str


class Observer:
    """Is told what becomes of a run; by itself it does nothing with it. Each method may raise OSError."""

    def begin(self) -> None:
        """The run begins."""

    def planned(self, totals: Mapping[str, Any]) -> None:
        """What there is to do is known."""

    def progress(self, facts: Mapping[str, Any]) -> None:
        """How far the run is."""

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """The run has ended; a summary of one that didn't finish has `error` instead of counts."""
