"""The fused steps of a job, as its options have them: frozen with the others, and rebuilt by every worker.

    fused_steps: ['{"job": "filter", "name": "clean", "options": {...}}', ...]        in the order of the data

A step has its options that affect rows. What it shares with the job around it (input, output, opt-out lists) stands in
that job's options alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from jobs.catalog import options_of
from jobs.options import GrowOptions
from jobs.options.fields import OptionSet, all_options, fields_of, semantic_options

SEES_ALL: Final = "dedup"
"""The job that has to see all rows before it can judge one; its work has a field `before`."""
FUSED_STEPS: Final = "fused_steps"
"""The option of the job around them."""
_SHARED: Final = ("input", "limit", "retry_rejected", "opt_out_sha256", FUSED_STEPS)
_OF_THE_JOB: Final = ("input", "output", "workers", "opt_out", "opt_out_sha256")


@dataclass(frozen=True, kw_only=True)
class FrozenStep:
    """A fused step.

    Args:
        name: Its name in the pipeline.
        job: Its job.
        options: Its options that affect rows, but for those that it shares.
    """

    name: str
    job: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, job: str, options: OptionSet) -> FrozenStep:
        """The step with these options."""
        semantic = {key: value for key, value in semantic_options(options).items() if key not in _SHARED}
        return cls(name=name, job=job, options=semantic)

    def to_text(self) -> str:
        """The step as an option has it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> FrozenStep:
        """Reads what `to_text` wrote."""
        return cls(**json.loads(text))

    def options_in(self, around: Mapping[str, Any]) -> dict[str, Any]:
        """All options of the step's work.

        Args:
            around: All options of the job around it.
        """
        names = {field.name for field in fields_of(options_of(self.job))}
        shared: dict[str, Any] = {name: around[name] for name in _OF_THE_JOB if name in names and name in around}
        return {**self.options, **shared}


def fused_steps_of(options: Mapping[str, Any]) -> tuple[FrozenStep, ...]:
    """The fused steps of a job with these options."""
    return tuple(map(FrozenStep.from_text, options.get(FUSED_STEPS, ())))


def can_grow(options: OptionSet) -> bool:
    """Whether a job with these options can take in what is new: not with a fused step that has to see all rows."""
    steps = fused_steps_of(all_options(options))
    return isinstance(options, GrowOptions) and not any(step.job == SEES_ALL for step in steps)
