"""What the driver tells of the hosts that work on its job: who joins, who leaves or falls silent, who does what.

    codemill filter: node7-3 joined: 4 workers
    codemill filter: node7-3: 128 units, 32,768 rows, 310 rows/s, works on 000131-9f3a1c, last beat 3 s ago
    codemill filter: node7-3 has been silent for 60 s: others take over its units; its last lines:
    codemill filter:   | ...

Times are those at which the driver read something new, never the hosts' own. Cost: a listing and one read per host
every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs import storage
from jobs.errors import WorkerFailed
from jobs.execution.orders import raise_failure
from jobs.ledger.claimants import Claimant, list_claimants, read_claimant
from jobs.ledger.commits import list_commits
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError

POLL_S = 5.0
STATUS_S = 60.0  # between two lines about each host
MAX_FAILED = 3  # hosts in a row that failed, without a commit, before the driver gives up as well
_POLL_SHARE = 10  # as for the progress line: polls take at most a tenth of the time
_SHOWN_HOSTS = 12
_SHOWN_LINES = 10
_RATE_S = 60.0

Say = Callable[[str], None]


@dataclass
class _Seen:
    """What is known of one host, with the driver's own times."""

    last: Claimant
    changed_at: float
    is_silent: bool = False
    history: deque[tuple[float, int]] = field(default_factory=deque)  # (time, rows)


class HostWatch:
    """Follows the hosts of one run. Not thread-safe.

    Args:
        job_dir: The job's folder.
        stale_s: After how long without a heartbeat a host counts as silent.
        say: Tells the user.
        now: A monotonic clock in seconds.
    """

    def __init__(self, job_dir: JobFolder, stale_s: float, say: Say, now: Callable[[], float] = time.monotonic):
        self._job_dir = job_dir
        self._stale_s = stale_s
        self._say = say
        self._now = now
        self._seen: dict[str, _Seen] = {}
        self._gone = {one for one in list_claimants(job_dir) if _has_ended(job_dir, one)}  # of earlier runs
        self._failed: list[Claimant] = []
        self._status_at = now()

    @property
    def working(self) -> list[Claimant]:
        """The hosts that are there."""
        return [seen.last for seen in self._seen.values() if not seen.is_silent]

    def poll(self) -> None:
        """Reads the heartbeats and tells what is new. Raises OSError if the storage can't be reached."""
        for claimant_id in list_claimants(self._job_dir):
            if claimant_id not in self._gone and (found := read_claimant(self._job_dir, claimant_id)) is not None:
                self._take(found[1])
        if self._now() - self._status_at >= STATUS_S:
            self._status_at = self._now()
            self._tell_status()

    def tell_rest(self) -> None:
        """Tells how far the hosts are that are still there."""
        if self._seen:
            self._tell_status()

    def check_failures(self) -> None:
        """Raises what ended the last hosts, if they ended in a row and none is there that works.

        Raises:
            ConfigError, StorageFull, WorkerFailed: As `jobs.execution.supervisor.run_units` does.
        """
        if len(self._failed) >= MAX_FAILED and not self.working:
            last = self._failed[-1]
            assert last.failure is not None
            raise_failure({**last.failure, "message": f"{last.failure['message']} (on {last.name})"})

    def _take(self, claimant: Claimant) -> None:
        now = self._now()
        seen = self._seen.get(claimant.claimant_id)
        if seen is None:
            seen = self._seen[claimant.claimant_id] = _Seen(claimant, now)
            if not claimant.ended:
                self._say(f"{claimant.name} joined: {counted(claimant.workers, 'worker')}")
        elif claimant != seen.last:
            if seen.is_silent:
                self._say(f"{claimant.name} is back after {now - seen.changed_at:,.0f} s")
            if claimant.units_done > seen.last.units_done:
                self._failed.clear()
            seen.last, seen.changed_at, seen.is_silent = claimant, now, False
        elif not seen.is_silent and now - seen.changed_at > self._stale_s:
            lines = self._last_lines(claimant)
            seen.is_silent = True
            silent_s = now - seen.changed_at
            self._say(f"{claimant.name} has been silent for {silent_s:,.0f} s: others take over its units")
            self._tell_lines(lines)
        seen.history.append((now, claimant.rows_done))
        while now - seen.history[0][0] > _RATE_S:
            seen.history.popleft()
        if claimant.ended:
            self._tell_end(claimant)

    def _tell_end(self, claimant: Claimant) -> None:
        lines = [] if claimant.failure is None else self._last_lines(claimant)
        self._gone.add(claimant.claimant_id)
        del self._seen[claimant.claimant_id]
        done = f"{counted(claimant.units_done, 'unit')}, {counted(claimant.rows_done, 'row')}"
        if claimant.failure is None:
            left = "has finished" if claimant.ended == "done" else "left"
            self._say(f"{claimant.name} {left}: {done}")
            return
        self._failed.append(claimant)
        self._say(f"{claimant.name} failed after {done}: {claimant.failure['message']}")
        self._tell_lines(lines)

    def _last_lines(self, claimant: Claimant) -> list[str]:
        """What a host printed last. Read before it is told of, so that a poll that fails is made again."""
        try:
            return storage.read_bytes(self._job_dir.log(claimant.claimant_id)).decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def _tell_lines(self, lines: Sequence[str]) -> None:
        for line in lines[-_SHOWN_LINES:]:
            self._say(f"  | {line}")

    def _tell_status(self) -> None:
        there = sorted(self._seen.values(), key=lambda seen: seen.last.name)
        for seen in there[:_SHOWN_HOSTS]:
            self._say(self._status(seen))
        if len(there) > _SHOWN_HOSTS:
            self._say(f"and {len(there) - _SHOWN_HOSTS} more hosts")
        if not there:
            self._say("no host works on this job: start some with codemill work OUTPUT")

    def _status(self, seen: _Seen) -> str:
        last, (since, rows) = seen.last, seen.history[0]
        passed = self._now() - since
        rate = f", {(last.rows_done - rows) / passed:,.0f} rows/s" if passed else ""
        works = f", works on {', '.join(last.in_flight)}" if last.in_flight else ", idle"
        ago = self._now() - seen.changed_at
        done = f"{counted(last.units_done, 'unit')}, {counted(last.rows_done, 'row')}"
        return f"{last.name}: {done}{rate}{works}, last beat {ago:,.0f} s ago"


