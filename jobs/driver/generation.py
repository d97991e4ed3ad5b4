"""Runs a generation job: the driver's code that infill, docstring, generate and annotate share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol, TypeVar

from jobs import storage
from jobs.beam.accelerators import ACCELERATORS, Accelerator
from jobs.beam.dataflow import on_accelerator
from jobs.driver.context import context_hooks
from jobs.driver.driver import run_job
from jobs.execution.generation import content_filter_of, version_of_filters
from jobs.execution.vocabulary import vocabulary_sha256
from jobs.options import GenerationOptions, ModelJobOptions, PlannedLengths, all_options
from jobs.plan.job_file import read_job
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted
from model.checkpoint import read_config
from model.engine.settings import EngineSpec
from model.errors import ConfigError
from model.roofline import GIB, Shape, largest_slots
from transforms.generation.work import GenerationWork
from transforms.work import Work


class WithEngine(Work, Protocol):
    """A work that asks an engine."""

    @property
    def engine(self) -> EngineSpec: ...


Opt = TypeVar("Opt", bound=ModelJobOptions)
W = TypeVar("W", bound=WithEngine)

_LENGTHS = tuple(field.name for field in fields(PlannedLengths))


def run_generation_job(
    job_name: str,
    options: GenerationOptions,
    beam_args: Sequence[str],
    build_work: Callable[[Mapping[str, Any]], GenerationWork],
) -> int:
    """Runs a generation job and returns the exit code.

    The current version of the policy is frozen with the options: a file that changes is another policy. If prompts show
    what files import, the input is grouped by repository first, but not for a dry run.
    """
    accelerator = None if options.accelerator is None else ACCELERATORS[options.accelerator]
    if accelerator is not None:
        beam_args = on_accelerator(accelerator, beam_args)
    options = replace(options, policy_version=version_of_filters(options, content_filter_of(options)))
    options, work = freeze_model_options(job_name, options, build_work)
    if accelerator is not None:
        _check_fits(work.engine, accelerator)
    if work.is_verified and not beam_args and options.run_units != "elsewhere":
        work.check_sandbox()  # before anything is written: the way out is another option
    hooks = {} if work.context is None or options.dry_run else context_hooks(options, work)
    return run_job(job_name, options, beam_args, work, **hooks)


def freeze_model_options(job_name: str, options: Opt, build_work: Callable[[Mapping[str, Any]], W]) -> tuple[Opt, W]:
    """Returns the options with all that the model and an earlier run of the job decide, and the work that they make.

    The hash of a vocabulary named by an option is frozen with the options, since a file that changes is another
    vocabulary, and so are the lengths that the work chose, so that a resumed job keeps them.
    """
    if options.tokenizer is not None:
        options = replace(options, tokenizer_sha256=vocabulary_sha256(options))
    work = build_work(all_options(_with_frozen_lengths(job_name, options)))
    return replace(options, **{name: getattr(work.engine, name) for name in _LENGTHS}), work


def _check_fits(engine: EngineSpec, accelerator: Accelerator) -> None:
    """Raises ConfigError if an accelerator's memory doesn't hold the model and its slots."""
    if _fits(engine, accelerator):
        return
    larger = [name for name, one in ACCELERATORS.items() if _fits(engine, one)]
    shape, chips = _shape(engine, accelerator), _chips_of_one_model(engine, accelerator)
    room = chips * accelerator.chip.memory_bytes / GIB
    raise ConfigError(
        f"{shape.weight_bytes / GIB:.1f} GiB of {shape.weights} weights and {counted(engine.slots or 1, 'slot')} of "
        f"{_positions(engine)} tokens don't fit on --accelerator {accelerator.name} ({room:.1f} GiB for one model); "
        + (f"they fit on {', '.join(larger)}" if larger else "lower --slots or --max_prompt_tokens")
    )


def _fits(engine: EngineSpec, accelerator: Accelerator) -> bool:
    shape, chips = _shape(engine, accelerator), _chips_of_one_model(engine, accelerator)
    room = {"positions": _positions(engine), "new_positions": engine.max_new_tokens}
    most = largest_slots(shape, accelerator.chip, chips=chips, **room)
    return most >= (engine.slots or 1)


def _shape(engine: EngineSpec, accelerator: Accelerator) -> Shape:
    compute = accelerator.chip.compute if engine.dtype == "auto" else engine.dtype
    return Shape(
        config=read_config(engine.model),
        weights="int8" if engine.weights == "int8" else compute,
        cache="int8" if engine.prompt_cache == "int8" else compute,
    )


def _chips_of_one_model(engine: EngineSpec, accelerator: Accelerator) -> int:
    """Chips that one model can use: a key/value head isn't split."""
    return min(accelerator.chips, read_config(engine.model).num_kv_heads)


def _positions(engine: EngineSpec) -> int:
    return engine.max_prompt_tokens + engine.max_new_tokens


def _with_frozen_lengths(job_name: str, options: Opt) -> Opt:
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
