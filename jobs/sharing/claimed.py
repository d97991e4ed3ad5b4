"""Runs the units that this host claims, beside any number of other hosts (`jobs.ledger.claims`).

    claims thread      claims ranges, a little ahead of the workers; looks whether others have taken some of them
    heartbeat thread   vouches for what is claimed
    the caller         the supervisor (`jobs.execution.supervisor`), which hands the units to worker processes

A storage that does not respond for a while costs nothing but time: claims are tried again, and whoever takes over
units in the meantime only repeats work. It ends the host when it lasts.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from jobs import storage
from jobs.execution.dispatch import Dispatcher
from jobs.execution.orders import Orders, failure_of
from jobs.execution.supervisor import Crew, run_source
from jobs.execution.worker import RunSpec
from jobs.ledger import journal
from jobs.ledger.claimants import PERIOD_S, STALE_S, Claimant
from jobs.ledger.claims import Claims
from jobs.ledger.journal import Suspect
from jobs.plan.ranges import PlannedUnits, position_of
from jobs.plan.units import planned_rows
from jobs.storage.folders import JobFolder
from jobs.system.child_process import Bell
from model.errors import ConfigError
from transforms.work import Unit

GIVE_UP_S = 600.0  # for a storage that does not respond
_BEATS_PER_CLAIM = 6  # heartbeats within the time after which a claim is stale, at least
_IDLE_S = (0.5, 15.0)  # between two looks for units that others give up: at first, and at most
_PERIODS_PER_LOOK = 2  # between two looks whether others have taken over units of this host
_SHOWN_IN_FLIGHT = 4
_JOIN_S = 10.0  # for a request under way; a claim that it still makes is given up as well
_HUNG_S = 600.0  # a supervisor that hasn't asked for so long no longer vouches for anything

_log = logging.getLogger(__name__)

T = TypeVar("T")


class ClaimedUnits:
    """A `jobs.execution.dispatch.UnitSource` of the units that this host claims. Use it as a context.

    Args:
        job_dir: The job's folder.
        me: This host as a claimant.
        workers: Its worker processes.
        in_flight: Maximum units in flight in each.
        stale_s: For how long a claim lasts without a heartbeat.
        last_lines: Its text is what this host printed last; the driver shows it when the host dies.
    """

    def __init__(
        self,
        job_dir: JobFolder,
        me: Claimant,
        *,
        workers: int,
        in_flight: int,
        stale_s: float = STALE_S,
        last_lines: object = "",
    ):
        self.bell = Bell()
        self._job_dir = job_dir
        self._me = dataclasses.replace(me, workers=workers)
        self._planned = PlannedUnits(job_dir)
        self._claims = Claims(job_dir, me, self._planned, now=time.monotonic, stale_s=stale_s)
        self._last_lines = last_lines
        self._written_lines = ""
        self._dispatcher = Dispatcher([], {}, in_flight=in_flight)
        self._in_flight = in_flight
        self._ahead = workers * in_flight  # units that wait here, so that no worker waits for a claim
        self._period_s = min(PERIOD_S, stale_s / _BEATS_PER_CLAIM)
        self._lock = threading.RLock()
        self._waiting: set[int] = set()
        self._claimed: list[int] = []  # not handed over yet
        self._news: deque[tuple[Callable[[int], None], int]] = deque()  # for the claims, from the supervisor
        self._is_hungry = False  # a worker has nothing to do
        self._idle_s, self._idle_until = _IDLE_S[0], 0.0
        self._is_over = False
        self._error: BaseException | None = None
        self._asked_at = time.monotonic()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._claim_until_stopped, name="claims", daemon=True),
            threading.Thread(target=self._beat_until_stopped, name="claim-heartbeat", daemon=True),
        ]

    # --- from start to end -----------------------------------------------------------------------------

    def __enter__(self) -> ClaimedUnits:
        self._beat()
        self._claims.open()
        self._is_over = self._claims.is_over
        self._learn()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Gives all claims up, with a last heartbeat."""
        self._stopped.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(_JOIN_S)
        why = "done" if kind is None else "error" if issubclass(kind, Exception) else "stopped"
        failure = failure_of(error) if isinstance(error, Exception) else None
        self._me = dataclasses.replace(self._me, ended=why, failure=failure, holds={}, in_flight=())
        self._try(self._beat)
        self.bell.close()

    def wait(self) -> bool:
        """Waits until there is a unit for this host; returns False if nothing is left to do for any host."""
        while not self.is_done:
            with self._lock:
                if self._waiting:
                    return True
                self._is_hungry = True
            self._wake.set()
            time.sleep(0.1)
        return False

    @property
    def units_done(self) -> int:
        """Number of units that this host has committed."""
        return self._me.units_done

    # --- what the supervisor asks ----------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether every unit of the plan is committed. Raises what ended the claims."""
        with self._lock:
            self._asked_at = time.monotonic()
            if self._error is not None:
                raise self._error
            return self._is_over and self._dispatcher.is_done

    def in_flight(self, worker: int) -> list[Unit]:
        """The units that a worker has not finished."""
        with self._lock:
            return self._dispatcher.in_flight(worker)

    def suspicion_of(self, unit: Unit) -> Suspect | None:
        """What deaths say about a unit; None if it was in flight in none."""
        with self._lock:
            return self._dispatcher.suspicion_of(unit)

    def next_for(self, worker: int) -> Unit | None:
        """Hands a unit to a worker; None if there is none for it now."""
        with self._lock:
            if worker >= self._me.workers:  # a host that shared its machine is alone now
                self._me = dataclasses.replace(self._me, workers=worker + 1)
                self._ahead = self._me.workers * self._in_flight
            unit = self._dispatcher.next_for(worker)
            if unit is None:
                is_news = not self._is_hungry
                self._is_hungry |= len(self._dispatcher.in_flight(worker)) < self._in_flight
            else:
                position = position_of(unit.unit_id)
                self._waiting.discard(position)
                self._news.append((self._claims.begin, position))
                is_news = len(self._waiting) < self._ahead
        if is_news:
            self._wake.set()
        return unit

    def finish(self, worker: int, unit_id: str) -> None:
        """Records that a worker has committed a unit."""
        with self._lock:
            done = [unit for unit in self._dispatcher.in_flight(worker) if unit.unit_id == unit_id]
            self._dispatcher.finish(worker, unit_id)
            self._count(done)
        self._wake.set()

    def take_back(
        self, worker: int, suspects: Mapping[str, Suspect], *, committed: Collection[str] = (), short: bool = False
    ) -> None:
        """Takes back the units of a worker that died. See `Dispatcher.take_back`."""
        with self._lock:
            done = [unit for unit in self._dispatcher.in_flight(worker) if unit.unit_id in committed]
            self._dispatcher.take_back(worker, suspects, committed=committed, short=short)
            self._count(done)
        self._wake.set()

    def _count(self, done: Collection[Unit]) -> None:
        self._news.extend((self._claims.finish, position_of(unit.unit_id)) for unit in done)
        self._me = dataclasses.replace(
            self._me,
            units_done=self._me.units_done + len(done),
            rows_done=self._me.rows_done + sum(map(planned_rows, done)),
        )

    # --- the claims thread ------------------------------------------------------------------------------

    def _claim_until_stopped(self) -> None:
        look_due = time.monotonic() + self._period_s
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                if time.monotonic() >= look_due:
                    self._patiently(self._look)
                    look_due = time.monotonic() + _PERIODS_PER_LOOK * self._period_s
                if not self._patiently(self._claim_if_wanted):
                    self._wake.wait(min(self._idle_s, self._period_s))
        except BaseException as error:
            with self._lock:
                self._error = error
            self.bell.ring()

    def _patiently(self, step: Callable[[], T]) -> T:
        """Does one step, again and again while the storage does not respond."""
        began, pause_s = time.monotonic(), 1.0
        while True:
            try:
                return step()
            except Exception as error:
                if not storage.may_pass(error) or time.monotonic() - began > GIVE_UP_S or self._stopped.is_set():
                    raise
                _log.warning("can't claim units: %s; trying again", " ".join(str(error).split())[:300])
            self._stopped.wait(pause_s)
            pause_s = min(30.0, pause_s * 2)

    def _look(self) -> None:
        """Looks whether others have taken over units of this host."""
        self._tell_claims()
        self._give_away(self._claims.look_at_mine())
        self._vouch()

    def _claim_if_wanted(self) -> int:
        """Claims units if the workers will soon have none; returns how many."""
        self._tell_claims()
        self._vouch()
        if self._claimed:  # the storage failed before they could be handed over
            return self._hand_over()
        with self._lock:
            waiting, self._is_over = len(self._waiting), self._claims.is_over
            is_wanted = not waiting and self._is_hungry if self._claims.is_dry else waiting < self._ahead
        if self._is_over:
            self.bell.ring()
        if self._is_over or not is_wanted or time.monotonic() < self._idle_until:
            return 0
        self._claimed = self._claims.claim()
        self._vouch()
        if self._claimed:
            return self._hand_over()
        self._idle_until = time.monotonic() + self._idle_s
        self._idle_s = min(_IDLE_S[1], self._idle_s * 1.5)
        return 0

    def _hand_over(self) -> int:
        """Hands what was claimed to the workers; returns how many units. Nothing is lost if the storage fails."""
        self._idle_s = _IDLE_S[0]
        if self._claims.is_dry:
            self._learn()  # another host may have seen deaths
        units, self._claimed = self._planned.units(self._claimed), []
        with self._lock:
            for unit in units:
                self._dispatcher.add(unit)
                self._waiting.add(position_of(unit.unit_id))
            self._is_hungry = False
        self.bell.ring()
        return len(units)

    def _give_away(self, positions: Collection[int]) -> None:
        if not positions:
            return
        given = set(positions)
        ids = {unit.unit_id for unit in self._planned.units(positions)}
        with self._lock:
            gone = self._dispatcher.withdraw(ids)
            self._waiting -= given
            self._claimed = [position for position in self._claimed if position not in given]
        _log.info("%d units of this host were taken over by others", len(gone))

    def _tell_claims(self) -> None:
        while self._news:
            tell, position = self._news.popleft()
            tell(position)

    def _learn(self) -> None:
        suspects = journal.diagnose(journal.read_deaths(self._job_dir))
        with self._lock:
            self._dispatcher.learn(suspects)

    # --- the heartbeat thread ---------------------------------------------------------------------------

    def _vouch(self) -> None:
        with self._lock:
            self._me = dataclasses.replace(self._me, holds=self._claims.holds())

    def _beat_until_stopped(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._try(self._beat)

    def _beat(self) -> None:
        with self._lock:
            busy = [unit.unit_id for worker in range(self._me.workers) for unit in self._dispatcher.in_flight(worker)]
            self._me = dataclasses.replace(self._me, beats=self._me.beats + 1, in_flight=tuple(busy[:_SHOWN_IN_FLIGHT]))
            is_alive = time.monotonic() - self._asked_at < _HUNG_S
            said = self._me if is_alive else dataclasses.replace(self._me, holds={})
        # The lines first: whoever reads the last heartbeat looks for them at once, and never again.
        self._try(lambda: self._write_lines(is_done=said.ended == "done"))
        storage.write_bytes(self._job_dir.claimant(self._me.claimant_id), said.to_json(), durable=False)

    def _write_lines(self, *, is_done: bool) -> None:
        path = self._job_dir.log(self._me.claimant_id)
        if is_done:
            if self._written_lines:
                storage.remove(path)  # lines may quote rows
        elif (lines := str(self._last_lines)) != self._written_lines:
            storage.write_bytes(path, lines.encode(), durable=False)
            self._written_lines = lines

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:
            if not (storage.may_pass(error) or isinstance(error, ConfigError)):
                raise
            _log.warning("can't write this host's heartbeat or its last lines: %s", " ".join(str(error).split())[:300])


def run_claimed(
    spec: RunSpec,
    orders: Orders,
    crew: Crew,
    me: Claimant,
    *,
    stale_s: float = STALE_S,
    last_lines: object = "",
    workers: Callable[[], int] | None = None,
) -> int:
    """Runs units that this host claims until every unit of the plan is committed, whoever commits it.

    It may be called in any thread that lives as long as the process, since the worker processes die with that thread.

    Args:
        spec: What to run.
        orders: How the work is made.
        crew: The worker processes of this host.
        me: This host as a claimant, of `jobs.ledger.claimants.new_claimant`.
        stale_s: For how long a claim lasts without a heartbeat that vouches for it, in seconds.
        last_lines: As for `ClaimedUnits`.
        workers: How many worker processes are needed, asked again every few seconds; None: the whole crew.

    Returns:
        The number of units that this host has committed.

    Raises:
        ConfigError, StorageFull: This host can't go on; the one-line message says why. Committed work is kept, and
            other hosts go on.
        WorkerFailed: A bug.
    """
    in_flight = spec.max_units_in_flight
    number = crew.size if workers is None else workers()
    source = ClaimedUnits(spec.job_dir, me, workers=number, in_flight=in_flight, stale_s=stale_s, last_lines=last_lines)
    with source:
        if source.wait():
            run_source(spec, orders, crew, source, workers=workers or number, bell=source.bell)
    return source.units_done
