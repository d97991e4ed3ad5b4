"""Runs a generation job: the driver's code that infill, docstring, generate and annotate share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.driver.driver import run_job
from jobs.execution.generation import content_filter_of, version_of_filters
from jobs.execution.vocabulary import vocabulary_sha256
from jobs.options import GenerationOptions, all_options
from transforms.generation.work import GenerationWork


def run_generation_job(
    job_name: str,
    options: GenerationOptions,
    beam_args: Sequence[str],
    build_work: Callable[[Mapping[str, Any]], GenerationWork],
) -> int:
    """Runs a generation job and returns the exit code.

    The current versions of the policy and of a vocabulary named by an option are frozen with the options: a file that
    changes is another policy or vocabulary.
    """
    options = replace(options, policy_version=version_of_filters(options, content_filter_of(options)))
    if options.tokenizer is not None:
        options = replace(options, tokenizer_sha256=vocabulary_sha256(options))
    return run_job(job_name, options, beam_args, build_work(all_options(options)))
