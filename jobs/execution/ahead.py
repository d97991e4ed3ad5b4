"""Starts the first worker of a generation job while the driver still imports what it needs itself.

A worker imports JAX and Flax for a second, a driver its own modules for two thirds of one: side by side on two cores.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jobs.system.child_process import started_ahead

if TYPE_CHECKING:
    from jobs.options import GenerationOptions
    from transforms.generation.work import GenerationWork

_ENGINE: Final = ("jobs.execution.child_work", "model.engine.engine", "model.sharding", "model.checkpoint")


def run_generation_job(
    job_name: str,
    options: GenerationOptions,
    beam_args: Sequence[str],
    build_work: Callable[[Mapping[str, Any]], GenerationWork],
) -> int:
    """Does what the driver's function of this name does, with a worker that starts at once if one is to run here."""
    is_here = not beam_args and options.run_units != "elsewhere"
    with started_ahead(_ENGINE) if is_here else contextlib.nullcontext():
        run = importlib.import_module("jobs.driver.generation").run_generation_job
        code: int = run(job_name, options, beam_args, build_work)
        return code
