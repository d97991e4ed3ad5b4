"""The shared state of one worker process: the opened work, units in flight, heartbeat, and reason to stop.

A worker process is a child of a supervisor (`jobs.execution.child_work`). Several units are in flight concurrently,
bounded by number and by bytes, so that the engine has prompts while the next unit is read and the last one is checked
and written. A unit is processed in pieces of at most its share of the bound, and of a few megabytes where there is no
engine to keep busy. A unit that was in flight when a worker died runs alone, and so does one for which memory ran out,
when it runs again.
"""

from __future__ import annotations

import dataclasses
import gc
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from jobs.errors import OutOfMemory
from jobs.execution.attempt import UnitRunner
from jobs.execution.cursors import close_cursors, expect_units
from jobs.execution.pieces import PIECE_BYTES
from jobs.forgetting.returning import without_forgotten
from jobs.ledger import heartbeat, journal
from jobs.ledger.commits import CommitRecord
from jobs.storage.folders import JobFolder
from transforms.rows.columns import ColumnMap
from transforms.work import Unit, Work

_log = logging.getLogger(__name__)


MAX_UNITS_IN_FLIGHT = 2
MAX_BYTES_IN_FLIGHT = 512_000_000
# Rows are thousands of small objects and hardly a cycle: with Python's own thresholds (700, 10, 10) looking for some
# takes 7% of the time of `codemill filter`.
_GC_THRESHOLDS = (50_000, 20, 50)
_LOADING, _STARTING = "loading the model", "starting"  # phases


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """The workers' settings; small and picklable.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        config_hash: The job's configuration hash, for the commit records.
        schema: The columns to read.
        max_units_in_flight: Maximum number of units in flight in one process.
        max_bytes_in_flight: Maximum of their total bytes; a single unit may be larger.
        session: Id of the worker session, which the supervisor assigns.
        decoding_threads: Threads that Arrow decodes with; None: one per core.
        identified_by: The columns that identify rows, in a job that can grow; else None.
        run_id: Name of the run, for the heartbeats.
    """

    job_dir: JobFolder
    config_hash: str
    schema: pa.Schema
    max_units_in_flight: int = MAX_UNITS_IN_FLIGHT
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT
    session: str | None = None
    decoding_threads: int | None = None
    identified_by: ColumnMap | None = None
    run_id: str = ""


class Admission:
    """Admits units within bounds; one that must run alone waits for the running units and blocks all others."""

    def __init__(self, max_units: int, max_bytes: int):
        self._max_units = max_units
        self._max_bytes = max_bytes
        self._units = 0
        self._bytes = 0
        self._alone_waiting = 0
        self._alone_inside = False
        self._changed = threading.Condition()

    @property
    def units(self) -> int:
        """Number of admitted units."""
        return self._units

    def enter(self, num_bytes: int, alone: bool) -> None:
        """Waits until the unit may run."""
        with self._changed:
            if alone:
                self._alone_waiting += 1
                self._changed.wait_for(lambda: not self._units)
                self._alone_waiting -= 1
                self._alone_inside = True
            else:
                self._changed.wait_for(lambda: self._has_room(num_bytes))
            self._units += 1
            self._bytes += num_bytes

    def leave(self, num_bytes: int) -> None:
        """Releases the unit's room."""
        with self._changed:
            self._units -= 1
            self._bytes -= num_bytes
            self._alone_inside = False  # a unit that ran alone was the only one
            self._changed.notify_all()

    def _has_room(self, num_bytes: int) -> bool:
        if self._alone_inside or self._alone_waiting:
            return False
        fits = self._units < self._max_units and self._bytes + num_bytes <= self._max_bytes
        return fits or not self._units


