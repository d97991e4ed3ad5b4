"""The host: runs the units of a Beam runner in supervised child processes of the runner's worker process, its harness.

    RunUnits.process (Beam's threads) -> PushedUnits -> supervisor (one thread) -> child processes
    RunUnits.finish_bundle            <- futures     <-

So a row that kills its process kills a child, whose parent sees it, and never the harness: what a runner does about
lost workers (restart the job, give up after four tries) doesn't depend on rows. The loop is that of one machine
(`jobs.execution.supervisor`). There is one host in a harness; all bundles and all instances of `RunUnits` share it.

One thread lives as long as the host and starts all children, because the kernel ends a child with the *thread* that
started it (PR_SET_PDEATHSIG), and Beam's pool retires its idle threads. The children end with the harness, in whatever
way it ends; nothing is recorded then, so a machine that is taken away puts no row under suspicion.

An error that ends the job is left in `_job/stop_reason` before it is raised (`jobs.hosts.stopping`).
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future

from jobs import storage
from jobs.execution.supervisor import run_source
from jobs.hosts.machine import HostSpec, crew_of, leave_reason
from jobs.hosts.pushed import Outcome, PushedUnits
from jobs.ledger import commits, journal
from jobs.system.child_process import Bell
from transforms.work import Unit

_ROOM = 2  # units pushed for each that may be in flight: workers needn't wait for the next one
_CLOSE_TIMEOUT_S = 120.0
_LIST_EVERY_S, _LIST_SHARE = 60.0, 20  # commits: seconds between two listings, and at least so many times its own
_LINGER_S = 60.0  # without users: Beam drops idle instances and makes new ones for the next bundle

_log = logging.getLogger(__name__)


class HostClosed(Exception):
    """The host was closed before the unit had finished, since the pipeline ended."""


class Host:
    """The supervisor of one harness. Thread-safe. `open` starts it."""

    def __init__(self, told: HostSpec):
        self.told = told
        self.reason: BaseException | None = None
        self._bell = Bell()
        self._source: PushedUnits | None = None
        self._opened = threading.Event()
        self.users = 0  # instances of `RunUnits`
        self._committed: set[str] = set()
        self._list_again = 0.0
        self._deaths: dict[str, journal.Death] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._supervise, name="codemill-host", daemon=True)

    def open(self) -> None:
        """Starts the supervisor and lists the commits. Raises ConfigError."""
        self._thread.start()
        self._list_commits()
        self._opened.wait()
        if self.reason is not None:
            raise self.reason

    def refresh(self) -> None:
        """Reads the deaths that were recorded since, by whatever host: a retried unit may be a suspect, or committed.

        Commits are listed anew now and then, since a listing may take as long as many units. A storage that fails costs
        nothing but work that is done twice.
        """
        job_dir = self.told.spec.job_dir
        with self._lock:
            try:
                if time.monotonic() > self._list_again:
                    self._list_commits()
                new = journal.read_deaths(job_dir, but=self._deaths)
            except Exception as error:
                if not storage.may_pass(error):
                    raise
                _log.warning("can't read what other hosts have done: %s", " ".join(str(error).split())[:300])
                return
            if new:
                self._deaths |= {death.session: death for death in new}
                self._queue.learn(journal.diagnose(sorted(self._deaths.values(), key=lambda death: death.at)))

    def _list_commits(self) -> None:
        began = time.monotonic()
        self._committed |= commits.list_commits(self.told.spec.job_dir)
        now = time.monotonic()
        self._list_again = now + max(_LIST_EVERY_S, _LIST_SHARE * (now - began))

    def submit(self, unit: Unit) -> Future[Outcome] | None:
        """Takes a unit, when there is room; None if it has a commit. Raises the reason to stop, if there is one."""
        if unit.unit_id in self._committed:
            return None
        future = self._queue.push(unit)
        future.add_done_callback(lambda done: self._note_commit(unit, done))
        return future

    def _note_commit(self, unit: Unit, done: Future[Outcome]) -> None:
        if done.exception() is None:
            self._committed.add(unit.unit_id)

    def close(self, *, at_once: bool = False) -> None:
        """Ends the workers; units that have not finished are waited for, unless it is to be at once."""
        if self._source is not None and at_once:
            self._source.fail(HostClosed("the pipeline has ended"))
        elif self._source is not None:
            self._source.close()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if not self._thread.is_alive():
            self._bell.close()

    @property
    def _queue(self) -> PushedUnits:
        assert self._source is not None, "opened"
        return self._source

    def _supervise(self) -> None:
        told = self.told
        try:
            with crew_of(told) as (crew, workers):
                in_flight = told.spec.max_units_in_flight
                self._source = PushedUnits(self._bell, in_flight=in_flight, room=_ROOM * workers() * in_flight)
                self._opened.set()
                run_source(
                    told.spec,
                    told.orders,
                    crew,
                    self._source,
                    workers=workers,
                    bell=self._bell,
                    on_done=self._source.note,
                )
        except HostClosed:
            pass
        except BaseException as error:
            self.reason = leave_reason(told, error)
            if self._source is not None:
                self._source.fail(self.reason)
        finally:
            self._opened.set()


_shared: Host | None = None
_shared_lock = threading.Lock()


def shared_host(told: HostSpec) -> Host:
    """Returns the process's host; the first call of a run opens it, and ends that of an earlier run."""
    global _shared
    with _shared_lock:
        if _shared is not None and _shared.told.run != told.run:
            _shared.close(at_once=True)
            _shared = None
        if _shared is None:
            _shared = Host(told)
            _shared.open()
        elif _shared.reason is not None:
            raise _shared.reason
        _shared.users += 1
        return _shared


def release_host(host: Host) -> None:
    """Takes note that one of the callers of `shared_host` needs it no more; without any, it is closed after a while."""
    with _shared_lock:
        host.users -= 1
        if host.users == 0 and host is _shared:
            timer = threading.Timer(_LINGER_S, _close_unused, [host])
            timer.daemon = True
            timer.start()


def _close_unused(host: Host) -> None:
    global _shared
    with _shared_lock:
        if host is not _shared or host.users:
            return
        _shared = None
    host.close()


def close_host(*, at_once: bool = False) -> BaseException | None:
    """Closes the process's host, if there is one, and returns why it stopped, if it did."""
    global _shared
    with _shared_lock:
        host, _shared = _shared, None
    if host is None:
        return None
    host.close(at_once=at_once)
    return host.reason
