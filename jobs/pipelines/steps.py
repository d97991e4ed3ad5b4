"""Reads a pipeline's file: named steps, each a job with its options.

    output: out/nightly            # a step's output is the folder of its name in here, unless it names another
    common: {workers: 4}           # options of all steps that have them
    steps:
      corpus: {source: [~/src]}                     # the job is named like the step, unless `job` names it
      clean:  {job: filter, input: corpus}          # a step's name stands for its output, in every option with a path
      unique: {job: dedup, input: clean, fused: true}    # writes nothing: it runs inside the step that reads it
      filled: {job: infill, input: unique}

All steps' options are checked before the first one runs. Keys are strict, and a fault is one line with its place.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from jobs import storage
from jobs.catalog import JOBS, options_of
from jobs.fusing.frozen import can_grow
from jobs.options import GrowOptions, RunOptions
from jobs.options.command_line import option_values
from jobs.options.fields import REQUIRED, OptionSet, fields_of
from model.errors import SHOWN_CHARS, ConfigError, one_line
from transforms.user_files import compose, construct, read_text

_TOP = ("output", "common", "steps")
_NO_STEPS = frozenset(("publish", "forget", "retain", "pipeline", "work", "estimate", "sandbox", "inspect", "browse"))
STEP_JOBS = tuple(name for name in JOBS if name not in _NO_STEPS)
"""The jobs that can be steps: those that make a dataset, an index or a model in an output folder of its own."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One job of a pipeline.

    Args:
        name: The step's name.
        job: The job's name.
        options: Its options.
        reads: The names of the steps whose outputs it reads.
        is_fused: Whether it runs inside the step that reads it, and has no output.
        fused_with: The name of the step in which it runs, once that is known (`jobs.pipelines.fusing`).
        given: The options that it has itself in the file.
        place: Where it stands in the file.
    """

    name: str
    job: str
    options: OptionSet
    reads: tuple[str, ...]
    is_fused: bool = False
    fused_with: str = ""
    given: frozenset[str] = frozenset()
    place: str = ""

    @property
    def output(self) -> str:
        """The step's output folder."""
        return str(self.options.output)  # type: ignore[attr-defined]


def told_alike(steps: Iterable[Step], *, run_id: str, log_format: str | None, is_named: bool) -> list[Step]:
    """The same steps as parts of one run.

    Args:
        steps: The steps.
        run_id: The run's name, which each step gets.
        log_format: The form of all logs; None: that of each step's own options.
        is_named: Whether the user gave the name; else a step keeps one that it has in the file.
    """
    found = []
    for step in steps:
        changes: dict[str, Any] = {}
        if isinstance(step.options, RunOptions):
            if is_named or step.options.run_id is None:
                changes["run_id"] = run_id
            if log_format is not None:
                changes["log_format"] = log_format
        found.append(replace(step, options=replace(step.options, **changes)))
    return found


def growing(steps: Iterable[Step]) -> list[Step]:
    """The same steps; those that can grow take in what is new.

    Raises:
        ConfigError: A step has options that exclude it; the message names the step.
    """
    found = []
    for step in steps:
        if isinstance(step.options, GrowOptions) and can_grow(step.options) and not step.is_fused:
            try:
                step = replace(step, options=replace(step.options, grow=True))
            except ConfigError as error:
                raise ConfigError(f"step {step.name}: {error}") from None
        found.append(step)
    return found


def read_steps(path: str, output: str | None = None) -> list[Step]:
    """Reads a pipeline's file.

    Args:
        path: The file.
        output: The folder of all steps' outputs, instead of the one that the file names.

    Raises:
        ConfigError: The file can't be read, or a step, key or value is wrong; the message names the line.
    """
    file = _File(path)
    top = file.mapping(file.root, "the pipeline", known=_TOP)
    if "steps" not in top:
        raise ConfigError(f"{file.name}: `steps` is missing: named jobs with their options")
    folder = output if output is not None else file.text(top["output"], "output") if "output" in top else None
    common = file.mapping(top["common"], "common") if "common" in top else {}
    steps: list[Step] = []
    nodes = file.mapping(top["steps"], "steps")
    if not nodes:
        raise ConfigError(f"{file.place(top['steps'])}: `steps` names no step")
    for name, node in nodes.items():
        steps.append(_step(file, name, node, common, folder, steps, set(nodes)))
    _refuse_unused(file, common, steps)
    _refuse_shared(file, nodes, steps)
    return steps


class _File:
    """The file's tree, with the places of what is in it."""

    def __init__(self, path: str):
        self.name = one_line(path)
        try:
            self.root = compose(read_text(path, self.name), self.name)
        except OSError as error:
            raise ConfigError(f"{self.name} can't be read: {error.strerror}") from None

    def place(self, node: yaml.Node) -> str:
        """File and line."""
        return f"{self.name}:{node.start_mark.line + 1}"

    def mapping(self, node: yaml.Node | None, what: str, known: Sequence[str] = ()) -> dict[str, yaml.Node]:
        """The values of a mapping by their keys; refuses others than `known`, if it is given."""
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{self.place(node)}: {what}: expected lines of the form name: value")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{self.place(key)}: {what}: expected lines of the form name: value")
            if known and key.value not in known:
                raise ConfigError(f"{self.place(key)}: unknown key {_near(key.value, known)}")
            found[key.value] = value
        return found

    def text(self, node: yaml.Node, what: str) -> str:
        """A text."""
        value = construct(node, self.name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self.place(node)}: {what}: expected text")
        return value