class Worker:
    """One worker process.

    `stop_reason` is the first error that ends the job (ConfigError, StorageFull, a bug); after it no unit is admitted.
    """

    def __init__(self, spec: RunSpec, work: Work):
        self.spec = spec
        self.stop_reason: BaseException | None = None
        self.session = spec.session or journal.new_session(supervised=True)
        self._work = work
        self._units_done = 0
        self._phase = _LOADING if work.checkpoint_sha256 else _STARTING
        self._lock = threading.Lock()
        # Each unit may decode up to this share, whatever its footer says, so that the total stays within the bound.
        self._share = spec.max_bytes_in_flight // spec.max_units_in_flight
        self._admission = Admission(spec.max_units_in_flight, spec.max_bytes_in_flight)
        self._pool = ThreadPoolExecutor(spec.max_units_in_flight, thread_name_prefix="unit")
        self._heartbeat = heartbeat.HeartbeatWriter(
            spec.job_dir,
            self.session,
            lambda: (self._units_done, self._admission.units),
            work.heartbeat,
            run_id=spec.run_id,
            phase=lambda: self._phase,
        )

    def open(self) -> None:
        """Starts the heartbeat, opens the work, and reads the recorded deaths."""
        if self.spec.decoding_threads is not None:
            pa.set_cpu_count(self.spec.decoding_threads)
        expect_units(self.spec.max_units_in_flight)
        self._heartbeat.start()
        try:
            self._work.open()
        except BaseException:
            self._heartbeat.stop()
            raise
        self._phase = ""
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        job_dir = self.spec.job_dir
        self._runner = UnitRunner(
            job_dir=job_dir,
            work=without_forgotten(self._work, job_dir),
            schema=self.spec.schema,
            config_hash=self.spec.config_hash,
            journal=journal.Journal(job_dir, self.session),
            max_bytes=self._piece_bytes(),
            suspects=journal.diagnose(journal.read_deaths(job_dir)),
            identified_by=self.spec.identified_by,
        )

    def submit(self, unit: Unit, suspect: journal.Suspect | None = None) -> Future[CommitRecord]:
        """Waits for room and runs the unit in a thread. Raises the reason to stop, if there is one.

        Args:
            unit: The unit.
            suspect: What the deaths since this worker was opened say about it.
        """
        runner = (
            self._runner if suspect is None else dataclasses.replace(self._runner, suspects={unit.unit_id: suspect})
        )
        self._admission.enter(self._most_bytes(unit), runner.must_run_alone(unit))
        if self.stop_reason is not None:
            self._admission.leave(self._most_bytes(unit))
            raise self.stop_reason
        return self._pool.submit(self._run, unit, runner)

    def stop(self, reason: BaseException) -> None:
        """Admits no further units."""
        with self._lock:
            self.stop_reason = self.stop_reason or reason

    def close(self) -> None:
        """Waits for the units in flight, then closes the work."""
        self._pool.shutdown()
        self._heartbeat.stop()
        self._work.close()
        close_cursors()
        gc.unfreeze()

    def _piece_bytes(self) -> float:
        """Maximum of decoded bytes in a piece of a unit. An engine needs many rows at a time to keep its slots busy."""
        if self._work.whole_row_groups:
            return float("inf")
        return self._share if self._work.spreads_rows else min(self._share, PIECE_BYTES)

    def _most_bytes(self, unit: Unit) -> int:
        return max(unit.num_bytes, self._share)

    def _run(self, unit: Unit, runner: UnitRunner) -> CommitRecord:
        try:
            record = self._run_once_or_alone(unit, runner)
        except BaseException as error:
            self.stop(error)
            raise
        finally:
            # A cycle that reaches a unit's tables, such as that of an exception which a library keeps in a variable,
            # would keep them until a full collection, which these thresholds all but rule out.
            gc.collect()
            self._admission.leave(self._most_bytes(unit))
        with self._lock:
            self._units_done += 1
        return record

    def _run_once_or_alone(self, unit: Unit, runner: UnitRunner) -> CommitRecord:
        try:
            return runner.run(unit)
        except OutOfMemory:
            _log.warning("memory ran out while unit %s was in flight with others; it runs again, alone", unit.unit_id)
        self._admission.leave(self._most_bytes(unit))
        self._admission.enter(self._most_bytes(unit), alone=True)
        return runner.run(unit, alone=True)
