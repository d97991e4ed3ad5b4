"""Fuses steps of a pipeline with the steps that read them: they write nothing, and run on the rows that those read.

    corpus -> clean (fused) -> unique (fused) -> filled         one job: `infill`, which reads the corpus

The job gets the input of the first of them, and all of their opt-out lists, which is the same as if each step had its
own: rows that are left out come first. What can't come to the same rows is refused with one line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from jobs.catalog import module_of
from jobs.fusing.frozen import FUSED_STEPS, SEES_ALL, FrozenStep
from jobs.options import ColumnOptions, OptionSet
from jobs.options.fields import fields_of
from jobs.pipelines.steps import Step
from model.errors import ConfigError

FUSIBLE: Final = ("filter", SEES_ALL)
"""Jobs that keep or reject each row of their input by itself or by all of them, and so need no files in between."""
READERS: Final = (*FUSIBLE, "infill", "docstring", "generate", "annotate")
"""Jobs that work through their input row by row, as it comes."""
_TOUCHES_ROWS: Final = ("input", "opt_out", "strict_opt_out")  # of the options that aren't frozen by their values
_COLUMNS: Final = (*(field.name for field in fields_of(ColumnOptions)), "language_column")


def fuse(steps: Sequence[Step]) -> list[Step]:
    """Fuses the steps that say so.

    Returns:
        All steps. One that is fused names the step in which it runs; that one reads what the first of them would read.

    Raises:
        ConfigError: A step can't be fused with the next one; the message names both and the place in the file.
    """
    readers = {step.name: _reader(step, steps) for step in steps if step.is_fused}
    found = []
    for step in steps:
        chain = _chain(step, steps)
        if step.is_fused:
            last = readers[step.name]
            while last.is_fused:
                last = readers[last.name]
            found.append(dataclasses.replace(step, fused_with=last.name))
        elif chain:
            found.append(_around(chain, step))
        else:
            found.append(step)
    return found


def _reader(step: Step, steps: Sequence[Step]) -> Step:
    """The step that a fused step is fused with. Raises ConfigError if it can't be."""
    if step.job not in FUSIBLE:
        raise _refused(step, f"codemill {step.job} can't be fused with the next step; {' and '.join(FUSIBLE)} can")
    readers = [other for other in steps if step.name in other.reads]
    if not readers:
        raise _refused(step, "it is fused with the step that reads it, but none does")
    if len(readers) > 1:
        names = ", ".join(other.name for other in readers)
        raise _refused(step, f"{len(readers)} steps read it ({names}), so it has to be written; remove `fused`")
    (reader,) = readers
    if reader.job not in READERS:
        raise _refused(
            step, f"step {reader.name} (codemill {reader.job}) needs its rows as files, so it can't be fused with it"
        )
    if getattr(reader.options, "input", ()) != (step.output,):
        raise _refused(step, f"step {reader.name} has to read it, and nothing else, as its input to be fused with it")
    unused = [
        field.name
        for field in fields_of(type(step.options))
        if field.name in step.given and field.operational is True and field.name not in _TOUCHES_ROWS
    ]
    if unused:
        raise _refused(
            step, f"{unused[0]} has no effect in a step that is fused; give it to the step that isn't, {reader.name}"
        )
    return reader


def _chain(last: Step, steps: Sequence[Step]) -> list[Step]:
    """The fused steps before a step, in the order of the data."""
    by_name = {step.name: step for step in steps}
    chain: list[Step] = []
    while fused := [by_name[name] for name in last.reads if by_name[name].is_fused]:
        last = fused[0]
        chain.insert(0, last)
    return chain


def _around(chain: Sequence[Step], last: Step) -> Step:
    """The step in which the others run."""
    first = chain[0]
    for step in (*chain[1:], last):
        _check_beside(step, first)
    every = (*chain, last)
    if len(twice := [step.name for step in every if step.job == SEES_ALL]) > 1:
        raise _refused(last, f"{' and '.join(twice)} have to see all rows each, so only one of them can be fused")
    if sees_all := [step.name for step in chain if step.job == SEES_ALL and getattr(last.options, "grow", False)]:
        raise _refused(last, f"it can't grow with {sees_all[0]} fused, which keeps no edition; remove `grow`")
    changes: dict[str, Any] = {
        "input": _of(first, "input"),
        "limit": _of(first, "limit"),
        "opt_out": _of(first, "opt_out"),
        "strict_opt_out": any(_of(step, "strict_opt_out") for step in every),
        FUSED_STEPS: tuple(FrozenStep.of(step.name, step.job, _frozen(step)).to_text() for step in chain),
    }
    names = {step.name for step in chain}
    reads = dict.fromkeys(name for step in every for name in step.reads if name not in names)
    try:
        options = dataclasses.replace(last.options, **changes)
    except ConfigError as error:
        raise _refused(last, str(error)) from None
    return dataclasses.replace(last, options=options, reads=tuple(reads))


def _check_beside(step: Step, first: Step) -> None:
    """Refuses options by which a step would see other rows than it does behind files. Raises ConfigError."""
    if _of(first, "retry_rejected") is not None:
        raise _refused(first, "--retry_rejected can't be fused with the next step; remove it, or `fused`")
    if _of(step, "limit") is not None:
        raise _refused(
            step, f"limit counts rows that come through {first.name}, with which it is fused; give it to {first.name}"
        )
    for name in _COLUMNS:
        if _of(step, name) != _of(first, name):
            raise _refused(
                step, f"{name} has to be that of {first.name}, with which it is fused; give it to both (`common`)"
            )
    if _of(step, "opt_out") not in ((), _of(first, "opt_out")):
        raise _refused(
            step, f"opt_out has to be that of {first.name}, with which it is fused; give it to both (`common`)"
        )


def _frozen(step: Step) -> OptionSet:
    """The step's options with what its job freezes before it runs."""
    freeze = getattr(module_of(step.job), "frozen", None)
    try:
        options: OptionSet = step.options if freeze is None else freeze(step.options)
    except ConfigError as error:
        raise _refused(step, str(error)) from None
    return options


def _of(step: Step, name: str) -> Any:
    return getattr(step.options, name)


def _refused(step: Step, why: str) -> ConfigError:
    return ConfigError(f"{step.place}: step {step.name}: {why}")
