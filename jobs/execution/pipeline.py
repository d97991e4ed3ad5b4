"""The pipeline that all jobs share: read the plan, distribute the unit records, run each unit.

    plan.parquet -> unit records -> Reshuffle -> RunUnits -> _job/commits

Only unit records pass through the pipeline. The worker that runs a unit also reads its rows, and results are written
by the commit protocol, so the pipeline has no output. It runs where a Beam runner is named; on this machine,
`jobs.execution.supervisor` hands the same units to worker processes without Beam, whose import alone takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.runners.runner import PipelineResult

from jobs import storage
from jobs.beam.pipelines import open_pipeline
from jobs.execution.worker import RunSpec, Worker, close_shared, shared
from jobs.ledger import commits
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from transforms.work import Unit, Work

_NAMESPACE = "codemill"


class ReadPlan(beam.DoFn):
    """Yields the plan's units that have no commit yet."""

    def __init__(self, spec: RunSpec):
        self._spec = spec

    def process(self, job_dir: JobFolder) -> Iterator[Unit]:
        """Reads the plan of the job in `job_dir`."""
        committed = commits.list_commits(job_dir)
        wanted = self._spec.only_units
        for unit in read_plan(job_dir):
            if unit.unit_id not in committed and (wanted is None or unit.unit_id in wanted):
                yield unit


class RunUnits(beam.DoFn):
    """Runs units, several concurrently per process; `finish_bundle` waits for those of its own bundle.

    Counters are incremented only here, because Beam loses increments from other threads.
    """

    def __init__(self, spec: RunSpec, work: Work):
        self._spec = spec
        self._work = work

    def setup(self) -> None:
        """Opens the work, once per process."""
        self._worker: Worker = shared(self._spec, self._work)

    def start_bundle(self) -> None:
        """Starts with nothing in flight."""
        self._futures: list[Future[commits.CommitRecord]] = []

    def process(self, unit: Unit) -> None:
        """Submits the unit, unless an earlier attempt was committed in the meantime."""
        if storage.exists(self._spec.job_dir.commit(unit.unit_id)):
            return
        self._futures.append(self._worker.submit(unit))
        done = [future for future in self._futures if future.done()]
        self._futures = [future for future in self._futures if future not in done]
        self._count(done)

    def finish_bundle(self) -> None:
        """Waits for the bundle's units."""
        futures, self._futures = self._futures, []
        self._count(futures)

    def _count(self, futures: Iterable[Future[commits.CommitRecord]]) -> None:
        for future in futures:
            record = future.result()
            Metrics.counter(_NAMESPACE, f"units_{record.status}").inc()
            for name, value in record.counts.items():
                Metrics.counter(_NAMESPACE, name).inc(int(value))


def run_pipeline(spec: RunSpec, work: Work, runner_args: Sequence[str] = ()) -> PipelineResult:
    """Runs all units that have no commit yet, on the runner that `runner_args` (Beam's own flags) name.

    The result carries the counters (namespace `codemill`): those of `CommitRecord.counts`, and `units_done` and
    `units_failed`.

    Raises:
        ConfigError, StorageFull: The job can't continue (only if the pipeline runs in this process; a remote runner
            wraps errors in its own).
    """
    try:
        with open_pipeline(runner_args) as pipeline:
            (
                pipeline
                | "Job" >> beam.Create([spec.job_dir], reshuffle=False)
                | "ReadPlan" >> beam.ParDo(ReadPlan(spec))
                | "Spread" >> beam.Reshuffle()
                | "RunUnits" >> beam.ParDo(RunUnits(spec, work))
            )
    except Exception as error:
        # Beam wraps the text of a DoFn's error in an error of its own; the worker has the original error.
        reason = close_shared()
        if reason is None or reason is error:
            raise
        raise reason from error
    close_shared()
    return pipeline.result
