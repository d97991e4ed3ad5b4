"""Detects a hung worker from outside its process, because the worker's own threads may be what hangs.

    progress   a start in the journal begins or ends, a unit is done, the engine takes in or returns a token, a row is
               prepared, checked, filtered or packed (`transforms.row_pool`)
    hung       something is in flight, and there was no progress for `--row_timeout_s`

Loading a model is not a hang: nothing is in flight then. Compiling a program while rows wait for it looks like one, so
the limit must be far longer than a compilation. If one unit hangs while others make progress, the hang is detected
once the others have ended. Time counts only while this machine runs, so suspending a laptop causes no timeout.
"""

from __future__ import annotations

import time

from jobs.ledger import heartbeat, journal
from jobs.storage.folders import JobFolder

_COUNTED = ("tokens_in", "tokens_out", "tokens_scored", "rows_done")


class Watchdog:
    """Watches one worker session. Cost per check: one listing and one small read.

    Args:
        job_dir: The job's folder.
        session: The worker session.
        timeout_s: Maximum time without progress, in seconds.
    """

    def __init__(self, job_dir: JobFolder, session: str, timeout_s: float):
        self._job_dir = job_dir
        self._session = session
        self.timeout_s = timeout_s
        self._last: object = None
        self._since = 0.0

    @property
    def period_s(self) -> float:
        """Seconds between two checks: each costs one or two requests on a remote storage."""
        return min(15.0, max(0.2, self.timeout_s / 10))

    def is_hung(self, now: float | None = None) -> bool:
        """Whether the worker has made no progress for too long. `now` is a monotonic time in seconds."""
        now = time.monotonic() if now is None else now
        starts = journal.open_starts(self._job_dir, self._session)
        beat = heartbeat.read_heartbeat(self._job_dir, self._session)
        progress = None if beat is None else (beat.units_done, *(beat.figures.get(name) for name in _COUNTED))
        seen = (tuple(starts), progress)
        if not starts or seen != self._last:
            self._last, self._since = seen, now
        return now - self._since > self.timeout_s
