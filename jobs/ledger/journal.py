"""Which units were in flight when a worker died, and what to do about them.

    _job/journal/open/<session>/<start>     an empty object whose name says it all; removed when the start ends
    _job/journal/deaths/<session>.json      how a worker died and what it had open

A worker process is a *session*. Before it reads a unit, and before it runs a range of its rows, it marks the
start; afterwards it takes the mark away. When a session dies, whoever notices records the death with the marks
that were still there. Only recorded deaths count: a user who kills the whole job blames nobody, because the
supervisor died with its worker. On runners without a supervisor the next worker records the sessions whose
heartbeat has stopped.

What follows from the deaths is a pure function of them (`diagnose`):

1. A unit that was in flight in a death is a suspect and runs *alone* in its process from then on.
2. One that died alone `ALONE_DEATHS` times while being read can't be read: it fails.
3. One that died alone as often while its rows ran is cut in two, and each part that dies again as well, down to
   the row, which is rejected; the parts that come out are kept.
4. One that was in flight when a worker stood still (`--row_timeout_s`) runs its rows one by one: halving would cost
   the whole limit at every step.

Marks needn't survive a loss of power (which blames nobody either), so they cost no fsync.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from jobs import storage
from jobs.storage.folders import JobFolder

ALONE_DEATHS = 2
READING = (0, 0)  # where a range of rows stands, of a start in phase `read`

Phase = Literal["read", "rows"]
# A range of a unit's rows, and whether it is one row that kills its worker.
Piece = tuple[int, int, bool]
_log = logging.getLogger(__name__)

_SEPARATOR = "~"
_SUPERVISED = "supervised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A range of a unit's rows that a session began to work on.

    Args:
        begin, end: Positions among the unit's rows, end excluded; 0, 0 in phase `read`, where they aren't known.
        phase: `read` or `rows`.
        alone: Whether nothing else was in flight in the process.
    """

    unit_id: str
    attempt_id: str
    begin: int
    end: int
    phase: Phase
    alone: bool

    def to_name(self) -> str:
        """The mark's name."""
        how = "alone" if self.alone else "shared"
        return _SEPARATOR.join([self.unit_id, self.attempt_id, f"{self.begin}-{self.end}", self.phase, how])

    @classmethod
    def from_name(cls, name: str) -> Start:
        """Reads what `to_name` wrote."""
        unit_id, attempt_id, rows, phase, how = name.split(_SEPARATOR)
        assert phase in ("read", "rows"), name
        begin, end = rows.split("-")
        return cls(
            unit_id=unit_id,
            attempt_id=attempt_id,
            begin=int(begin),
            end=int(end),
            phase="read" if phase == "read" else "rows",
            alone=how == "alone",
        )


@dataclass(frozen=True, slots=True)
class Death:
    """A session that died, how (`SIGKILL`, `exit code 70`, `silent for 600 s`), and what it had open.

    `stood_still`: the supervisor killed it because nothing in it went on.
    """

    session: str
    how: str
    at: float
    open: tuple[Start, ...]
    stood_still: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """What the deaths say about one unit.

    Args:
        deaths: In how many it was in flight.
        read_deaths: How often it died alone while being read.
        range_deaths: How often each range of its rows died alone.
        hung: The ranges among them that stood still when they last died; `READING` where that was reading.
        row_by_row: Whether it was in flight when a worker stood still.
    """

    deaths: int
    read_deaths: int = 0
    range_deaths: Mapping[tuple[int, int], int] = field(default_factory=dict)
    hung: frozenset[tuple[int, int]] = frozenset()
    row_by_row: bool = False

    @property
    def is_unreadable(self) -> bool:
        return self.read_deaths >= ALONE_DEATHS

    def pieces(self, begin: int, end: int) -> list[Piece]:
        """Cuts a range of the unit's rows as the deaths demand, in order.

        >>> Suspect(3, 0, {(0, 4): 2, (0, 2): 1, (1, 2): 1}).pieces(0, 4)
        [(0, 1, False), (1, 2, True), (2, 4, False)]
        """
        return list(self._cut(begin, end, ALONE_DEATHS)) if end > begin else []

    def halves(self, begin: int, end: int) -> list[Piece]:
        """The two halves of a range of two rows or more, cut further as the deaths demand."""
        middle = (begin + end) // 2
        return [*self._cut(begin, middle, 1), *self._cut(middle, end, 1)]

    def _cut(self, begin: int, end: int, bearable: int) -> Iterator[Piece]:
        """Cuts where the range itself died too often, or a part of it did: it may have been cut elsewhere before."""
        died = self.range_deaths.get((begin, end), 0)
        if end - begin == 1:
            yield begin, end, died >= (1 if self.row_by_row else bearable)
        elif self.row_by_row or died >= bearable or self._part_died(begin, end):
            yield from self.halves(begin, end)
        else:
            yield begin, end, False

    def _part_died(self, begin: int, end: int) -> bool:
        return any(begin <= first and last <= end and last - first < end - begin for first, last in self.range_deaths)


