"""The shared state of one worker process: the opened work, units in flight, heartbeat, and reason to stop.

Beam creates and pickles DoFn objects at will, so expensive objects (an engine) are created once per process, behind a
lock, in a module global. Several units are in flight concurrently, bounded by number and by bytes, so that the engine
has prompts while the next unit is read and the last one is checked and written. A unit that decodes to more bytes than
planned is processed in pieces of at most its share of the bound. A unit that was in flight when a worker died runs
alone, and so does one for which memory ran out, when it runs again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.errors import OutOfMemory
from jobs.execution.attempt import UnitRunner
from jobs.execution.cursors import close_cursors
from jobs.ledger import heartbeat, journal
from jobs.ledger.commits import CommitRecord
from jobs.plan.schemas import schema_from_text, schema_to_text
from jobs.storage.folders import JobFolder
from transforms.work import Unit, Work

_log = logging.getLogger(__name__)


MAX_UNITS_IN_FLIGHT = 2
MAX_BYTES_IN_FLIGHT = 512_000_000
ROW_TIMEOUT_S = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """How a worker rebuilds a job's work, and further settings for the runner; JSON values.

    Args:
        job_name: The job's module under `jobs`, which has `build_work(options) -> Work`; with a dot, any module.
        options: All options; `build_work` gets them in the worker.
        checkpoint_sha256: Hash of the weights that the job was started with; a worker that finds others stops the job.
        row_timeout_s: How long a worker with units in flight may make no progress, in seconds.
        beam_args: Beam's own flags.
    """

    job_name: str
    options: Mapping[str, Any]
    checkpoint_sha256: str = ""
    row_timeout_s: float = ROW_TIMEOUT_S
    beam_args: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """The workers' settings; small and picklable.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        config_hash: The job's configuration hash, for the commit records.
        schema: The columns to read.
        max_units_in_flight: Maximum number of units in flight in one process.
        max_bytes_in_flight: Maximum of their total bytes; a single unit may be larger.
        only_units: Run only these units; None means all.
        session: Id of the worker session, if a supervisor assigned one.
    """

    job_dir: JobFolder
    config_hash: str
    schema: pa.Schema
    max_units_in_flight: int = MAX_UNITS_IN_FLIGHT
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT
    only_units: frozenset[str] | None = None
    session: str | None = None


def spec_to_json(spec: RunSpec) -> dict[str, Any]:
    """Converts a spec to plain JSON values."""
    return {
        "job_dir": str(spec.job_dir),
        "config_hash": spec.config_hash,
        "schema": schema_to_text(spec.schema),
        "max_units_in_flight": spec.max_units_in_flight,
        "max_bytes_in_flight": spec.max_bytes_in_flight,
        "only_units": None if spec.only_units is None else sorted(spec.only_units),
        "session": spec.session,
    }


def spec_from_json(fields: Mapping[str, Any]) -> RunSpec:
    """Converts the output of `spec_to_json` back to a spec."""
    only_units = fields["only_units"]
    changed = {
        "job_dir": JobFolder(fields["job_dir"]),
        "schema": schema_from_text(fields["schema"]),
        "only_units": None if only_units is None else frozenset(only_units),
    }
    return RunSpec(**{**fields, **changed})


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
    """One worker process. Use `shared`, which creates it once.

    `stop_reason` is the first error that ends the job (ConfigError, StorageFull, a bug); after it no unit is admitted.
    """

    def __init__(self, spec: RunSpec, work: Work):
        self.spec = spec
        self.stop_reason: BaseException | None = None
        self.session = spec.session or journal.new_session(supervised=False)
        self._work = work
        self._units_done = 0
        self._lock = threading.Lock()
        # Each unit may decode up to this share, whatever its footer says, so that the total stays within the bound.
        self._share = spec.max_bytes_in_flight // spec.max_units_in_flight
        self._admission = Admission(spec.max_units_in_flight, spec.max_bytes_in_flight)
        self._pool = ThreadPoolExecutor(spec.max_units_in_flight, thread_name_prefix="unit")
        self._heartbeat = heartbeat.HeartbeatWriter(
            spec.job_dir, self.session, lambda: (self._units_done, self._admission.units), work.heartbeat
        )

    def open(self) -> None:
        """Opens the work, starts the heartbeat, and reads the recorded deaths."""
        self._work.open()
        self._heartbeat.start()
        job_dir = self.spec.job_dir
        if self.spec.session is None:
            last_beats = {beat.session: beat.at for beat in heartbeat.read_heartbeats(job_dir)}
            journal.record_stale_sessions(job_dir, last_beats, time.time(), heartbeat.STALE_S)
        self._runner = UnitRunner(
            job_dir=job_dir,
            work=self._work,
            schema=self.spec.schema,
            config_hash=self.spec.config_hash,
            journal=journal.Journal(job_dir, self.session),
            max_bytes=float("inf") if self._work.whole_row_groups else self._share,
            suspects=journal.diagnose(journal.read_deaths(job_dir)),
        )

    def submit(self, unit: Unit) -> Future[CommitRecord]:
        """Waits for room and runs the unit in a thread. Raises the reason to stop, if there is one."""
        alone = self._runner.must_run_alone(unit)
        self._admission.enter(self._most_bytes(unit), alone)
        if self.stop_reason is not None:
            self._admission.leave(self._most_bytes(unit))
            raise self.stop_reason
        return self._pool.submit(self._run, unit)

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

    def _most_bytes(self, unit: Unit) -> int:
        return max(unit.num_bytes, self._share)

    def _run(self, unit: Unit) -> CommitRecord:
        try:
            record = self._run_once_or_alone(unit)
        except BaseException as error:
            self.stop(error)
            raise
        finally:
            self._admission.leave(self._most_bytes(unit))
        with self._lock:
            self._units_done += 1
        return record

    def _run_once_or_alone(self, unit: Unit) -> CommitRecord:
        try:
            return self._runner.run(unit)
        except OutOfMemory:
            _log.warning("memory ran out while unit %s was in flight with others; it runs again, alone", unit.unit_id)
        self._admission.leave(self._most_bytes(unit))
        self._admission.enter(self._most_bytes(unit), alone=True)
        return self._runner.run(unit, alone=True)


_shared: Worker | None = None
_shared_lock = threading.Lock()
_failed: BaseException | None = None


def shared(spec: RunSpec, work: Work) -> Worker:
    """Returns the process's worker; the first call opens it. If opening fails, later calls raise the same error."""
    global _shared, _failed
    with _shared_lock:
        if _failed is not None:
            raise _failed
        if _shared is not None and _shared.spec != spec:  # another pipeline in the same process
            _shared.close()
            _shared = None
        if _shared is None:
            worker = Worker(spec, work)
            try:
                worker.open()
            except BaseException as error:
                _failed = error
                raise
            _shared = worker
        return _shared


def close_shared() -> BaseException | None:
    """Closes the process's worker, if there is one, and returns why it stopped, if it did."""
    global _shared, _failed
    with _shared_lock:
        reason, _failed = _failed, None
        if _shared is not None:
            reason = reason or _shared.stop_reason
            _shared.close()
            _shared = None
        return reason
