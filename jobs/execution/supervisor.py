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

A worker that makes no progress for `row_timeout_s` (`jobs.execution.watchdog`) is killed, which counts as a death.

Workers die with the driver (PR_SET_PDEATHSIG). Their deaths are then not recorded, so a user who kills the job creates
no suspects. The kernel ties that signal to the *thread* that started a process, so this runs in the main thread.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from jobs import storage
from jobs.child_process import ChildProcess, own_environment
from jobs.errors import WorkerFailed
from jobs.execution.dispatch import Dispatcher, UnitSource
from jobs.execution.orders import Orders, raise_failure, to_text
from jobs.execution.watchdog import Watchdog
from jobs.execution.worker import RunSpec
from jobs.finalize.shards import Kind, MergeSpec
from jobs.ledger import commits, journal
from jobs.plan.units import read_plan
from jobs.storage import is_unanswered
from jobs.storage.failpoints import VARIABLE as FAILPOINT_VARIABLE
from model.errors import ConfigError
from transforms.machine import available_cores
from transforms.out_of_memory import count_oom_kills

MAX_DEATHS_IN_VAIN = 2
MAX_DEATHS_WITHOUT_COMMIT = 100
MAX_DEATHS_IN_MERGE = 3
MERGES_AT_ONCE = 2  # in a process: one encodes while the other reads and decodes
_LOOK_S = 5.0  # between two looks at whether processes have ended without a word
_CLOSE_TIMEOUT_S = 60.0  # for an engine to stop and a last heartbeat
_MEMORY_OPTIONS = ("workers", "max_units_in_flight", "max_mb_in_flight", "slots")
_NOTHING = to_text(())

_log = logging.getLogger(__name__)

Shard = tuple[Kind, int]


def check_all_committed(spec: RunSpec) -> None:
    """Raises WorkerFailed if a unit has no commit although all workers have ended."""
    if left := uncommitted(spec):
        raise WorkerFailed(f"{len(left)} units have no commit although the workers have finished, first {min(left)}")


def uncommitted(spec: RunSpec) -> set[str]:
    """Returns the ids of the requested units that have no commit."""
    wanted = spec.only_units
    planned = {unit.unit_id for unit in read_plan(spec.job_dir) if wanted is None or unit.unit_id in wanted}
    return planned - commits.list_commits(spec.job_dir)


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


def run_source(spec: RunSpec, orders: Orders, crew: Crew, source: UnitSource, *, workers: int) -> None:
    """Runs what a source hands out, until it is done. Raises as `run_units` does.

    Args:
        spec: What to run.
        orders: How the work is made.
        crew: The processes to run it in.
        source: Hands out the units.
        workers: How many of the processes are needed.
    """
    _Run(crew, spec, orders, source, workers).run()