def _has_ended(job_dir: JobFolder, claimant_id: str) -> bool:
    found = read_claimant(job_dir, claimant_id)
    return found is not None and bool(found[1].ended)


@contextmanager
def follow_hosts(job_dir: JobFolder, stale_s: float, say: Say) -> Iterator[None]:
    """Tells of the hosts from a separate thread while the block runs."""
    watch = HostWatch(job_dir, stale_s, say)
    stopped = threading.Event()

    def follow() -> None:
        while not stopped.is_set():
            stopped.wait(_poll(watch))

    thread = threading.Thread(target=follow, name="hosts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        _poll(watch)
        watch.tell_rest()


def wait_for_hosts(job_dir: JobFolder, units: int, stale_s: float, say: Say) -> None:
    """Waits until other hosts have committed all units, and tells of them.

    Args:
        job_dir: The job's folder.
        units: Number of units of the plan.
        stale_s: After how long without a heartbeat a host counts as silent.
        say: Tells the user.

    Raises:
        ConfigError, StorageFull, WorkerFailed: What ended several hosts in a row.
    """
    watch = HostWatch(job_dir, stale_s, say)
    while True:
        pause_s = _poll(watch)
        began = time.monotonic()
        if len(list_commits(job_dir)) >= units:
            _poll(watch)
            watch.tell_rest()
            return
        watch.check_failures()
        time.sleep(max(min(pause_s, 1.0), _POLL_SHARE * (time.monotonic() - began)))


def _poll(watch: HostWatch) -> float:
    """Polls once; returns after how many seconds to poll again."""
    began = time.monotonic()
    try:
        watch.poll()
    except (ConfigError, WorkerFailed):
        raise
    except Exception as error:
        if not (isinstance(error, OSError) or storage.is_unanswered(error)):
            raise
    return max(POLL_S, _POLL_SHARE * (time.monotonic() - began))
