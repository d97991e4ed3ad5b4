"""The pipeline that a running job is a step of, for its summary and its report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from jobs.pipelines.steps import Step

_current: ContextVar[dict[str, Any] | None] = ContextVar("pipeline", default=None)


@contextlib.contextmanager
def running(step: Step, steps: Sequence[Step]) -> Iterator[None]:
    """Says that what runs meanwhile is this step of these."""
    told = [
        {"name": one.name, "job": one.job, "reads": list(one.reads)}
        | ({"runs_inside": one.fused_with} if one.is_fused else {})
        for one in steps
    ]
    token = _current.set({"step": step.name, "steps": told})
    try:
        yield
    finally:
        _current.reset(token)


def current_pipeline() -> dict[str, Any] | None:
    """The step's name and all steps, as `summary.json` has them; None outside of a pipeline."""
    return _current.get()
