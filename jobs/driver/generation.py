"""Runs a generation job: the driver's code that infill, docstring, generate and annotate share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.driver.driver import run_job
from jobs.execution.generation import content_filter_of, version_of_filters
from jobs.options import GenerationOptions, all_options
from transforms.generation.work import GenerationWork


def run_generation_job(
    job_name: str,
    options: GenerationOptions,
    beam_args: Sequence[str],
    build_work: Callable[[Mapping[str, Any]], GenerationWork],
) -> int:
    """Runs a generation job and returns the exit code.

    The current version of the policy is frozen with the options: a policy file that changes is another policy.
    """
    options = replace(options, policy_version=version_of_filters(options, content_filter_of(options)))
    return run_job(job_name, options, beam_args, build_work(all_options(options)))
