"""Progress of a running job: a live line in a terminal, an occasional plain line elsewhere.

    41/117 units · ETA 07:31 · 10,496/29,952 rows · 1,204 tokens/s · 212 rejected · slots 93% ━━━━━━━━━╸━━━━━━━━━━━

The metrics come only from the commits (units, rows, rejected) and the workers' heartbeats (tokens, slots), so they are
the same on every runner, from any machine, and after a resume. `jobs.terminal.display` shows them.

Cost: one listing of the commits per poll. If a listing is slow, polls become less frequent, so that polling takes at
most a tenth of the time.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from jobs.ledger.commits import list_commits, read_commits
from jobs.ledger.heartbeat import read_heartbeats
from jobs.storage.folders import JobFolder
from jobs.terminal.display import Mode, clock, open_display

_POLL_S = 1.0
_POLL_SHARE = 10  # a poll that took t is followed by a pause of at least 10 t
_WINDOW_S = 120.0  # rates are over the last two minutes
_FRESH_S = 30.0  # a worker silent for longer is excluded from the slot occupancy

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The state of a job at one moment. Values that are not known yet are None."""

    units_done: int
    units_total: int
    rows_done: int
    rows_total: int
    rejected: int = 0
    failed_units: int = 0
    tokens_per_s: float | None = None
    slot_occupancy: float | None = None
    eta_s: float | None = None


def metrics(snapshot: Snapshot) -> list[str]:
    """Returns the metrics as text, the most important first.

    >>> metrics(Snapshot(units_done=1, units_total=4, rows_done=10, rows_total=40, rejected=2, eta_s=75))
    ['1/4 units', 'ETA 01:15', '10/40 rows', '2 rejected']
    """
    shown = [f"{snapshot.units_done:,}/{snapshot.units_total:,} units"]
    if snapshot.failed_units:
        shown.append(f"{snapshot.failed_units:,} FAILED")
    if snapshot.eta_s:
        shown.append(f"ETA {clock(snapshot.eta_s)}")
    shown.append(f"{snapshot.rows_done:,}/{snapshot.rows_total:,} rows")
    if snapshot.tokens_per_s is not None:
        shown.append(f"{snapshot.tokens_per_s:,.{0 if snapshot.tokens_per_s >= 10 else 1}f} tokens/s")
    shown.append(f"{snapshot.rejected:,} rejected")
    if snapshot.slot_occupancy is not None:
        shown.append(f"slots {snapshot.slot_occupancy:.0%}")
    return shown


class Watcher:
    """Reads a job's folder on each poll and returns the state of the job.

    Args:
        job_dir: The output's `_job`.
        units_total: Units of the plan.
        rows_total: Source rows of the plan.
        now: Returns the time in seconds since the epoch (tests pass their own clock).
    """

    def __init__(self, job_dir: JobFolder, *, units_total: int, rows_total: int, now: Callable[[], float] = time.time):
        self._job_dir = job_dir
        self._units_total = units_total
        self._rows_total = rows_total
        self._now = now
        self._started = now()
        self._known: set[str] = set()
        self._rows = self._rejected = self._failed = 0
        self._tokens = 0.0
        self._tokens_of: dict[str, float] = {}
        self._history: deque[tuple[float, int, float]] = deque()  # (time, rows, tokens)

    def poll(self) -> Snapshot:
        """Reads new commits and the heartbeats. Raises OSError if the storage can't be reached."""
        self._read_commits()
        slot_occupancy = self._read_heartbeats()
        now = self._now()
        self._history.append((now, self._rows, self._tokens))
        while now - self._history[0][0] > _WINDOW_S:
            self._history.popleft()
        since, rows_then, tokens_then = self._history[0]
        rows, tokens, passed = self._rows - rows_then, self._tokens - tokens_then, now - since
        left = self._rows_total - self._rows
        return Snapshot(
            units_done=len(self._known),
            units_total=self._units_total,
            rows_done=self._rows,
            rows_total=self._rows_total,
            rejected=self._rejected,
            failed_units=self._failed,
            tokens_per_s=tokens / passed if tokens and passed else None,
            slot_occupancy=slot_occupancy,
            eta_s=left * passed / rows if rows and passed else None,
        )

    def _read_commits(self) -> None:
        for record in read_commits(self._job_dir, sorted(list_commits(self._job_dir) - self._known)):
            self._known.add(record.unit_id)
            self._rows += record.rows_in
            self._rejected += int(record.counts.get("rows_rejected", 0))
            self._failed += record.status == "failed"

    def _read_heartbeats(self) -> float | None:
        """Adds the tokens generated since the last poll; returns the mean occupancy of the live workers."""
        occupancies = []
        for beat in read_heartbeats(self._job_dir):
            tokens = beat.figures.get("tokens_out")
            if beat.at < self._started or tokens is None:
                continue  # from an earlier run, or before its engine has started
            self._tokens += max(0.0, tokens - self._tokens_of.get(beat.session, 0.0))
            self._tokens_of[beat.session] = tokens
            if self._now() - beat.at <= _FRESH_S and "slot_occupancy" in beat.figures:
                occupancies.append(beat.figures["slot_occupancy"])
        return sum(occupancies) / len(occupancies) if occupancies else None


@contextmanager
def follow_job(
    job_dir: JobFolder,
    *,
    units_total: int,
    rows_total: int,
    mode: Mode = "auto",
    stream: IO[str] | None = None,
    tell: Callable[..., None] | None = None,
) -> Iterator[None]:
    """Shows a job's progress from a separate thread while the block runs.

    Args:
        job_dir: The output's `_job`.
        units_total: Units of the plan.
        rows_total: Source rows of the plan.
        mode: What to show; `auto` is a bar if `stream` is a terminal, else lines.
        stream: Where to show it; standard error if None.
        tell: Is called with each state's fields, by name.
    """
    watcher = Watcher(job_dir, units_total=units_total, rows_total=rows_total)
    display = open_display(mode, stream or sys.stderr)
    is_followed = mode != "none" or tell is not None
    stopped = threading.Event()

    def show() -> None:
        try:
            snapshot = watcher.poll()
        except Exception as error:
            # Storage errors in the workers end the job. A failed poll does not, whatever exception the storage client
            # raises.
            _log.debug("can't read progress: %s", error)
            return
        facts = dataclasses.asdict(snapshot)
        display.show(metrics(snapshot), snapshot.rows_done / rows_total if rows_total else None, facts)
        if tell is not None:
            tell(**facts)

    def watch() -> None:
        pause_s = 0.0
        while not stopped.wait(pause_s):
            began = time.monotonic()
            show()
            pause_s = max(_POLL_S, _POLL_SHARE * (time.monotonic() - began))

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    if is_followed:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        if is_followed:
            thread.join()
            show()
        display.close()
