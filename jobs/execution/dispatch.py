"""Decides which worker process gets which unit next.

    ordinary units    in plan order, a row group at a time: a worker keeps a group, since decoding can't start inside
                      it. A worker without work takes the later half of what another has left of its group.
    suspects          units that were in flight when a worker died: last, each alone in its process
    short of memory   units whose worker ran out of memory: at the very end, each alone on the machine

A pure data structure: it starts nothing and watches nothing. Cost: constant time per unit; in memory are the units in
flight and the rest of the row groups that workers have begun.
"""

from __future__ import annotations

import bisect
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from jobs.ledger.journal import Suspect
from transforms.work import Unit


class UnitSource(Protocol):
    """Hands units to the workers of one host, and is told what became of them. Workers are numbers."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is in flight, and nothing will be handed out anymore."""
        ...

    def in_flight(self, worker: int) -> list[Unit]:
        """The units that a worker has not finished."""
        ...

    def suspicion_of(self, unit: Unit) -> Suspect | None:
        """What deaths say about a unit; None if it was in flight in none."""
        ...

    def next_for(self, worker: int) -> Unit | None:
        """Hands a unit to a worker; None if there is none for it now."""
        ...

    def finish(self, worker: int, unit_id: str) -> None:
        """Records that a worker has committed a unit."""
        ...

    def take_back(
        self, worker: int, suspects: Mapping[str, Suspect], *, committed: Collection[str] = (), short: bool = False
    ) -> None:
        """Takes back the units of a worker that died. See `Dispatcher.take_back`."""
        ...


class Dispatcher:
    """Hands out units. Workers are numbers.

    Args:
        units: The units to run, in plan order; consumed as they are handed out.
        suspects: The units that deaths have put under suspicion.
        in_flight: Maximum units in flight per worker.
    """

    def __init__(self, units: Iterable[Unit], suspects: Mapping[str, Suspect], *, in_flight: int = 1):
        self._groups = _by_row_group(units)
        self._groups_ahead: deque[deque[Unit]] = deque()  # before those of `_groups`
        self._added: dict[tuple[str, int], deque[Unit]] = {}  # after them
        self._suspects = dict(suspects)
        self._max_in_flight = in_flight
        self._own: dict[int, deque[Unit]] = {}
        self._alone: deque[Unit] = deque()
        self._short_of_memory: dict[str, Unit | None] = {}  # None: in flight
        self._in_flight: dict[int, dict[str, Unit]] = {}

    def add(self, unit: Unit) -> None:
        """Takes one more unit, to be handed out after those that are there, with the rest of its row group."""
        group = self._added.setdefault((unit.uri, unit.row_group), deque())
        group.insert(bisect.bisect(group, unit.row_start, key=lambda other: other.row_start), unit)

    def learn(self, suspects: Mapping[str, Suspect]) -> None:
        """Takes what deaths that other hosts have recorded say; it may be older than what is known here."""
        for unit_id, suspect in suspects.items():
            known = self._suspects.get(unit_id)
            if known is None or known.deaths < suspect.deaths:
                self._suspects[unit_id] = suspect

    def withdraw(self, unit_ids: Collection[str]) -> list[Unit]:
        """Takes units out again that no worker has been given; returns those that there were."""
        found: list[Unit] = []
        for waiting in (*self._groups_ahead, *self._added.values(), *self._own.values(), self._alone):
            gone = [unit for unit in waiting if unit.unit_id in unit_ids]
            for unit in gone:
                waiting.remove(unit)
            found += gone
        self._groups_ahead = deque(group for group in self._groups_ahead if group)
        self._added = {key: group for key, group in self._added.items() if group}
        return found

    @property
    def is_done(self) -> bool:
        """Whether every unit was handed out and has finished."""
        return not any(self._in_flight.values()) and self._is_empty()

    def in_flight(self, worker: int) -> list[Unit]:
        """The units that a worker has not finished."""
        return list(self._in_flight.get(worker, {}).values())

    def suspicion_of(self, unit: Unit) -> Suspect | None:
        """What deaths say about a unit; None if it was in flight in none."""
        return self._suspects.get(unit.unit_id)

    def next_for(self, worker: int) -> Unit | None:
        """Hands a unit to a worker; None if there is none for it now."""
        mine = self._in_flight.setdefault(worker, {})
        if len(mine) >= self._max_in_flight or self._is_kept_out(mine):
            return None
        unit = self._next_ordinary(worker)
        if unit is None and not mine:
            unit = self._next_alone()
        if unit is not None:
            mine[unit.unit_id] = unit
        return unit

    def finish(self, worker: int, unit_id: str) -> None:
        """Records that a worker has committed a unit."""
        del self._in_flight[worker][unit_id]
        self._short_of_memory.pop(unit_id, None)

    def take_back(
        self, worker: int, suspects: Mapping[str, Suspect], *, committed: Collection[str] = (), short: bool = False
    ) -> None:
        """Takes back the units of a worker that died.

        Args:
            worker: The worker. What it had left of its row group is handed out again.
            suspects: The units that all deaths put under suspicion.
            committed: Those of its units that have a commit.
            short: Whether it ran out of memory.
        """
        self._suspects = dict(suspects)
        in_flight = self._in_flight.pop(worker, {})
        for unit_id in committed:
            self._short_of_memory.pop(unit_id, None)
        own = self._own.pop(worker, deque())
        for unit_id, unit in reversed(in_flight.items()):
            if unit_id in committed:
                continue
            if short or unit_id in self._short_of_memory:
                self._short_of_memory[unit_id] = unit
            elif unit_id in self._suspects:
                self._alone.append(unit)
            else:
                own.appendleft(unit)
        if own:
            self._groups_ahead.appendleft(own)

    def _is_kept_out(self, mine: Mapping[str, Unit]) -> bool:
        is_exclusive = any(unit is None for unit in self._short_of_memory.values())
        return is_exclusive or any(unit_id in self._suspects for unit_id in mine)

    def _next_ordinary(self, worker: int) -> Unit | None:
        while True:
            own = self._own.get(worker)
            if not own:
                own = self._next_group() or self._steal()
                if own is None:
                    return None
                self._own[worker] = own
            unit = own.popleft()
            if unit.unit_id not in self._suspects:
                return unit
            self._alone.append(unit)

    def _next_group(self) -> deque[Unit] | None:
        if self._groups_ahead:
            return self._groups_ahead.popleft()
        if (group := next(self._groups, None)) is None and self._added:
            group = self._added.pop(next(iter(self._added)))
        return group

    def _steal(self) -> deque[Unit] | None:
        """Takes the later half of the largest rest of a row group."""
        richest = max(self._own.values(), key=len, default=None)
        if not richest:
            return None
        taken = deque([richest.pop() for _ in range((len(richest) + 1) // 2)])
        taken.reverse()
        return taken

    def _next_alone(self) -> Unit | None:
        if self._alone:
            return self._alone.popleft()
        if any(self._in_flight.values()):
            return None
        for unit_id, unit in self._short_of_memory.items():
            if unit is not None:
                self._short_of_memory[unit_id] = None
                return unit
        return None

    def _is_empty(self) -> bool:
        if any(self._own.values()) or self._alone or any(self._short_of_memory.values()):
            return False
        if (group := self._next_group()) is not None:
            self._groups_ahead.appendleft(group)
        return group is None


def _by_row_group(units: Iterable[Unit]) -> Iterator[deque[Unit]]:
    """Yields the units of each row group together. Units of several small groups count as one group each."""
    for _, same in itertools.groupby(units, key=lambda unit: (unit.uri, unit.row_group)):
        yield deque(same)
