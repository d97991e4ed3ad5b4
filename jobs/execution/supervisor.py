"""The supervisor: worker processes of this machine, started, fed, watched and replaced until every unit is committed.

The driver hands out units (`jobs.execution.dispatch`) and reads short answers; a worker reads a unit, runs its rows,
writes and commits it. When a worker dies (from a signal or `os._exit`), the supervisor records its death with the units
that were in flight, takes them back, and starts another. Those units go out again with their suspicion
(`jobs.ledger.journal`): they run alone, one that crashes its worker while running alone is bisected, and the failing
row is rejected. Each death thus narrows down the cause. Deaths that do not narrow it down end the job with a one-line
error, counted for each worker by itself, since what others commit says nothing about it:

- `MAX_DEATHS_IN_VAIN` in a row before a unit was handed to it (the worker can't even start);
- `MAX_DEATHS_WITHOUT_COMMIT` in a row without any unit finished (the rows are not the cause; memory may be short).

A worker that got SIGKILL while its control group counted an out-of-memory kill probably ran out of memory: the death
says so, with what was in flight and which options to lower. The job goes on with one worker fewer, and the units that
were in flight run again with the machine for themselves.

Where the control group's limit would end all of its processes together, the largest worker is ended before it comes to
that (`jobs.execution.memory`), which counts as such a death.

A worker that makes no progress for `row_timeout_s` (`jobs.execution.watchdog`) is killed, which counts as a death.

Workers die with the driver (PR_SET_PDEATHSIG). Their deaths are then not recorded, so a user who kills the job creates
no suspects. The kernel ties that signal to the *thread* that started a process, so this runs in the main thread.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from jobs import storage
from jobs.errors import WorkerFailed
from jobs.execution.crew import LOOK_S, Crew
from jobs.execution.dispatch import Dispatcher, UnitSource
from jobs.execution.memory import MemoryWatch
from jobs.execution.orders import Orders, raise_failure, to_text
from jobs.execution.watchdog import Watchdog
from jobs.execution.worker import RunSpec
from jobs.ledger import commits, journal
from jobs.plan.units import read_plan
from jobs.system.child_process import Bell, end_ahead
from model.errors import ConfigError
from transforms.machine import available_cores
from transforms.out_of_memory import count_oom_kills

MAX_DEATHS_IN_VAIN = 2
MAX_DEATHS_WITHOUT_COMMIT = 100
_CLOSE_TIMEOUT_S = 60.0  # for an engine to stop and a last heartbeat
_MEMORY_OPTIONS = ("workers", "max_units_in_flight", "max_mb_in_flight", "slots")
_NOTHING = to_text(())

_log = logging.getLogger(__name__)


def check_all_committed(spec: RunSpec) -> None:
    """Raises WorkerFailed if a unit has no commit although all workers have ended."""
    if left := uncommitted(spec):
        raise WorkerFailed(f"{len(left)} units have no commit although the workers have finished, first {min(left)}")


def uncommitted(spec: RunSpec) -> set[str]:
    """Returns the ids of the units that have no commit."""
    return {unit.unit_id for unit in read_plan(spec.job_dir)} - commits.list_commits(spec.job_dir)


def run_units(spec: RunSpec, orders: Orders, crew: Crew | None = None) -> None:
    """Runs every unit of the frozen plan that has no commit yet; returns when all have one.

    Args:
        spec: What to run.
        orders: How the work is made.
        crew: The processes to run it in; None starts one and ends it.

    Raises:
        ConfigError, StorageFull: The job can't continue; the one-line message says why. Committed work is kept.
        WorkerFailed: A bug.
    """
    if not (left := uncommitted(spec)):
        return
    units = (unit for unit in read_plan(spec.job_dir) if unit.unit_id in left)
    suspects = journal.diagnose(journal.read_deaths(spec.job_dir))
    source = Dispatcher(units, suspects, in_flight=spec.max_units_in_flight)
    own = crew or Crew()
    try:
        run_source(spec, orders, own, source, workers=min(own.size, len(left)))
    finally:
        if crew is None:
            own.close()
    check_all_committed(spec)


def run_source(
    spec: RunSpec,
    orders: Orders,
    crew: Crew,
    source: UnitSource,
    *,
    workers: int | Callable[[], int],
    bell: Bell | None = None,
    on_done: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Runs what a source hands out, until it is done. Raises as `run_units` does.

    Args:
        spec: What to run.
        orders: How the work is made.
        crew: The processes to run it in.
        source: Hands out the units.
        workers: How many of the processes are needed; a function is asked again every few seconds.
        bell: Rung by a source that has something to hand out again; without one it is asked now and then.
        on_done: Gets what a worker says of each unit that it has committed, before the source is told.
    """
    _Run(crew, spec, orders, source, workers, bell, on_done).run()


