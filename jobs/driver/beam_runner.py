"""Runs the steps of a job on the Beam runner that the user named (`jobs.driver.runners.Runner`).

A runner that loses workers may give up before all is done, and one that recomputes may skip what it believes to be
done. What counts is in the output's folder: a step runs again while that leaves less to do, and ends the job in one
line after `MAX_RUNS_IN_VAIN` runs in a row that committed nothing.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.beam.flags import harnesses_per_machine, starting_runner
from jobs.beam.orphans import cancel_orphan
from jobs.errors import ReportedBug
from jobs.execution.orders import Orders, raise_failure
from jobs.execution.pipeline import open_first, run_pipeline
from jobs.execution.processes import PerHost
from jobs.execution.sample import Sample, sample_in
from jobs.execution.supervisor import uncommitted
from jobs.execution.worker import RunSpec
from jobs.finalize.merge_on_beam import merge_on_beam
from jobs.finalize.shard_plan import Kind
from jobs.finalize.shards import MergeSpec, unmerged
from jobs.grouping.by_beam import group_on_runner, job_dir_of
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.hosts.machine import HostSpec
from jobs.hosts.stopping import read_reason, reason_in, remove_reason
from jobs.options import CommonOptions
from jobs.plan.footers import Footer, InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.reader import FooterReader
from jobs.sharing.invitation import invitation_of, read_invitation, write_invitation
from jobs.storage.folders import JobFolder
from jobs.system.signals import interrupts_noted
from model.errors import ConfigError, one_line
from transforms.work import Unit

MAX_RUNS_IN_VAIN = 2
_JAVA_FRAME = re.compile(r"\s*(?:at )?[\w.$/<>]+\([\w.$ ]+(?::\d+)?\)$|\s*\.\.\. \d+ (?:common frames|more)")
_PAUSE_S = 2.0  # before a step runs again: what a runner lost may be coming back

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BeamRunner:
    """A Beam runner that the user named. Each of its workers supervises processes of its own (`jobs.hosts.host`).

    Args:
        beam_args: Beam's own flags.
        per_host: How many processes run units on each of its hosts.
        reader: Reads footers in a child of the driver.
    """

    beam_args: tuple[str, ...]
    per_host: PerHost = field(default_factory=PerHost)
    reader: FooterReader = field(default_factory=FooterReader)

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        return self.reader(files)

    def prepare(self, orders: Orders) -> None:
        pass  # the runner has workers of its own

    def sample(self, orders: Orders, units: Sequence[Unit], schema: pa.Schema) -> Sample:
        return sample_in(self.reader.child, orders, units, schema)

    def close(self) -> None:
        self.reader.close()

    def end_orphan(self, job_dir: JobFolder) -> bool:
        return cancel_orphan(job_dir)

    def invite(self, spec: RunSpec, orders: Orders, options: CommonOptions) -> None:
        invitation = invitation_of(orders, options, spec.job_dir, is_shared=False, run_id=spec.run_id)
        write_invitation(spec.job_dir, invitation)

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        self.reader.close()
        sharers = harnesses_per_machine(self.beam_args)
        invitation = read_invitation(spec.job_dir)
        needs = () if invitation is None else tuple(invitation.needs)

        def told() -> HostSpec:
            run_id = uuid.uuid4().hex
            return HostSpec(run=run_id, spec=spec, orders=orders, per_host=self.per_host, sharers=sharers)

        def run() -> None:
            run_pipeline(told(), self.beam_args, needs)

        if orders.opens_first and uncommitted(spec):
            # Else each host would make it: all clusters of `codemill dedup`, for example.
            self._insist("opened its work", spec.job_dir, lambda: open_first(told(), self.beam_args, needs))
        self._repeat("units", spec.job_dir, run, lambda: uncommitted(spec))

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        def run() -> None:
            merge_on_beam(spec, unmerged(spec, shards), self.beam_args)

        self._repeat("shards", spec.job_dir, run, lambda: unmerged(spec, shards))

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        outcomes: list[Outcome] = []

        def run() -> None:
            outcomes.append(group_on_runner(inputs, folder, limit, settings, beam_args=self.beam_args))

        self._insist("grouped rows", job_dir_of(folder), run)
        return outcomes[0]

    def _insist(self, doing: str, job_dir: JobFolder, run: Callable[[], None]) -> None:
        """Runs a step of which nothing is left when it has succeeded, again after an error of the runner's.

        Raises:
            ConfigError: The runner fails again, or a worker says why the job can't go on.
            ReportedBug: As a worker reports it.
        """
        for tries_left in range(MAX_RUNS_IN_VAIN - 1, -1, -1):
            if (error := self._try(job_dir, run)) is None:
                return
            if not tries_left:
                raise ConfigError(f"the runner failed {MAX_RUNS_IN_VAIN} times: {_line_of(error)}") from error
            _log.warning("the runner failed while it %s (%s): it runs again", doing, _line_of(error))

    def _repeat(self, what: str, job_dir: JobFolder, run: Callable[[], None], left: Callable[[], Collection]) -> None:
        """Runs a step until nothing is left of it.

        Raises:
            ConfigError: The runner can't be started, fails again and again, or a worker says why the job can't go on.
            ReportedBug: As a worker reports it.
        """
        before, in_vain = len(left()), 0
        while before:
            error = self._try(job_dir, run)
            now = len(left())
            in_vain = in_vain + 1 if now >= before else 0
            before = now
            if in_vain == MAX_RUNS_IN_VAIN:
                why = f"the last error: {_line_of(error)}" if error else "the runner reports no error"
                raise ConfigError(
                    f"the runner left {now:,} {what} undone in {in_vain} runs in a row that brought nothing; {why}; "
                    "see the logs of the runner; committed work is kept; run the same command to resume"
                ) from error
            if now:
                how = f"failed ({_line_of(error)})" if error else "ended"
                _log.warning("the runner %s with %s %s left to do: it runs again", how, f"{now:,}", what)
                time.sleep(_PAUSE_S)

    def _try(self, job_dir: JobFolder, run: Callable[[], None]) -> Exception | None:
        """Runs a step once; returns the runner's error. Raises what ends the job.

        Args:
            job_dir: Where its workers leave the reason to stop.
            run: The step.
        """
        remove_reason(job_dir)
        with interrupts_noted() as interrupts:
            try:
                with starting_runner(self.beam_args):
                    run()
            except Exception as error:
                if interrupts:
                    raise interrupts[0] from None  # Beam's local runner has made text of it
                if isinstance(error, ConfigError | ReportedBug):
                    raise
                if reason := read_reason(job_dir) or reason_in(str(error)):
                    raise_failure(reason)
                return error
        return None


def _line_of(error: Exception) -> str:
    """What a runner's error says: the last line with a message in a traceback of Python or Java."""
    lines = [line for line in str(error).splitlines() if line.strip() and not _JAVA_FRAME.match(line)]
    return one_line(lines[-1] if lines else type(error).__name__, 300)
