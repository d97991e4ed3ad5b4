"""Runners of a job's parallel steps: this machine, or a Beam runner that the user named.

    step            this machine                            a named runner
    units           a supervised child (Beam inside it)     the pipeline, in the runner's workers
    merges          threads of the driver                   a pipeline
    grouping        files on local disk                     GroupByKey

Importing Beam takes a second, so the driver imports it only if a runner is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from jobs.beam.runners import names_a_runner
from jobs.execution import supervisor
from jobs.execution.worker import Orders, RunSpec
from jobs.finalize import merge
from jobs.finalize.shards import Kind, MergeSpec
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.plan.footers import Footer, InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.reader import FooterReader


class Runner(Protocol):
    """The parallel steps of a job. Each returns once all its work is committed; it may be repeated after a kill."""

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        """Reads the footers of (URI, public name) in a process that may die of them, in order."""
        ...

    def prepare(self) -> None:
        """Announces that units will run soon, so that workers can be started."""
        ...

    def close(self) -> None:
        """Ends processes that were started and not used."""
        ...

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        """Runs every unit of the plan that has no commit. Raises ConfigError, StorageFull, WorkerFailed."""
        ...

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        """Merges shards. Raises StorageFull, DamagedAttempt."""
        ...

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        """Groups the rows by repository in files in `folder`."""
        ...


@dataclass(frozen=True)
class LocalRunner:
    """Runs the steps on this machine. The child that reads footers becomes the first worker."""

    reader: FooterReader = field(default_factory=FooterReader)

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        return self.reader(files)

    def prepare(self) -> None:
        self.reader.prepare()

    def close(self) -> None:
        self.reader.close()

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        supervisor.run_units(spec, orders, self.reader.take_child())

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        merge.merge_all(spec, shards)

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        # Imported here: it loads the grammars.
        return importlib.import_module("jobs.grouping.on_disk").group_on_disk(inputs, folder, limit, settings)


def runner_for(beam_args: Sequence[str]) -> Runner:
    """Returns the runner that the flags name; this machine if they name none. Raises ConfigError for unknown ones."""
    if beam_args:
        importlib.import_module("jobs.beam.flags").check_flags(beam_args)
    if not names_a_runner(beam_args):
        return LocalRunner()
    return importlib.import_module("jobs.driver.beam_runner").BeamRunner(tuple(beam_args))
