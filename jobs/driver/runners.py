"""Runners of a job's parallel steps: this machine, or a Beam runner that the user named.

    step            this machine                            a named runner
    units           supervised worker processes             the pipeline; the same on each of the runner's workers
    merges          the same processes                      a pipeline
    grouping        files on local disk                     GroupByKey

Importing Beam takes a second, so it is imported only if a runner is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from jobs.beam.dataflow import completed, is_dataflow
from jobs.beam.runners import names_a_runner
from jobs.execution import supervisor
from jobs.execution.crew import Crew
from jobs.execution.orders import Orders, to_text
from jobs.execution.processes import PerHost, Processes
from jobs.execution.sample import Sample, sample_in
from jobs.execution.worker import RunSpec
from jobs.finalize import merge
from jobs.finalize.shard_plan import Kind
from jobs.finalize.shards import MergeSpec
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.ledger.claimants import STALE_S
from jobs.options import CommonOptions
from jobs.plan.footers import Footer, InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.reader import FooterReader
from jobs.sharing.driving import Where, invite, run_shared
from jobs.storage.folders import JobFolder
from jobs.system.child_process import tell_ahead
from model.errors import ConfigError, one_line
from transforms.work import Unit


class Runner(Protocol):
    """The parallel steps of a job. Each returns once all its work is committed; it may be repeated after a kill."""

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        """Reads the footers of (URI, public name) in a process that may die of them, in order."""
        ...

    def prepare(self, orders: Orders) -> None:
        """Announces what will run soon, so that a worker can be started and import what that takes."""
        ...

    def sample(self, orders: Orders, units: Sequence[Unit], schema: pa.Schema) -> Sample:
        """Measures a dry run's sample in a process that may die of it. Raises ConfigError."""
        ...

    def close(self) -> None:
        """Ends processes that were started and not used."""
        ...

    def end_orphan(self, job_dir: JobFolder) -> bool:
        """Ends what a driver that was killed left running; returns whether nothing of it writes to the folder now."""
        ...

    def invite(self, spec: RunSpec, orders: Orders, options: CommonOptions) -> None:
        """Tells other hosts what they need to join, or that they can't."""
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


class LocalRunner:
    """Runs the steps on this machine. The child that reads footers becomes the first worker.

    Args:
        workers: Number of worker processes.
        where: Whether other hosts run units, too.
        stale_s: For how long a claim of theirs lasts without a heartbeat.
        say: Tells the user of them.
    """

    def __init__(
        self,
        workers: int = 1,
        where: Where = "here",
        stale_s: float = STALE_S,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._where = where
        self._stale_s = stale_s
        self._say = say
        self._reader = FooterReader()
        self._crew = Crew(workers, self._reader.take_child)

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        return self._reader(files)

    def prepare(self, orders: Orders) -> None:
        self._reader.prepare(to_text(orders))
        tell_ahead({"prepare": to_text(orders)})

    def sample(self, orders: Orders, units: Sequence[Unit], schema: pa.Schema) -> Sample:
        return sample_in(self._reader.child, orders, units, schema)

    def close(self) -> None:
        self._crew.close()
        self._reader.close()

    def end_orphan(self, job_dir: JobFolder) -> bool:
        return self._where == "here"  # worker processes die with their driver; other hosts may be writing

    def invite(self, spec: RunSpec, orders: Orders, options: CommonOptions) -> None:
        invite(spec, orders, options, self._where, self._stale_s, self._crew)

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        if self._where == "here":
            supervisor.run_units(spec, orders, self._crew)
        else:
            run_shared(spec, orders, self._crew, self._where, self._stale_s, self._say)

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        # Where no worker was started, as when only merges are left to do, threads of the driver do it.
        if self._crew.children:
            self._crew.merge(spec, shards)
        else:
            merge.merge_all(spec, shards)

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        # Imported here: it loads the grammars.
        return importlib.import_module("jobs.grouping.on_disk").group_on_disk(inputs, folder, limit, settings)


def runner_for(
    beam_args: Sequence[str],
    processes: Processes | None = None,
    where: Where = "here",
    stale_s: float = STALE_S,
    say: Callable[[str], None] = lambda line: None,
) -> Runner:
    """Returns the runner that the flags name; this machine, with so many worker processes, if there are no flags.

    The other arguments are those of `LocalRunner`.

    Raises:
        ConfigError: An unknown flag or runner, flags that no runner would read, or an address where nothing answers.
    """
    if not beam_args:
        return LocalRunner(1 if processes is None else processes.workers, where, stale_s, say)
    if where != "here":
        raise ConfigError(
            f"--run_units {where} can't be combined with Beam's flags after --: a runner places its workers itself"
        )
    importlib.import_module("jobs.beam.flags").check_flags(beam_args)
    if not names_a_runner(beam_args):
        raise ConfigError(
            f"Beam's flags after -- ({one_line(' '.join(beam_args))}) need --runner; without one, the job runs on this "
            "machine without Beam"
        )
    if is_dataflow(beam_args):
        beam_args = completed(beam_args)
    importlib.import_module("jobs.beam.addresses").check_answered(beam_args)
    per_host = PerHost() if processes is None else processes.per_host
    return importlib.import_module("jobs.driver.beam_runner").BeamRunner(tuple(beam_args), per_host)
