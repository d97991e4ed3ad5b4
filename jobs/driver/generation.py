"""Runs a generation job: the driver's code that infill, docstring, generate and annotate share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from jobs import storage
from jobs.driver.driver import run_job
from jobs.execution.generation import content_filter_of, version_of_filters
from jobs.execution.vocabulary import vocabulary_sha256
from jobs.options import GenerationOptions, PlannedLengths, all_options
from jobs.plan.job_file import read_job
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from transforms.generation.work import GenerationWork

_LENGTHS = tuple(field.name for field in fields(PlannedLengths))


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
    work = build_work(all_options(_with_frozen_lengths(job_name, options)))
    # The lengths that the work chose are frozen, so that a resumed job keeps them.
    chosen = {name: getattr(work.engine, name) for name in _LENGTHS}
    return run_job(job_name, replace(options, **chosen), beam_args, work)


def _with_frozen_lengths(job_name: str, options: GenerationOptions) -> GenerationOptions:
    """Returns the options with the lengths of the job that is resumed, where the user gives none.

    Whatever is wrong with the output is left to the driver, which says it better.
    """
    try:
        found = read_job(OutputFolder(options.output.removeprefix("file://")))
    except ConfigError:
        return options
    except Exception as error:
        if not storage.is_unanswered(error):
            raise
        raise ConfigError(storage.unanswered_line(error)) from error
    if found is None or found.job != job_name:
        return options
    missing = [name for name in _LENGTHS if getattr(options, name) is None and name in found.options]
    return replace(options, **{name: found.options[name] for name in missing})