def _step(
    file: _File,
    name: str,
    node: yaml.Node,
    common: Mapping[str, yaml.Node],
    folder: str | None,
    earlier: Sequence[Step],
    names: set[str],
) -> Step:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"{file.place(node)}: step {one_line(name, SHOWN_CHARS)}: use letters, digits, - and _")
    own = file.mapping(node, f"step {name}")
    is_fused = _is_fused(file, name, own)
    job = file.text(own.pop("job"), "job") if "job" in own else name
    if job in _NO_STEPS:
        raise ConfigError(
            f"{file.place(node)}: step {name}: codemill {job} makes no dataset, so it can't be a step; run it by itself"
        )
    if job not in STEP_JOBS:
        hint = f"job {_near(job, STEP_JOBS)}" if job != name else f"no job is called {name}; name one with `job`"
        raise ConfigError(f"{file.place(node)}: step {name}: {hint}")
    cls = options_of(job)
    fields = {field.name: field for field in fields_of(cls)}
    shared = {key: value for key, value in common.items() if key in fields and key not in own}
    pairs = [(key, value, value) for key, value in (*shared.items(), *own.items())]
    values = option_values(pairs, list(fields.values()), file.name)
    if "output" not in values and is_fused:
        values["output"] = name  # which it doesn't write
    elif "output" not in values:
        if folder is None:
            raise ConfigError(f"{file.place(node)}: step {name}: no `output`, neither here nor for the whole pipeline")
        values["output"] = storage.join(folder, name)
    values["output"] = _located(values["output"], {})
    outputs = {step.name: step for step in earlier}
    reads: dict[str, None] = {}
    for key, value in values.items():
        if fields[key].is_path and key != "output":
            words = value if isinstance(value, tuple) else (value,)
            _refuse_later(file, name, own.get(key, node), words, names - set(outputs))
            reads.update(dict.fromkeys(word for word in words if word in outputs))
            found = tuple(_located(word, outputs, key) for word in words)
            values[key] = found if isinstance(value, tuple) else found[0]
    missing = [key for key, field in fields.items() if field.default is REQUIRED and values.get(key) in (None, ())]
    if missing:
        raise ConfigError(f"{file.place(node)}: step {name}: {', '.join(missing)} is missing")
    try:
        return Step(
            name=name,
            job=job,
            options=cls(**values),
            reads=tuple(reads),
            is_fused=is_fused,
            given=frozenset(own),
            place=file.place(node),
        )
    except ConfigError as error:
        raise ConfigError(f"{file.place(node)}: step {name}: {error}") from None


def _is_fused(file: _File, name: str, own: dict[str, yaml.Node]) -> bool:
    """Takes the word `fused` out of a step's own values."""
    if "fused" not in own:
        return False
    value = construct(node := own.pop("fused"), file.name)
    if not isinstance(value, bool):
        raise ConfigError(f"{file.place(node)}: step {name}: fused: expected true or false")
    return value


def _located(word: Any, outputs: Mapping[str, Step], key: str = "") -> Any:
    if word in outputs:
        step = outputs[word]
        # The model that a run has trained stands beside its checkpoints.
        return storage.join(step.output, "model") if (step.job, key) == ("train", "model") else step.output
    return os.path.expanduser(word) if isinstance(word, str) and "://" not in word else word


def _refuse_later(file: _File, name: str, node: yaml.Node, words: Sequence[Any], later: set[str]) -> None:
    for word in words:
        if word in later:
            raise ConfigError(
                f"{file.place(node)}: step {name} reads {word}, which doesn't stand above it; put steps in the order "
                f"of their data, or write ./{word} for a path"
            )


def _refuse_unused(file: _File, common: Mapping[str, yaml.Node], steps: Sequence[Step]) -> None:
    """Refuses common options that no step has."""
    known = {field.name: field for step in steps for field in fields_of(type(step.options)) if not field.internal}
    for key, node in common.items():
        if key not in known:
            raise ConfigError(f"{file.place(node)}: no step has an option {_near(key, list(known))}")


def _refuse_shared(file: _File, nodes: Mapping[str, yaml.Node], steps: Sequence[Step]) -> None:
    """Refuses two steps that write to one folder."""
    writers: dict[str, str] = {}
    for step in (step for step in steps if not step.is_fused):
        local = storage.is_local(step.output)
        folder = os.path.realpath(step.output.removeprefix("file://")) if local else step.output.rstrip("/")
        if folder in writers:
            raise ConfigError(
                f"{file.place(nodes[step.name])}: the steps {writers[folder]} and {step.name} write to one output, "
                f"{step.output}"
            )
        writers[folder] = step.name


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.6)
    return one_line(name, SHOWN_CHARS) + (f"; did you mean {near[0]}?" if near else "")
