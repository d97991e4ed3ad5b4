"""Runs a pipeline's steps in order, or says what there is to do."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence

from jobs import storage
from jobs.cli import run_options
from jobs.options import RunOptions
from jobs.options.fields import fields_of
from jobs.pipelines.belonging import running
from jobs.pipelines.steps import Step
from jobs.storage.folders import OutputFolder
from jobs.system.exit_codes import DONE, FAILED_UNITS, INPUT_CHANGED
from jobs.terminal.escapes import print_line
from jobs.terminal.json_lines import json_lines
from jobs.terminal.wording import counted
from model.errors import ConfigError

_GOES_ON = (DONE, FAILED_UNITS, INPUT_CHANGED)
_COMPLETE, _BEGUN, _NEW = "complete", "begun", "new"


def run_steps(steps: Sequence[Step], chosen: Sequence[Step]) -> int:
    """Runs the chosen steps of all in order.

    Returns:
        The exit code of the step that ended the pipeline, 3 if it stopped before it was complete, else the first of 3
        and 4 that a step had, else 0.

    Raises:
        ConfigError: A chosen step reads the output of one that isn't chosen and not complete.
    """
    _refuse_incomplete(steps, chosen)
    codes: list[int] = []
    for number, step in enumerate(chosen, start=1):
        _say(f"step {number} of {len(chosen)}, {step.name}: codemill {step.job} -> {step.output}")
        with running(step, steps):
            code = run_options(step.job, step.options)
        codes.append(code)
        if code in _GOES_ON and _state(step) != _COMPLETE:  # a training run that stops after some time
            _say(f"stopped: step {step.name} is not complete yet; the same command goes on with it")
            return FAILED_UNITS
        if code not in _GOES_ON:
            left = ", ".join(other.name for other in chosen[number:]) or "none"
            _say(f"stopped: step {step.name} ended with exit code {code}; left: {left}; the same command resumes")
            return code
    ended = ", ".join(f"{step.name} {code}" for step, code in zip(chosen, codes, strict=True))
    _say(f"{counted(len(chosen), 'step')} done, with their exit codes: {ended}")
    return next((code for code in (FAILED_UNITS, INPUT_CHANGED) if code in codes), DONE)


@contextlib.contextmanager
def log_of(steps: Sequence[Step], run_id: str) -> Iterator[None]:
    """Has the pipeline's own lines be JSON while the block runs, if those of all its steps are."""
    asked = {step.options.log_format for step in steps if isinstance(step.options, RunOptions)}
    with json_lines(run_id, "pipeline") if asked == {"json"} else contextlib.nullcontext():
        yield


def show_steps(steps: Sequence[Step], chosen: Sequence[Step]) -> int:
    """Prints the state of all steps, and the plan of each chosen one whose input is there."""
    states = {step.name: _state(step) for step in steps if not step.is_fused}
    for step in steps:
        reads = f", reads {', '.join(step.reads)}" if step.reads else ""
        if step.is_fused:
            _say(f"{step.name}: codemill {step.job}, inside {step.fused_with}{reads}")
            continue
        left_out = "" if step in chosen else ", left out"
        _say(f"{step.name}: codemill {step.job} -> {step.output}: {states[step.name]}{reads}{left_out}")
    for step in chosen:
        waits = [name for name in step.reads if states[name] != _COMPLETE]
        has_plan = any(field.name == "dry_run" for field in fields_of(type(step.options)))
        if waits:
            _say(f"{step.name}: can be planned once {', '.join(waits)} is complete")
        elif has_plan and states[step.name] != _COMPLETE:
            _say(f"{step.name}: the plan")
            options = dataclasses.replace(step.options, dry_run=True)  # type: ignore[call-arg]
            if code := run_options(step.job, options):
                return code
    return DONE


def _refuse_incomplete(steps: Sequence[Step], chosen: Sequence[Step]) -> None:
    by_name = {step.name: step for step in steps}
    runs = {step.name for step in chosen}
    for step in chosen:
        for name in step.reads:
            if name not in runs and _state(by_name[name]) != _COMPLETE:
                raise ConfigError(
                    f"step {step.name} reads the output of {name}, which is not complete "
                    f"({by_name[name].output}); run it too"
                )


def _state(step: Step) -> str:
    output = OutputFolder(step.output)
    if storage.exists(output.completed) or (step.job == "index" and storage.list_names(step.output)):
        return _COMPLETE
    return _BEGUN if storage.list_names(step.output) else _NEW


def _say(line: str) -> None:
    print_line(f"codemill pipeline: {line}", sys.stderr)
