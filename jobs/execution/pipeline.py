"""The pipeline of a job's units, where a Beam runner is named: read the plan, distribute unit records, run them.

    plan.parquet -> unit records -> Reshuffle -> RunUnits -> _job/commits      a runner that moves work (Dataflow)
    slots -> Reshuffle -> ClaimUnits -> _job/commits                           one that assigns it once (Flink, Spark)
    one element -> OpenFirst             before, where the first worker makes what all others read (`Work.opens_first`)

Only unit records pass through the pipeline. The host that runs a unit (`jobs.hosts.host`) also reads its rows, and
results are written by the commit protocol, so the pipeline has no output. On this machine,
`jobs.execution.supervisor` hands the same units to worker processes without Beam, whose import alone takes a second.

Runners recompute: a stage may run again, wholly or in part, and must see the same elements. So all units pass
through, whether they are committed or not, and `RunUnits` skips what is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.runners.runner import PipelineResult

from jobs.beam.log import quiet_beam
from jobs.beam.pipelines import open_pipeline
from jobs.beam.runners import moves_work, number_of_slots
from jobs.beam.running import run_to_end
from jobs.execution.orders import from_text, to_text
from jobs.execution.supervisor import run_source
from jobs.hosts.checks import check_worker, driver_facts
from jobs.hosts.host import Host, close_host, release_host, shared_host
from jobs.hosts.machine import HostSpec, crew_of, leave_reason
from jobs.hosts.pushed import Outcome
from jobs.hosts.slots import work_in_slot
from jobs.ledger import commits
from jobs.ledger.heartbeat import signs_of_life
from jobs.plan.needs import Need
from jobs.plan.units import read_plan
from jobs.sharing.driving import UntilOpened
from jobs.storage.folders import JobFolder
from transforms.work import Unit

_NAMESPACE = "codemill"


class ReadPlan(beam.DoFn):
    """Yields the plan's units, committed ones included."""

    def process(self, job_dir: str) -> Iterator[Unit]:
        """Reads the plan of the job in `job_dir`."""
        return read_plan(JobFolder(job_dir))


class _OnWorker(beam.DoFn):
    """What runs on a runner's workers, each of which is checked first.

    Args:
        told: What a host needs for the job.
        facts: What the driver sees (`jobs.hosts.checks`).
    """

    def __init__(self, told: HostSpec, facts: Mapping[str, Any]):
        self._facts = dict(facts)
        self._told = to_text(told)  # another version could not read it

    def setup(self) -> None:
        """Checks the worker."""
        quiet_beam()
        check_worker(self._facts)


class ClaimUnits(_OnWorker):
    """Works in a slot until no unit of the job is left (`jobs.hosts.slots`)."""

    def process(self, slot: int) -> None:
        """Claims and runs units."""
        work_in_slot(from_text(self._told))


class OpenFirst(_OnWorker):
    """Opens the job's work once, on one host, so that what the first worker makes is there for all others."""

    def process(self, _: None) -> None:
        """Opens the work in a supervised process, and ends it."""
        told: HostSpec = from_text(self._told)
        try:
            with crew_of(told) as (crew, _workers), signs_of_life(told.spec.job_dir):
                run_source(told.spec, told.orders, crew, UntilOpened(), workers=1)
        except Exception as error:
            raise leave_reason(told, error) from None


class RunUnits(_OnWorker):
    """Runs units on this harness's host, several concurrently; `finish_bundle` waits for those of its own bundle.

    Counters are incremented only here, because Beam loses increments from other threads.
    """

    def setup(self) -> None:
        """Checks the worker, and opens the host, once per process."""
        super().setup()
        self._job_dir = JobFolder(self._facts["job_dir"])
        self._host: Host = shared_host(from_text(self._told))

    def teardown(self) -> None:
        """Needs the host no more."""
        release_host(self._host)

    def start_bundle(self) -> None:
        """Starts with nothing in flight. The bundle may be one that another host has begun."""
        self._futures: list[tuple[Unit, Future[Outcome]]] = []
        self._host.refresh()

    def process(self, unit: Unit) -> None:
        """Submits the unit, unless it is committed."""
        if (future := self._host.submit(unit)) is not None:
            self._futures.append((unit, future))
        done = [one for one in self._futures if one[1].done()]
        self._futures = [one for one in self._futures if one not in done]
        self._count(done)

    def finish_bundle(self) -> None:
        """Waits for the bundle's units."""
        futures, self._futures = self._futures, []
        self._count(futures)

    def _count(self, futures: Iterable[tuple[Unit, Future[Outcome]]]) -> None:
        for unit, future in futures:
            outcome = future.result()
            if not outcome:  # its worker died between the commit and its word of it
                (record,) = commits.read_commits(self._job_dir, [unit.unit_id])
                outcome = {"status": record.status, "counts": record.counts}
            Metrics.counter(_NAMESPACE, f"units_{outcome['status']}").inc()
            for name, value in outcome["counts"].items():
                Metrics.counter(_NAMESPACE, name).inc(int(value))


def open_first(told: HostSpec, runner_args: Sequence[str] = (), needs: Sequence[Need] = ()) -> None:
    """Opens the job's work on one worker of the runner, before all others do.

    Raises:
        Exception: The runner's; why the work can't be opened is in `_job/stop_reason`.
    """
    job_dir = told.spec.job_dir
    pipeline = open_pipeline(runner_args)
    facts = driver_facts(job_dir, needs)
    pipeline | "Once" >> beam.Create([None], reshuffle=False) | "OpenFirst" >> beam.ParDo(OpenFirst(told, facts))
    run_to_end(pipeline, job_dir, runner_args)


def run_pipeline(told: HostSpec, runner_args: Sequence[str] = (), needs: Sequence[Need] = ()) -> PipelineResult:
    """Runs all units that have no commit yet, on the runner that `runner_args` (Beam's own flags) name.

    Its workers must see what the driver sees of `needs` (`jobs.plan.needs`).

    Where units are the pipeline's elements, its result carries counters (namespace `codemill`): those of
    `CommitRecord.counts`, and `units_done` and `units_failed`. Slots count nothing. What counts in either case are the
    commits.

    Raises:
        ConfigError, StorageFull: The job can't continue (only if the pipeline runs in this process; a remote runner
            wraps errors in its own, and the reason is in `_job/stop_reason`).
    """
    job_dir = told.spec.job_dir
    pipeline = open_pipeline(runner_args)
    facts = driver_facts(job_dir, needs)
    if moves_work(runner_args):
        units = pipeline | "Job" >> beam.Create([job_dir.path], reshuffle=False)
        units = units | "ReadPlan" >> beam.ParDo(ReadPlan())
        units | "Spread" >> beam.Reshuffle() | "RunUnits" >> beam.ParDo(RunUnits(told, facts))
    else:
        slots = pipeline | "Slots" >> beam.Create(range(number_of_slots(runner_args)), reshuffle=False)
        slots | "Spread" >> beam.Reshuffle() | "ClaimUnits" >> beam.ParDo(ClaimUnits(told, facts))
    try:
        result = run_to_end(pipeline, job_dir, runner_args)
    except BaseException as error:
        # Beam wraps the text of a DoFn's error in an error of its own; the host has the original error.
        reason = close_host(at_once=True)
        if reason is None or reason is error or not isinstance(error, Exception):
            raise
        raise reason from error
    close_host()
    return result