@dataclasses.dataclass
class _Worker:
    """A process in its role as a worker, with what is known of it."""

    session: str
    watchdog: Watchdog
    is_open: bool = False
    checked_at: float = 0.0


class _Run:
    """One run of a job's units over a crew."""

    def __init__(
        self,
        crew: Crew,
        spec: RunSpec,
        orders: Orders,
        source: UnitSource,
        workers: int | Callable[[], int],
        bell: Bell | None,
        on_done: Callable[[Mapping[str, Any]], None] | None,
    ):
        self._crew = crew
        self._bell = bell
        self._on_done = on_done
        self._spec = spec
        self._orders = orders
        self._workers: dict[int, _Worker] = {}
        self._needed = workers if callable(workers) else None
        self._wanted = list(range(workers() if callable(workers) else workers))
        self._most: int | None = None  # after memory ran out
        self._resized_at = time.monotonic()
        self._in_vain: Counter[int] = Counter()  # deaths in a row, by worker
        self._without_commit: Counter[int] = Counter()
        self._oom_kills = count_oom_kills()
        self._memory = MemoryWatch()
        self._queue = source

    def run(self) -> None:
        while not self._queue.is_done:
            self._resize()
            self._start_missing()
            end_ahead()  # more of them than workers are needed
            self._feed()
            if self._queue.is_done:
                break  # it may have asked only whether a worker is there, and none will say anything
            self._hear()
            self._end_hung()
            self._end_largest()
        self._close()

    def _resize(self) -> None:
        """Follows the number of workers that are needed; one too many ends when it has nothing in flight."""
        if self._needed is not None and time.monotonic() - self._resized_at > LOOK_S:
            self._resized_at = time.monotonic()
            needed = self._needed() if self._most is None else min(self._needed(), self._most)
            for number in range(needed):
                if len(self._wanted) < needed and number not in self._wanted:
                    self._wanted.append(number)
            del self._wanted[needed:]
        for number in [number for number in self._workers if number not in self._wanted]:
            if not self._queue.in_flight(number):
                del self._workers[number]
                self._crew.bury(number)

    def _start_missing(self) -> None:
        for number in self._wanted:
            if number not in self._workers:
                self._start(number)
            if self._orders.opens_first and not any(worker.is_open for worker in self._workers.values()):
                self._prepare_waiting()
                return

    def _prepare_waiting(self) -> None:
        """Has the workers that must wait for the first one import what they will need meanwhile."""
        for number in self._wanted:
            if number not in self._workers and number not in self._crew.children:
                self._crew.child(number).send({"prepare": to_text(self._orders)})

    def _start(self, number: int) -> None:
        session = journal.new_session(supervised=True)
        watchdog = Watchdog(self._spec.job_dir, session, self._orders.row_timeout_s)
        threads = max(1, available_cores() // len(self._wanted))  # the cores are shared by the workers
        spec = dataclasses.replace(self._spec, session=session, decoding_threads=threads)
        self._crew.child(number).send({"open": to_text((self._orders, spec))})
        self._workers[number] = _Worker(session, watchdog, checked_at=time.monotonic())

    def _feed(self) -> None:
        for number, worker in self._workers.items():
            while number in self._wanted and worker.is_open and (unit := self._queue.next_for(number)) is not None:
                suspicion = self._queue.suspicion_of(unit)
                self._crew.children[number].send({"run": to_text((unit, suspicion))})

    def _hear(self) -> None:
        period_s = min([self._memory.wait_s(), *(worker.watchdog.period_s for worker in self._workers.values())])
        for number, said in self._crew.hear(list(self._workers), period_s, self._bell):
            if said is None:
                self._bury(number)
            elif "failed" in said:
                raise_failure(said["failed"])
            elif "done" in said:
                if self._on_done is not None:
                    self._on_done(said)
                self._queue.finish(number, said["done"])
                self._in_vain[number] = self._without_commit[number] = 0
            elif "opened" in said:
                self._workers[number].is_open = True

    def _end_hung(self) -> None:
        now = time.monotonic()
        for number, worker in list(self._workers.items()):
            if now - worker.checked_at < worker.watchdog.period_s:
                continue
            worker.checked_at = now
            if not self._queue.in_flight(number):
                continue  # each look costs requests, and a host of a Beam runner may idle for hours
            if _is_hung(worker.watchdog):
                self._bury(number, f"no progress for {worker.watchdog.timeout_s:,.0f} s, --row_timeout_s", hung=True)

    def _end_largest(self) -> None:
        groups = {number: self._crew.children[number].pid for number in self._workers}
        if (found := self._memory.find_victim(groups)) is not None:
            number, why = found
            self._bury(number, short=why)

    def _bury(self, number: int, why: str = "", *, hung: bool = False, short: str = "") -> None:
        """Records a worker's death, takes its units back, and gives up if deaths show no cause."""
        worker = self._workers.pop(number)
        how = self._crew.bury(number)
        job_dir = self._spec.job_dir
        if not short and how == "SIGKILL" and not hung:
            short = count_oom_kills().explain_since(self._oom_kills)
            if short:  # one kill explains one death: others may have died of further ones
                self._oom_kills = dataclasses.replace(self._oom_kills, count=self._oom_kills.count + 1)
        how = why or (f"{how}, {short}" if short else how)
        death = journal.record_death(job_dir, worker.session, how, hung=hung, short=bool(short))
        sent = self._queue.in_flight(number)
        committed = {unit.unit_id for unit in sent if storage.exists(job_dir.commit(unit.unit_id))}
        suspects = journal.diagnose(journal.read_deaths(job_dir))
        self._queue.take_back(number, suspects, committed=committed, short=bool(short))
        self._without_commit[number] = 0 if committed else self._without_commit[number] + 1
        self._in_vain[number] = 0 if sent else self._in_vain[number] + 1
        in_flight = ", ".join(sorted(map(_describe, death.open))) or "none"
        advice = f"; {_to_lower(self._orders)}" if short else ""
        is_replaced = number in self._wanted and (not short or len(self._wanted) == 1)
        then = "restarting" if is_replaced else "it is not replaced"
        _log.warning("the worker died (%s); units in flight: %s; %s%s", how, in_flight, then, advice)
        self._check_deaths(number, how)
        if not is_replaced and number in self._wanted:
            before = len(self._wanted)
            self._wanted.remove(number)
            self._most = self._crew.size = len(self._wanted)  # merges need memory, too
            _log.warning("the job goes on with %d of %d workers", len(self._wanted), before)

    def _check_deaths(self, number: int, how: str) -> None:
        if (deaths := self._in_vain[number]) >= MAX_DEATHS_IN_VAIN:
            raise ConfigError(
                f"the worker died {deaths} times in a row ({how}) before starting any unit; see its output on "
                "standard error; committed work is kept; run the same command again when the cause is fixed"
            )
        if (deaths := self._without_commit[number]) >= MAX_DEATHS_WITHOUT_COMMIT:
            raise ConfigError(
                f"the worker died {deaths} times in a row ({how}) without finishing a unit; probably not "
                f"because of single rows; if memory is short, {_to_lower(self._orders)}; committed work is kept"
            )

    def _close(self) -> None:
        """Has the workers close their work, which writes their last heartbeats and frees what the work holds."""
        for number in self._workers:
            self._crew.children[number].send({"close": _NOTHING})
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        while self._workers and (left_s := deadline - time.monotonic()) > 0:
            for number, said in self._crew.hear(list(self._workers), left_s):
                if number not in self._workers or not (said is None or said.keys() & {"closed", "failed"}):
                    continue
                del self._workers[number]
                if said is None or "failed" in said:
                    self._crew.bury(number)
        for number in self._workers:
            _log.warning("a worker did not close its work within %.0f s", _CLOSE_TIMEOUT_S)
            self._crew.bury(number)


def _is_hung(watchdog: Watchdog) -> bool:
    try:
        return watchdog.is_hung()
    except Exception as error:
        if not storage.may_pass(error):
            raise
        _log.warning("can't check the worker's progress: %s", error)
        return False


def _describe(start: journal.Start) -> str:
    """A unit in flight, and what of it: `000001-ab (being read)`, `000001-ab (rows 0 to 7)`."""
    doing = "being read" if start.phase == "read" else f"rows {start.begin} to {start.end - 1}"
    return f"{start.unit_id} ({doing})"


def _to_lower(orders: Orders) -> str:
    """What to lower to need less memory, of the options that the job has."""
    flags = [f"--{name}" for name in _MEMORY_OPTIONS if name in orders.options]
    return f"lower {', '.join(flags)}" if flags else "give the job more memory"
