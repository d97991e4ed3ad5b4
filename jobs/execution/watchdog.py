"""Notices a worker in which nothing goes on, from the outside: the worker's own threads may be what stands still.

    goes on     a start in the journal begins or ends, a unit is done, the engine takes in or gives out a token
    stands still   something is in flight, and none of that happened for `--row_timeout_s`

Loading a model is no standstill: nothing is in flight then. Compiling a program while rows wait for it looks like one,
so the limit is to be far above that. One unit that hangs beside others that go on is noticed when they are through.
Time is counted while this machine runs: a suspended laptop blames no row.
"""

from __future__ import annotations

import time

from jobs.ledger import heartbeat, journal
from jobs.storage.folders import JobFolder

_COUNTED = ("tokens_in", "tokens_out")


class Watchdog:
    """Watches one session. Cost of a look: a listing and a small read.

    Args:
        job_dir: The job's folder.
        session: The worker.
        timeout_s: How long nothing may go on, in seconds.
    """

    def __init__(self, job_dir: JobFolder, session: str, timeout_s: float):
        self._job_dir = job_dir
        self._session = session
        self.timeout_s = timeout_s
        self._last: object = None
        self._since = 0.0

    @property
    def period_s(self) -> float:
        """How long to wait between two looks: a look costs a request or two on a remote storage."""
        return min(15.0, max(0.2, self.timeout_s / 10))

    def stands_still(self, now: float | None = None) -> bool:
        """Whether the worker has stood still for too long. `now` is a monotonic time in seconds."""
        now = time.monotonic() if now is None else now
        starts = journal.open_starts(self._job_dir, self._session)
        beat = heartbeat.read_heartbeat(self._job_dir, self._session)
        figures = None if beat is None else (beat.units_done, *(beat.figures.get(name) for name in _COUNTED))
        seen = (tuple(starts), figures)
        if not starts or seen != self._last:
            self._last, self._since = seen, now
        return now - self._since > self.timeout_s
