"""What a summary tells of fused steps: the rows of each, its other counts and its options.

Rows are those that the step got when units ran; rows that left the dataset afterward are among them, as they are among
the planned ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.finalize.publishing import public_options
from jobs.fusing.frozen import FUSED_STEPS, fused_steps_of
from jobs.plan.job_file import JobFile
from transforms.fused_work import FUSED

_ROWS = ("in", "kept", "rejected")


def fused_part(job: JobFile, counts: Mapping[str, int], is_told: Callable[[str], bool]) -> dict[str, Any]:
    """The summary's part about fused steps; empty for a job without any.

    Args:
        job: The job.
        counts: All counts.
        is_told: Whether a count of a job is told under its name.
    """
    steps = []
    for step in fused_steps_of(job.options):
        head = f"{FUSED}{step.name}/"
        own = {name.removeprefix(head): count for name, count in sorted(counts.items()) if name.startswith(head)}
        told = {name: count for name, count in own.items() if is_told(name)}
        rows = {name: own.get(f"rows_{name}", 0) for name in _ROWS}
        options = public_options(step.job, step.options)
        steps.append({"name": step.name, "job": step.job, "rows": rows, "counts": told, "options": options})
    return {FUSED_STEPS: steps} if steps else {}


def fused_sum(before: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The same part of two editions of a dataset together, from their summaries."""
    steps = []
    for one, other in zip(before.get(FUSED_STEPS, ()), own.get(FUSED_STEPS, ()), strict=True):
        sums = {}
        for name in ("rows", "counts"):
            total = Counter(one[name])
            total.update(other[name])
            sums[name] = dict(total)
        steps.append({**other, **sums})
    return {FUSED_STEPS: steps} if steps else {}


def rows_left(summary: Mapping[str, Any]) -> tuple[str, int] | None:
    """The last fused step and how many rows it left; None if there is none."""
    steps: Sequence[Mapping[str, Any]] = summary.get(FUSED_STEPS, ())
    return (steps[-1]["name"], steps[-1]["rows"]["kept"]) if steps else None


def fused_lines(summary: Mapping[str, Any]) -> list[str]:
    """A line for each fused step, for the end of a job."""
    return [
        f"{step['name']} (codemill {step['job']}, fused): {step['rows']['in']:,} rows = "
        f"{step['rows']['kept']:,} kept + {step['rows']['rejected']:,} rejected"
        for step in summary.get(FUSED_STEPS, ())
    ]
