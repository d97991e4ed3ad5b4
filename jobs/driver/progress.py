"""Progress of a running job: a live line in a terminal, an occasional plain line elsewhere.

    03:12 · 20,480/~58,500 targets · 41/117 units · ETA 07:31 · 10,496/29,952 rows · 1,204 tokens/s ━━━━━━╸━━━━━━━━

The metrics come only from the commits (units, rows, rejected) and the workers' heartbeats (targets, tokens, slots, what
a worker waits for), so they are the same on every runner, from any machine, and after a resume. Targets are counted as
they are answered, units only when they are committed. `jobs.terminal.display` shows them.

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

from jobs.driver.sessions import Sessions
from jobs.ledger.commits import list_commits, read_commits
from jobs.ledger.heartbeat import read_heartbeats
from jobs.storage.folders import JobFolder
from jobs.terminal.display import Mode, clock, open_display

_POLL_S = 1.0
_POLL_SHARE = 10  # a poll that took t is followed by a pause of at least 10 t
_WINDOW_S = 120.0  # rates are over the last two minutes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The state of a job at one moment. Values that are not known yet are None.

    Args:
        units_done, units_total, failed_units: Units that are committed, of the plan, and committed as failed.
        rows_done, rows_total, rejected: Rows of committed units, of the plan, and those that were rejected.
        rows_prepared: Rows whose targets are chosen, committed or not.
        targets_asked, targets_done: Targets of these rows, and those that the engine has answered.
        targets_total: Targets of the whole job, exact once all rows are prepared and else by the mean so far.
        tokens_per_s: Generated tokens a second, over the last minutes.
        slot_occupancy: Share of the engines' slots that decode.
        eta_s: Seconds that are left, by targets if there are any, else by rows.
        phase: What all workers wait for, such as `loading the model`, and for how long in seconds (`phase_s`).
        compiles, programs: Programs compiled or read from the cache, and the most that the lengths may need.
        compile_s: Seconds for which requests have waited for that.
        workers, rss_mb: Processes with a fresh heartbeat, and their memory.
    """

    units_done: int
    units_total: int
    rows_done: int
    rows_total: int
    rejected: int = 0
    failed_units: int = 0
    rows_prepared: int | None = None
    targets_asked: int | None = None
    targets_done: int | None = None
    targets_total: int | None = None
    tokens_per_s: float | None = None
    slot_occupancy: float | None = None
    eta_s: float | None = None
    phase: str | None = None
    phase_s: float | None = None
    compiles: int | None = None
    programs: int | None = None
    compile_s: float | None = None
    workers: int | None = None
    rss_mb: float | None = None

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1: of the targets if there are any, else of the rows."""
        if self.targets_total and self.targets_done is not None:
            return min(1.0, self.targets_done / self.targets_total)
        return self.rows_done / self.rows_total if self.rows_total else None


def metrics(snapshot: Snapshot) -> list[str]:
    """Returns the metrics as text, the most important first.

    >>> metrics(Snapshot(units_done=1, units_total=4, rows_done=10, rows_total=40, rejected=2, eta_s=75))
    ['1/4 units', 'ETA 01:15', '10/40 rows', '2 rejected']
    >>> told = Snapshot(units_done=0, units_total=1, rows_done=0, rows_total=82, rows_prepared=41, targets_asked=90,
    ...                 targets_done=0, targets_total=180, phase="compiling program 4 of at most 28", phase_s=38)
    >>> metrics(told)
    ['0/~180 targets', 'compiling program 4 of at most 28 00:38', '0/1 units', '0/82 rows', '0 rejected']
    """
    s = snapshot
    shown = []
    if s.targets_done is not None and s.targets_total is not None:
        is_exact = s.rows_prepared is not None and s.rows_prepared >= s.rows_total
        shown.append(f"{s.targets_done:,}/{'' if is_exact else '~'}{s.targets_total:,} targets")
    if s.phase is not None:
        shown.append(f"{s.phase} {clock(s.phase_s or 0)}")
    units = f"{s.units_done:,}/{s.units_total:,} units"
    shown += [units] if not s.failed_units else [units, f"{s.failed_units:,} FAILED"]
    if s.eta_s:
        shown.append(f"ETA {clock(s.eta_s)}")
    shown.append(f"{s.rows_done:,}/{s.rows_total:,} rows")
    if s.tokens_per_s is not None:
        shown.append(f"{s.tokens_per_s:,.{0 if s.tokens_per_s >= 10 else 1}f} tokens/s")
    shown.append(f"{s.rejected:,} rejected")
    if s.slot_occupancy is not None:
        shown.append(f"slots {s.slot_occupancy:.0%}")
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
        self._rows = self._rejected = self._failed = self._targets = 0
        self._before: tuple[int, int] | None = None  # rows and targets of earlier runs
        self._sessions = Sessions(self._started)
        self._history: deque[tuple[float, int, float, int]] = deque()  # (time, rows, tokens, targets)

    def poll(self) -> Snapshot:
        """Reads new commits and the heartbeats. Raises OSError if the storage can't be reached."""
        self._read_commits()
        if self._before is None:
            self._before = self._rows, self._targets
        now = self._now()
        self._sessions.update(read_heartbeats(self._job_dir), now)
        told = self._sessions
        asked, done, prepared = told.sum("targets_asked"), told.sum("targets_done"), told.sum("rows_prepared")
        targets = None if done is None else int(done) + self._before[1]
        total = self._targets_total(asked, prepared)
        if targets is not None and len(self._known) == self._units_total:  # heartbeats may be late
            targets = total = self._targets
            prepared = self._rows_total - self._before[0]
        rows, tokens, answered, passed = self._passed(now, told.tokens, int(done or 0))
        left, rate = (self._rows_total - self._rows, rows) if total is None else (total - (targets or 0), answered)
        phase = told.phase(now)
        compiles, programs = told.sum("compiles"), told.sum("programs")
        return Snapshot(
            units_done=len(self._known),
            units_total=self._units_total,
            rows_done=self._rows,
            rows_total=self._rows_total,
            rejected=self._rejected,
            failed_units=self._failed,
            rows_prepared=None if prepared is None else min(self._rows_total, int(prepared) + self._before[0]),
            targets_asked=None if asked is None else int(asked) + self._before[1],
            targets_done=targets,
            targets_total=total,
            tokens_per_s=tokens / passed if tokens and passed else None,
            slot_occupancy=told.slot_occupancy,
            eta_s=max(0, left) * passed / rate if rate and passed else None,
            phase=None if phase is None else phase[0],
            phase_s=None if phase is None else phase[1],
            compiles=None if compiles is None else int(compiles),
            programs=None if programs is None else int(programs),
            compile_s=told.sum("compile_s"),
            workers=told.num_fresh or None,
            rss_mb=told.rss_mb or None,
        )

    def _targets_total(self, asked: float | None, prepared: float | None) -> int | None:
        """Targets of the whole job: those of the rows prepared so far, as many a row for the others."""
        assert self._before is not None
        if not asked or not prepared:
            return None
        rows, targets = self._before
        left = max(0.0, self._rows_total - rows - prepared)
        return round(targets + asked + left * asked / prepared)

    def _passed(self, now: float, tokens: float, targets: int) -> tuple[int, float, int, float]:
        """Rows, tokens and targets over the last minutes, and how many seconds these are.

        Time in which nothing has been done yet says nothing about the rate: models load and programs are compiled.
        """
        state = (self._rows, tokens, targets)
        if len(self._history) == 1 and self._history[0][1:] == state:
            self._history.clear()
        self._history.append((now, *state))
        while now - self._history[0][0] > _WINDOW_S:
            self._history.popleft()
        since, rows_then, tokens_then, targets_then = self._history[0]
        return self._rows - rows_then, tokens - tokens_then, targets - targets_then, now - since

    def _read_commits(self) -> None:
        for record in read_commits(self._job_dir, sorted(list_commits(self._job_dir) - self._known)):
            self._known.add(record.unit_id)
            self._rows += record.rows_in
            self._rejected += int(record.counts.get("rows_rejected", 0))
            self._targets += int(record.counts.get("targets", 0))
            self._failed += record.status == "failed"


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
        display.show(metrics(snapshot), snapshot.share, facts)
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