class Journal:
    """The marks of one session."""

    def __init__(self, job_dir: JobFolder, session: str):
        self._folder = job_dir.open_starts_of(session)

    @contextlib.contextmanager
    def started(self, start: Start) -> Iterator[None]:
        """Marks the start for as long as the block runs; only a death leaves the mark behind."""
        path = storage.join(self._folder, start.to_name())
        storage.write_bytes(path, b"", durable=False)
        try:
            yield
        finally:
            try:
                storage.remove(path)
            except OSError as error:
                # At worst the unit is suspected of a later death of this session, and runs alone once.
                _log.warning("can't remove a start record from the journal: %s", error)


def new_session(*, supervised: bool) -> str:
    """A name for a worker process that no other has; it says whether a supervisor watches over it."""
    return f"{_SUPERVISED if supervised else 'worker'}-{uuid.uuid4().hex[:16]}"


def open_starts(job_dir: JobFolder, session: str) -> list[Start]:
    """What a session has in flight."""
    names = storage.list_names(job_dir.open_starts_of(session))
    return [Start.from_name(name) for name in names]


def record_death(job_dir: JobFolder, session: str, how: str, *, stood_still: bool = False) -> Death:
    """Records that a session died, with what it had open; may be repeated (the first record stays)."""
    death = Death(session, how, time.time(), tuple(open_starts(job_dir, session)), stood_still)
    if storage.create_if_absent(job_dir.death(session), _death_to_json(death)):
        return death
    return _read_death(job_dir, session)


def forgive(job_dir: JobFolder, unit_ids: Collection[str]) -> None:
    """Takes these units out of all recorded deaths, so that they are tried as if nothing had happened.

    Only for the driver, under its lock and before workers start.
    """
    for death in read_deaths(job_dir):
        others = tuple(start for start in death.open if start.unit_id not in unit_ids)
        if others != death.open:
            storage.write_bytes(job_dir.death(death.session), _death_to_json(replace(death, open=others)))


def read_deaths(job_dir: JobFolder) -> list[Death]:
    """All recorded deaths, oldest first."""
    names = storage.list_names(job_dir.deaths)
    deaths = [_read_death(job_dir, name.removesuffix(".json")) for name in names]
    return sorted(deaths, key=lambda death: (death.at, death.session))


def record_stale_sessions(
    job_dir: JobFolder, last_beats: Mapping[str, float], now: float, stale_s: float
) -> list[Death]:
    """Records the death of unsupervised sessions that have starts open and no heartbeat for `stale_s` seconds.

    Args:
        last_beats: When each session was last heard of, in seconds since the epoch; one that never was is left alone.
    """
    recorded = {death.session for death in read_deaths(job_dir)}
    deaths = []
    for session in storage.list_names(job_dir.open_starts):
        silent_s = now - last_beats.get(session, now)
        if session.startswith(_SUPERVISED) or session in recorded or silent_s < stale_s:
            continue
        death = record_death(job_dir, session, f"no heartbeat for {silent_s:.0f} s")
        if death.open:
            deaths.append(death)
    return deaths


def diagnose(deaths: Iterable[Death]) -> dict[str, Suspect]:
    """What the deaths say about each unit that was in flight in one."""
    in_flight: Counter[str] = Counter()
    read_deaths: Counter[str] = Counter()
    range_deaths: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    hung: dict[str, set[tuple[int, int]]] = defaultdict(set)
    row_by_row: set[str] = set()
    for death in deaths:
        in_flight.update({start.unit_id for start in death.open})
        row_by_row |= {start.unit_id for start in death.open if death.stood_still and start.phase == "rows"}
        for start in death.open:
            if not start.alone:
                continue
            (hung[start.unit_id].add if death.stood_still else hung[start.unit_id].discard)((start.begin, start.end))
            if start.phase == "read":
                read_deaths[start.unit_id] += 1
            else:
                range_deaths[start.unit_id][start.begin, start.end] += 1
    return {
        unit_id: Suspect(
            count, read_deaths[unit_id], dict(range_deaths[unit_id]), frozenset(hung[unit_id]), unit_id in row_by_row
        )
        for unit_id, count in in_flight.items()
    }


def _death_to_json(death: Death) -> bytes:
    opened = [start.to_name() for start in death.open]
    record = {"how": death.how, "at": death.at, "open": opened, "stood_still": death.stood_still}
    return json.dumps(record, indent=1).encode()


def _read_death(job_dir: JobFolder, session: str) -> Death:
    record = json.loads(storage.read_bytes(job_dir.death(session)))
    opened = tuple(Start.from_name(name) for name in record["open"])
    return Death(session, record["how"], record["at"], opened, record.get("stood_still", False))
