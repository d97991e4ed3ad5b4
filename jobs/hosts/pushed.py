"""Units that other threads push to the supervisor of a host, each with a future that says when it is committed.

    push (any thread) -> inbox -> Dispatcher (the supervisor's thread alone) -> workers
                                   finish, take_back -> the unit's future

Whoever pushes waits while more than `room` units have not finished, so that a runner that moves work from slow hosts to
idle ones still has something to move. A unit that is pushed again before it has finished, as when a bundle is retried
beside its own zombie, runs once. Cost: constant time per unit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from jobs.execution.dispatch import Dispatcher
from jobs.ledger.journal import Suspect
from jobs.system.child_process import Bell
from transforms.work import Unit

# What the worker said of a committed unit: status and counts. Empty where it died before it could say anything.
Outcome = Mapping[str, Any]


class PushedUnits:
    """A `UnitSource` whose units are pushed by other threads.

    Args:
        bell: Rung when there is something new for the supervisor.
        in_flight: Maximum units in flight per worker.
        room: How many units may be pushed and not finished before the next `push` waits.
    """

    def __init__(self, bell: Bell, *, in_flight: int, room: int):
        self._bell = bell
        self._room = room
        self._dispatcher = Dispatcher((), {}, in_flight=in_flight)
        self._inbox: deque[Unit] = deque()
        self._suspects: Mapping[str, Suspect] | None = None  # news, for the dispatcher
        self._futures: dict[str, Future[Outcome]] = {}
        self._outcomes: dict[str, Outcome] = {}  # said, and not yet told to the future
        self._changed = threading.Condition()
        self._is_closed = False
        self._failure: BaseException | None = None

    # --- threads that push -----------------------------------------------------------------------

    def push(self, unit: Unit) -> Future[Outcome]:
        """Waits for room and takes a unit. Raises what `fail` was told."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._is_known(unit) or len(self._futures) < self._room)
            if self._failure is not None:
                raise self._failure
            if not self._is_known(unit):
                assert not self._is_closed
                self._futures[unit.unit_id] = Future()
                self._inbox.append(unit)
                self._bell.ring()
            return self._futures[unit.unit_id]

    def _is_known(self, unit: Unit) -> bool:
        return unit.unit_id in self._futures

    def learn(self, suspects: Mapping[str, Suspect]) -> None:
        """Takes the units that the recorded deaths of all hosts put under suspicion, for units pushed from now on."""
        with self._changed:
            self._suspects = suspects

    def close(self) -> None:
        """Nothing more is pushed: the supervisor ends when all has finished."""
        with self._changed:
            self._is_closed = True
            self._bell.ring()

    def fail(self, error: BaseException) -> None:
        """Ends all: who waits for a unit, or pushes one, gets this error."""
        with self._changed:
            self._failure = self._failure or error
            futures = list(self._futures.values())
            self._futures.clear()
            self._inbox.clear()
            self._changed.notify_all()
            self._bell.ring()
        for future in futures:
            future.set_exception(error)

    # --- the supervisor's thread -----------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether it is closed and all has finished. Raises what `fail` was told by another thread."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return self._is_closed and not self._inbox and self._dispatcher.is_done

    def in_flight(self, worker: int) -> list[Unit]:
        """The units that a worker has not finished."""
        return self._dispatcher.in_flight(worker)

    def suspicion_of(self, unit: Unit) -> Suspect | None:
        """What deaths say about a unit; None if it was in flight in none."""
        return self._dispatcher.suspicion_of(unit)

    def next_for(self, worker: int) -> Unit | None:
        """Hands a unit to a worker; None if there is none for it now."""
        with self._changed:
            if self._suspects is not None:
                self._dispatcher.learn(self._suspects)
                self._suspects = None
            while self._inbox:
                self._dispatcher.add(self._inbox.popleft())
        return self._dispatcher.next_for(worker)

    def note(self, said: Mapping[str, Any]) -> None:
        """Keeps what a worker said of a unit until `finish`."""
        self._outcomes[said["done"]] = {"status": said["status"], "counts": said["counts"]}

    def finish(self, worker: int, unit_id: str) -> None:
        """Records that a worker has committed a unit."""
        self._dispatcher.finish(worker, unit_id)
        self._tell(unit_id)

    def take_back(
        self, worker: int, suspects: Mapping[str, Suspect], *, committed: Collection[str] = (), short: bool = False
    ) -> None:
        """Takes back the units of a worker that died. See `Dispatcher.take_back`."""
        self._dispatcher.take_back(worker, suspects, committed=committed, short=short)
        for unit_id in committed:
            self._tell(unit_id)

    def _tell(self, unit_id: str) -> None:
        outcome = self._outcomes.pop(unit_id, {})
        with self._changed:
            future = self._futures.pop(unit_id, None)
            self._changed.notify_all()
        if future is not None:  # None after `fail`
            future.set_result(outcome)
