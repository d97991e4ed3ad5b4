"""Heartbeats: a small object per worker, rewritten every two seconds, that describes what the worker is doing.

    _job/heartbeats/<session>.json   {"session", "at", "rss_mb", "units_done", "units_in_flight", "figures", ...}

Workers write heartbeats, and the progress line reads them together with the commits, from any machine and on every
runner. If a heartbeat can't be
written, the error is logged and the next one is tried: it never fails a unit.
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
    """

    session: str
    host: str
    pid: int
    at: float
    rss_mb: float
    units_done: int
    units_in_flight: int
    figures: Mapping[str, float] = field(default_factory=dict)


class HeartbeatWriter:
    """Writes a worker's heartbeat from a separate thread until `stop`.

    Args:
        units: Returns `(units_done, units_in_flight)`.
        metrics: Returns the work's own metrics.
    """

    def __init__(
        self,
        job_dir: JobFolder,
        session: str,
        units: Callable[[], tuple[int, int]],
        metrics: Callable[[], Mapping[str, float]],
        period_s: float = PERIOD_S,
    ):
        self._path = job_dir.heartbeat(session)
        self._session = session
        self._units = units
        self._metrics = metrics
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first heartbeat before it returns, so that the worker is visible before it runs a unit."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Writes a last heartbeat and ends the thread."""
        self._stopped.set()
        self._thread.join()
        self._beat()

    def _beat_until_stopped(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._beat()

    def _beat(self) -> None:
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
            )
            storage.write_bytes(self._path, json.dumps(asdict(beat)).encode(), durable=False)
        except Exception as error:
            if isinstance(error, OSError | ConfigError) or storage.is_unanswered(error):
                _log.warning("can't write the heartbeat: %s", error)
                return
            _log.exception("can't write the heartbeat: collecting the work's metrics failed")


@contextlib.contextmanager
def signs_of_life(job_dir: JobFolder) -> Iterator[None]:
    """Writes heartbeats of this process while the block runs, for steps that have no worker session."""
    session = f"{socket.gethostname()}-{os.getpid()}-{_this_process}"
    writer = HeartbeatWriter(job_dir, session, lambda: (0, 0), dict)
    writer.start()
    try:
        yield
    finally:
        writer.stop()


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