class Crew:
    """The worker processes of one machine. Several steps of a job use them one after the other.

    Args:
        size: Number of processes.
        take_first: Returns a process that is already there, if any, to be the first of them.
    """

    def __init__(self, size: int = 1, take_first: Callable[[], ChildProcess | None] = lambda: None):
        self.size = size
        self.children: dict[int, ChildProcess] = {}
        self._take_first = take_first
        self._has_started = False
        self._looked_at = time.monotonic()

    def child(self, number: int) -> ChildProcess:
        """The process of this number; starts it if there is none."""
        if number not in self.children:
            first = None if self._has_started else self._take_first()
            self.children[number] = first or ChildProcess(self._environment())
            self._has_started = True
            self.children[number].speak()
        return self.children[number]

    def _environment(self) -> dict[str, str]:
        """As it is now: the driver has set the folder of temporary files since."""
        environment = own_environment()
        if self._has_started:
            # A failpoint simulates one failure: of the first process, and of none that replaces it.
            environment.pop(FAILPOINT_VARIABLE, None)
        return environment

    def bury(self, number: int) -> str:
        """Ends a process with all that it has started; returns how it had ended."""
        child = self.children.pop(number)
        how = child.end()
        child.close()
        return how

    def close(self) -> None:
        """Ends all processes."""
        for number in list(self.children):
            self.bury(number)

    def merge(self, spec: MergeSpec, shards: Sequence[Shard]) -> None:
        """Merges shards, spread over the processes; the first error ends it.

        Raises:
            StorageFull, DamagedAttempt: As `jobs.finalize.shards.merge_shard` does.
            ConfigError: A merge killed its process several times.
        """
        waiting, tries = deque(shards), dict.fromkeys(shards, 0)
        under_way: dict[int, list[Shard]] = {number: [] for number in range(min(self.size, len(shards)))}
        at_once = min(MERGES_AT_ONCE, -(-len(shards) // len(under_way)))
        try:
            while waiting or any(under_way.values()):
                for number, mine in under_way.items():
                    while waiting and len(mine) < at_once:
                        mine.append(waiting.popleft())
                        self.child(number).send({"merge": to_text((spec, *mine[-1]))})
                for number, said in self.hear([number for number, mine in under_way.items() if mine], _LOOK_S):
                    if said is None:
                        lost, under_way[number] = under_way[number], []
                        how = self.bury(number)
                        for shard in lost:
                            tries[shard] += 1
                        _check_tries(lost, tries, how)
                        waiting.extend(lost)
                        at_once = 1  # memory may be short
                    elif "failed" in said:
                        raise_failure(said["failed"])
                    else:
                        under_way[number].remove(tuple(said["merged"]))
        except BaseException:
            # What they still do, and what they would say of it, is nobody's any more.
            for number, mine in under_way.items():
                if mine and number in self.children:
                    self.bury(number)
            raise

    def hear(self, numbers: Sequence[int], timeout_s: float) -> list[tuple[int, dict[str, Any] | None]]:
        """Waits for what the processes say, at most so long; returns all of it, None for one that has died."""
        by_descriptor = {self.children[number].fileno(): number for number in numbers}
        ready = [by_descriptor[one] for one in wait(list(by_descriptor), timeout_s) if isinstance(one, int)]
        ended: set[int] = set()
        if time.monotonic() - self._looked_at > _LOOK_S:
            # A process that has ended may have left its pipe open with one that it started.
            ended = {number for number in numbers if self.children[number].has_ended()}
            self._looked_at = time.monotonic()
        found: list[tuple[int, dict[str, Any] | None]] = []
        for number in {*ready, *ended}:
            found += [(number, said) for said in self.children[number].heard()]
            if number in ended or self.children[number].is_gone:
                found.append((number, None))
        return found


def _check_tries(lost: Sequence[Shard], tries: Mapping[Shard, int], how: str) -> None:
    for shard in lost:
        if tries[shard] >= MAX_DEATHS_IN_MERGE:
            kind, index = shard
            raise ConfigError(
                f"merging shard {kind}-{index:05d} ended its process {tries[shard]} times ({how}); if memory is short, "
                "lower --workers or give the job more; committed work is kept; run the same command again"
            )


@dataclasses.dataclass
class _Worker:
    """A process in its role as a worker, with what is known of it."""

    session: str
    watchdog: Watchdog
    is_open: bool = False
    checked_at: float = 0.0


class _Run:
    """One run of a job's units over a crew."""

    def __init__(self, crew: Crew, spec: RunSpec, orders: Orders, source: UnitSource, workers: int):
        self._crew = crew
        self._spec = spec
        self._orders = orders
        self._workers: dict[int, _Worker] = {}
        self._wanted = list(range(workers))
        self._in_vain = dict.fromkeys(self._wanted, 0)  # deaths in a row, by worker
        self._without_commit = dict.fromkeys(self._wanted, 0)
        self._oom_kills = count_oom_kills()
        self._queue = source

    def run(self) -> None:
        while not self._queue.is_done:
            self._start_missing()
            self._feed()
            self._hear()
            self._end_hung()
        self._close()

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
            while worker.is_open and (unit := self._queue.next_for(number)) is not None:
                suspicion = self._queue.suspicion_of(unit)
                self._crew.children[number].send({"run": to_text((unit, suspicion))})

    def _hear(self) -> None:
        period_s = min(worker.watchdog.period_s for worker in self._workers.values())
        for number, said in self._crew.hear(list(self._workers), period_s):
            if said is None:
                self._bury(number)
            elif "failed" in said:
                raise_failure(said["failed"])
            elif "done" in said:
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
            if _is_hung(worker.watchdog):
                self._bury(number, f"no progress for {worker.watchdog.timeout_s:,.0f} s, --row_timeout_s", hung=True)

    def _bury(self, number: int, why: str = "", *, hung: bool = False) -> None:
        """Records a worker's death, takes its units back, and gives up if deaths show no cause."""
        worker = self._workers.pop(number)
        how = self._crew.bury(number)
        job_dir = self._spec.job_dir
        short = count_oom_kills().explain_since(self._oom_kills) if how == "SIGKILL" and not hung else ""
        if short:  # one kill explains one death: others may have died of further ones
            self._oom_kills = dataclasses.replace(self._oom_kills, count=self._oom_kills.count + 1)
        how = why or (f"{how}, {short}" if short else how)
        death = journal.record_death(job_dir, worker.session, how, hung=hung)
        sent = self._queue.in_flight(number)
        committed = {unit.unit_id for unit in sent if storage.exists(job_dir.commit(unit.unit_id))}
        suspects = journal.diagnose(journal.read_deaths(job_dir))
        self._queue.take_back(number, suspects, committed=committed, short=bool(short))
        self._without_commit[number] = 0 if committed else self._without_commit[number] + 1
        self._in_vain[number] = 0 if sent else self._in_vain[number] + 1
        in_flight = ", ".join(sorted(map(_describe, death.open))) or "none"
        advice = f"; {_to_lower(self._orders)}" if short else ""
        is_replaced = not short or len(self._wanted) == 1
        then = "restarting" if is_replaced else "it is not replaced"
        _log.warning("the worker died (%s); units in flight: %s; %s%s", how, in_flight, then, advice)
        self._check_deaths(number, how)
        if not is_replaced:
            before = len(self._wanted)
            self._wanted.remove(number)
            self._crew.size = len(self._wanted)  # merges need memory, too
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
        if not (isinstance(error, OSError) or is_unanswered(error)):
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
