"""Builds the work of a job with fused steps; the driver and every worker do so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jobs.catalog import module_of
from jobs.fusing.frozen import SEES_ALL, fused_steps_of
from jobs.fusing.results import ResultsInJob
from jobs.plan.opt_out import matcher_of
from jobs.plan.schemas import schema_as_read
from transforms.fused_work import FusedStep, FusedWork, RowsBefore
from transforms.work import Work


def with_fused_steps(job_name: str, work: Work, options: Mapping[str, Any]) -> Work:
    """Puts a job's fused steps before its work.

    Args:
        job_name: The job.
        work: Its own work.
        options: All options of the job; one without fused steps leaves the work as it is.

    Raises:
        ConfigError: A step's set-up can't work.
    """
    fused = fused_steps_of(options)
    if not fused:
        return work
    results = ResultsInJob(options["output"])
    steps: list[FusedStep] = []

    def behind(job: str, own: Work) -> Work:
        if job != SEES_ALL or not steps:
            return own
        before = RowsBefore(tuple(steps), results, matcher_of(options))
        return dataclasses.replace(own, before=before)  # type: ignore[type-var]  # it is a dataclass

    for step in fused:
        own: Work = module_of(step.job).build_work(step.options_in(options))
        steps.append(FusedStep(step.name, behind(step.job, own), schema_as_read))
    return FusedWork(behind(job_name, work), tuple(steps), results)
