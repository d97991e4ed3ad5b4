"""Crash attribution: records which units were in flight when a worker died, and derives what to do about them.

    _job/journal/open/<session>/<start>     start record: an empty object, its name holds the data; removed at the end
    _job/journal/deaths/<session>.json      how a worker died, and its start records at that time

A *session* is one life of a worker process. The worker writes a start record before it reads a unit and before it
runs a range of its rows, and removes the record afterward. When a session dies, the process that notices records
the death together with the remaining start records. Only recorded deaths count. If a user kills the whole job, the
supervisor dies with its worker, so no death is recorded and no unit becomes a suspect; nor does one when a machine is
taken away, with all that runs on it.

The consequences are a pure function of the recorded deaths (`diagnose`):

1. A unit that was in flight in a death is a suspect. From then on it runs *alone* in its process.
2. A unit that died alone `ALONE_DEATHS` times while being read is unreadable: it fails. A suspect of several files is
   read file by file, and each file has its own count.
3. A unit that died alone that many times while its rows ran is bisected. Each half that dies again is bisected in
   turn, down to a single row, which is rejected. The halves that succeed are kept.
4. A unit that was in flight when a worker hung (`--row_timeout_s`) runs its rows one by one, because bisection
   would cost the full time limit at every step.

Start records need not survive a power loss, which creates no suspects either, so they are written without fsync.
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
READING = (0, 0)  # in place of a range of rows, for a start in phase `read` of a whole unit

Phase = Literal["read", "rows"]
# A range of a unit's rows (begin, end), and whether it is a single row that crashes its worker.
Piece = tuple[int, int, bool]
_log = logging.getLogger(__name__)

_SEPARATOR = "~"
_SUPERVISED = "supervised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A range of a unit's rows that a session started to work on; one start record.

    Args:
        begin, end: Positions among the unit's rows, end excluded; in phase `read` those of the file that is read, if it
            is one of several, else 0, 0.
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
        """Returns the name of the start record, which contains all its data."""
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
    """A session that died, how it died (`SIGKILL`, `exit code 70`), and its open starts.

    `hung`: the supervisor killed the session because it made no progress. `short`: it was killed for lack of memory.
    """

    session: str
    how: str
    at: float
    open: tuple[Start, ...]
    hung: bool = False
    short: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """The evidence that the deaths give about one unit.

    Args:
        deaths: Number of deaths in which the unit was in flight.
        read_deaths: How often it died alone while being read, as a whole (`READING`) or one of its files (the range of
            that file's rows).
        range_deaths: How often each range of its rows died alone.
        hung: The ranges whose last death alone was a hang.
        hung_reads: The same for reading.
        short: The ranges whose last death alone was one for lack of memory.
        short_reads: The same for reading.
        row_by_row: Whether its rows were in flight when a worker hung.
    """

    deaths: int
    read_deaths: Mapping[tuple[int, int], int] = field(default_factory=dict)
    range_deaths: Mapping[tuple[int, int], int] = field(default_factory=dict)
    hung: frozenset[tuple[int, int]] = frozenset()
    hung_reads: frozenset[tuple[int, int]] = frozenset()
    short: frozenset[tuple[int, int]] = frozenset()
    short_reads: frozenset[tuple[int, int]] = frozenset()
    row_by_row: bool = False

    def is_unreadable(self, positions: tuple[int, int] = READING) -> bool:
        """Whether the unit, or the file with the rows at these positions, can't be read."""
        return self.read_deaths.get(positions, 0) >= ALONE_DEATHS

    def pieces(self, begin: int, end: int) -> list[Piece]:
        """Splits a range of the unit's rows as the deaths require; returns the pieces in order.

        >>> Suspect(3, {}, {(0, 4): 2, (0, 2): 1, (1, 2): 1}).pieces(0, 4)
        [(0, 1, False), (1, 2, True), (2, 4, False)]
        """
        return list(self._cut(begin, end, ALONE_DEATHS)) if end > begin else []

    def halves(self, begin: int, end: int) -> list[Piece]:
        """Returns the two halves of a range of at least two rows, split further as the deaths require."""
        middle = (begin + end) // 2
        return [*self._cut(begin, middle, 1), *self._cut(middle, end, 1)]

    def _cut(self, begin: int, end: int, max_deaths: int) -> Iterator[Piece]:
        """Splits a range that died `max_deaths` times, or part of which died (it may have been split differently)."""
        died = self.range_deaths.get((begin, end), 0)
        if end - begin == 1:
            yield begin, end, died >= (1 if self.row_by_row else max_deaths)
        elif self.row_by_row or died >= max_deaths or self._part_died(begin, end):
            yield from self.halves(begin, end)
        else:
            yield begin, end, False

    def _part_died(self, begin: int, end: int) -> bool:
        return any(begin <= first and last <= end and last - first < end - begin for first, last in self.range_deaths)


class Journal:
    """The start records of one session."""

    def __init__(self, job_dir: JobFolder, session: str):
        self._folder = job_dir.open_starts_of(session)

    @contextlib.contextmanager
    def started(self, start: Start) -> Iterator[None]:
        """Keeps a start record while the block runs; only a death leaves it behind."""
        path = storage.join(self._folder, start.to_name())
        storage.write_bytes(path, b"", durable=False)
        try:
            yield
        finally:
            try:
                storage.remove(path)
            except OSError as error:
                # At worst the unit becomes a suspect in a later death of this session and runs alone once.
                _log.warning("can't remove a start record from the journal: %s", error)


def new_session(*, supervised: bool) -> str:
    """Returns a unique id for a worker session; its prefix says whether a supervisor watches it."""
    return f"{_SUPERVISED if supervised else 'worker'}-{uuid.uuid4().hex[:16]}"


def open_starts(job_dir: JobFolder, session: str) -> list[Start]:
    """Returns the starts that a session has in flight."""
    names = storage.list_names(job_dir.open_starts_of(session))
    return [Start.from_name(name) for name in names]


def record_death(job_dir: JobFolder, session: str, how: str, *, hung: bool = False, short: bool = False) -> Death:
    """Records that a session died, with its open starts; may be repeated (the first record is kept)."""
    death = Death(session, how, time.time(), tuple(open_starts(job_dir, session)), hung, short)
    if storage.create_if_absent(job_dir.death(session), _death_to_json(death)):
        return death
    return _read_death(job_dir, session)


def forgive(job_dir: JobFolder, unit_ids: Collection[str]) -> None:
    """Removes these units from all recorded deaths, so that they are no longer suspects.

    Only the driver may call this, under its lock and before workers start.
    """
    for death in read_deaths(job_dir):
        others = tuple(start for start in death.open if start.unit_id not in unit_ids)
        if others != death.open:
            storage.write_bytes(job_dir.death(death.session), _death_to_json(replace(death, open=others)))


def read_deaths(job_dir: JobFolder, *, but: Collection[str] = ()) -> list[Death]:
    """Returns the recorded deaths, oldest first; without those of the sessions in `but`, which the caller knows."""
    sessions = [name.removesuffix(".json") for name in storage.list_names(job_dir.deaths)]
    deaths = [_read_death(job_dir, session) for session in sessions if session not in but]
    return sorted(deaths, key=lambda death: (death.at, death.session))


def diagnose(deaths: Iterable[Death]) -> dict[str, Suspect]:
    """Returns a `Suspect` for each unit that was in flight in at least one death."""
    in_flight: Counter[str] = Counter()
    died: dict[tuple[str, Phase], Counter[tuple[int, int]]] = defaultdict(Counter)
    hung: dict[tuple[str, Phase], set[tuple[int, int]]] = defaultdict(set)
    short: dict[tuple[str, Phase], set[tuple[int, int]]] = defaultdict(set)
    row_by_row: set[str] = set()
    for death in deaths:
        in_flight.update({start.unit_id for start in death.open})
        row_by_row |= {start.unit_id for start in death.open if death.hung and start.phase == "rows"}
        for start in death.open:
            if start.alone:
                what, positions = (start.unit_id, start.phase), (start.begin, start.end)
                died[what][positions] += 1
                (hung[what].add if death.hung else hung[what].discard)(positions)
                (short[what].add if death.short else short[what].discard)(positions)
    return {
        unit_id: Suspect(
            deaths=count,
            read_deaths=dict(died[unit_id, "read"]),
            range_deaths=dict(died[unit_id, "rows"]),
            hung=frozenset(hung[unit_id, "rows"]),
            hung_reads=frozenset(hung[unit_id, "read"]),
            short=frozenset(short[unit_id, "rows"]),
            short_reads=frozenset(short[unit_id, "read"]),
            row_by_row=unit_id in row_by_row,
        )
        for unit_id, count in in_flight.items()
    }


def _death_to_json(death: Death) -> bytes:
    opened = [start.to_name() for start in death.open]
    record = {"how": death.how, "at": death.at, "open": opened, "stood_still": death.hung, "short": death.short}
    return json.dumps(record, indent=1).encode()


def _read_death(job_dir: JobFolder, session: str) -> Death:
    record = json.loads(storage.read_bytes(job_dir.death(session)))
    opened = tuple(Start.from_name(name) for name in record["open"])
    hung, short = record.get("stood_still", False), record.get("short", False)
    return Death(session, record["how"], record["at"], opened, hung, short)
