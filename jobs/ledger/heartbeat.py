"""Heartbeats: a small object per worker, rewritten every two seconds, that describes what the worker is doing.

    _job/heartbeats/<session>.json   {"session", "at", "rss_mb", "units_done", "units_in_flight", "figures", ...}

Workers write heartbeats, and the progress line reads them together with the commits, from any machine and on every
runner. If a heartbeat can't be written, the error is logged and the next one is tried: it never fails a unit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from jobs import storage
from jobs.storage.folders import JobFolder
from model.errors import ConfigError

PERIOD_S = 2.0
_this_process = uuid.uuid4().hex[:8]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """The state of one worker process at one moment.

    Args:
        session: The worker session.
        at: Time of the heartbeat in seconds since the epoch, by the worker's clock.
        rss_mb: Resident memory of the process.
        units_done: Units that it has finished since it started.
        units_in_flight: Units that it is working on.
        figures: The metrics that `Work.heartbeat` returned.
        run_id: Name of the run that the worker belongs to; "" if it has none.
        phase: What it does before it can run a unit, such as `loading the model`; "" once it can.
    """

    session: str
    host: str
    pid: int
    at: float
    rss_mb: float
    units_done: int
    units_in_flight: int
    figures: Mapping[str, float] = field(default_factory=dict)
    run_id: str = ""
    phase: str = ""


class HeartbeatWriter:
    """Writes a worker's heartbeat from a separate thread until `stop`.

    Args:
        units: Returns `(units_done, units_in_flight)`.
        metrics: Returns the work's own metrics.
        run_id: Name of the run.
        phase: Returns the worker's phase.
    """

    def __init__(
        self,
        job_dir: JobFolder,
        session: str,
        units: Callable[[], tuple[int, int]],
        metrics: Callable[[], Mapping[str, float]],
        period_s: float = PERIOD_S,
        run_id: str = "",
        phase: Callable[[], str] = lambda: "",
    ):
        self._path = job_dir.heartbeat(session)
        self._session = session
        self._units = units
        self._metrics = metrics
        self._period_s = period_s
        self._run_id = run_id
        self._phase = phase
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first heartbeat before it returns, so that the worker is visible before it runs a unit."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Writes a last heartbeat and ends the thread."""
        self._stopped.set()
        self._thread.join()
        self.beat()

    def _beat_until_stopped(self) -> None:
        while not self._stopped.wait(self._period_s):
            self.beat()

    def beat(self) -> None:
        """Writes a heartbeat, or logs why it can't."""
        try:
            done, in_flight = self._units()
            beat = Heartbeat(
                session=self._session,
                host=socket.gethostname(),
                pid=os.getpid(),
                at=time.time(),
                rss_mb=_rss_mb(),
                units_done=done,
                units_in_flight=in_flight,
                figures=dict(self._metrics()),
                run_id=self._run_id,
                phase=self._phase(),
            )
            storage.write_bytes(self._path, json.dumps(asdict(beat)).encode(), durable=False)
        except Exception as error:
            if isinstance(error, OSError | ConfigError) or storage.is_unanswered(error):
                _log.warning("can't write the heartbeat: %s", error)
                return
            _log.exception("can't write the heartbeat: collecting the work's metrics failed")


@contextlib.contextmanager
def signs_of_life(job_dir: JobFolder) -> Iterator[None]:
    """Writes heartbeats of this process while the block runs, for steps that have no worker session.

    Blocks may be many, short, and in several threads: together they write one heartbeat a period.
    """
    signs = _Signs.of(job_dir)
    try:
        yield
    finally:
        signs.leave()


class _Signs:
    """This process's heartbeats for a job, written while any block of it runs; the writer ends some periods after."""

    _lock: ClassVar = threading.Lock()
    _by_job: ClassVar[dict[str, _Signs]] = {}
    _IDLE_PERIODS: ClassVar = 5

    def __init__(self, job_dir: JobFolder):
        session = f"{socket.gethostname()}-{os.getpid()}-{_this_process}"
        self._job = job_dir.path
        self._writer = HeartbeatWriter(job_dir, session, lambda: (0, 0), dict)
        self._users = self._idle = 0
        self._was_used = False  # since the last look
        threading.Thread(target=self._write, name="signs of life", daemon=True).start()

    @classmethod
    def of(cls, job_dir: JobFolder) -> _Signs:
        """The job's, with one more user; the first one finds a heartbeat written."""
        with cls._lock:
            signs = cls._by_job.get(job_dir.path)
            if signs is None:
                signs = cls._by_job[job_dir.path] = cls(job_dir)
                signs._writer.beat()
            signs._users += 1
            signs._was_used = True
            return signs

    def leave(self) -> None:
        """Ends a use."""
        with self._lock:
            self._users -= 1

    def _write(self) -> None:
        while True:
            time.sleep(PERIOD_S)
            with self._lock:
                is_used, self._was_used = self._was_used or self._users > 0, False
                self._idle = 0 if is_used else self._idle + 1
                if self._idle > self._IDLE_PERIODS:
                    del self._by_job[self._job]
                    return
            if is_used:
                self._writer.beat()


def read_heartbeats(job_dir: JobFolder) -> list[Heartbeat]:
    """Returns the last heartbeat of every worker session of the job, oldest first."""
    names = storage.list_names(job_dir.heartbeats)
    beats = [read_heartbeat(job_dir, name.removesuffix(".json")) for name in names]
    return sorted((beat for beat in beats if beat is not None), key=lambda beat: beat.at)


def read_heartbeat(job_dir: JobFolder, session: str) -> Heartbeat | None:
    """Returns the last heartbeat of one worker session; None before its first."""
    try:
        data = storage.read_bytes(job_dir.heartbeat(session))
    except FileNotFoundError:
        return None
    return Heartbeat(**json.loads(data))


def _rss_mb() -> float:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
