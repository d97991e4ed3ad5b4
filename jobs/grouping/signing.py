"""Signs all rows of a plan in several processes, and finds what each row's crash or fault is to be blamed on.

    units -> a process reads one, signs its texts, writes their 5-grams to its own file
          -> this process adds the signatures to the clusters (`transforms.duplicates.clusters`)

What can't be signed, and what becomes of it:

    a unit that can't be read                      in no cluster; running it reports the fault
    damaged row groups in a unit of several        their rows are in no cluster, the others are signed
    a row for which signing raises                 `Unsigned`, stage_error
    a row whose signing crashes its process        `Unsigned`, crashed_worker
    a unit whose reading crashes its process       in no cluster; running it finds out which row does it

This process signs as well, so a crash here ends it. `find_or_make` then sees that and leaves all signing to others.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from jobs.execution.cursors import expect_units
from jobs.execution.pieces import PIECE_BYTES, UnitReader
from jobs.grouping.row_paths import PathsWriter
from jobs.grouping.team import Team
from model.errors import ConfigError, RecordError
from transforms.duplicates.batches import GramsFile, SignedTexts, sign_texts
from transforms.duplicates.comparing import Comparing
from transforms.filters.showing import may_be_shown
from transforms.fused_work import RowsBefore
from transforms.row_pool import CRASHED, RowPool
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import SourceRef
from transforms.work import Unit

_log = logging.getLogger(__name__)

PIECE_MB: Final = 16

Texts = Callable[[pa.Table], Sequence[bytes | None]]
"""`texts(table)`: the text to compare for each row, in UTF-8; None excludes the row. Picklable."""
Paths = Callable[[pa.Table], Sequence[str]]
"""`paths(table)`: the path of each row, "" for one without. Picklable."""


def no_paths(table: pa.Table) -> Sequence[str]:
    """The paths of rows that have none."""
    return ()


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A row that could not be signed: its number, and the reason and detail of its rejection."""

    number: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What became of a unit's rows."""

    texts: tuple[SignedTexts, ...] = ()
    unsigned: tuple[Unsigned, ...] = ()


@dataclass(frozen=True, slots=True)
class SigningTask:
    """A unit to sign, and the number of its first row."""

    unit: Unit
    first: int

    @property
    def source(self) -> SourceRef | None:
        """The location of the row, if it is one."""
        return SourceRef(*self.unit.place(self.unit.row_start)) if len(self.unit.rows) == 1 else None

    def rows(self) -> Iterator[SigningTask]:
        """Yields a task for each row."""
        for position, row in enumerate(self.unit.rows):
            retry_rows = None if self.unit.retry_rows is None else (row,)
            one = dataclasses.replace(self.unit, row_start=row, row_count=1, retry_rows=retry_rows)
            yield SigningTask(one, self.first + position)


class SigningStages(Comparing):
    """What runs in each process: reading and signing, and comparing what was signed.

    Args:
        folder: The folder of the clusters.
        schema: The columns to read.
        texts: Chooses the texts.
        min_tokens: Texts with fewer tokens are in no cluster.
        paths: Gives the rows' paths, which are kept in the folder (`jobs.grouping.row_paths`).
        before: Makes the rows to sign of those that are read; None signs these.
    """

    def __init__(
        self,
        folder: str,
        schema: pa.Schema,
        texts: Texts,
        min_tokens: int = 0,
        paths: Paths = no_paths,
        before: RowsBefore | None = None,
    ):
        self._folder = folder
        self._schema = schema
        self._texts = texts
        self._min_tokens = min_tokens
        self._paths = paths
        self._before = before
        self._grams = GramsFile(folder)
        self._paths_file = PathsWriter(folder)

    def __reduce__(self) -> tuple[Any, ...]:  # each process has a file of its own
        given = (self._folder, self._schema, self._texts, self._min_tokens, self._paths, self._before)
        return SigningStages, given

    def open(self) -> None:
        """Opens the steps before; this process's files are opened when something is written."""
        expect_units(1)
        if self._before is not None:
            self._before.open()

    def close(self) -> None:
        """Closes this process's files."""
        self._grams.close()
        self._paths_file.close()

    def read(self, task: SigningTask) -> None:
        """Reads a unit for nothing but to see whether that crashes the process."""
        for _ in self._pieces(task.unit):
            pass

    def sign(self, task: SigningTask) -> Signed:
        """Reads and signs a unit."""
        parts = []
        try:
            for done, table, rows in self._pieces(task.unit):
                parts.append(self._sign(task.first + done, task.unit, table, rows))
        except RecordError:
            return Signed()  # running the unit reports it
        return Signed(sum((part.texts for part in parts), ()), sum((part.unsigned for part in parts), ()))

    def shown(self, paths: Sequence[str]) -> list[bool]:
        """Whether each of these paths may be shown."""
        return list(map(may_be_shown, paths))

    def _pieces(self, unit: Unit) -> Iterator[tuple[int, pa.Table, list[int]]]:
        """Yields the readable rows, with how many of the unit's rows are before them, and their numbers."""
        done = 0
        # What steps make of rows is found again by pieces, so these are those of a worker.
        max_bytes = PIECE_MB * 1_000_000 if self._before is None else PIECE_BYTES
        for table, rows in UnitReader(unit=unit, schema=self._schema, max_bytes=max_bytes).pieces():
            if not isinstance(table, Rejection):
                yield done, table, rows
            done += len(rows)

    def _sign(self, first: int, unit: Unit, table: pa.Table, rows: list[int]) -> Signed:
        """Signs rows; if that raises, the halves, down to the row that is the cause."""
        try:
            seen = table if self._before is None else self._before.see(unit, table, rows)
            self._paths_file.write(first, self._paths(seen))
            texts = [(first + place, text) for place, text in enumerate(self._texts(seen)) if text is not None]
            numbers, chosen = [number for number, _ in texts], [text for _, text in texts]
            return Signed((sign_texts(numbers, chosen, self._grams, min_tokens=self._min_tokens),))
        except (ConfigError, MemoryError, OSError):
            raise  # no row is the cause
        except Exception as error:
            if table.num_rows == 1:
                fault = stage_error("dedup", error, "a row could not be signed")
                return Signed(unsigned=(Unsigned(first, fault.reason, fault.detail),))
        half = table.num_rows // 2
        one = self._sign(first, unit, table.slice(0, half), rows[:half])
        other = self._sign(first + half, unit, table.slice(half), rows[half:])
        return Signed(one.texts + other.texts, one.unsigned + other.unsigned)


class Takes(Protocol):
    """What signatures are added to."""

    def add(self, signed: SignedTexts) -> None: ...


def sign_rows(team: Team, tasks: Iterable[SigningTask], clusters: Takes) -> list[Unsigned]:
    """Signs all units and adds their signatures to the clusters; returns the rows that could not be signed, in order.

    Raises:
        ConfigError: A remote storage never responds.
        WorkBroken: The other processes end before they are ready.
    """
    unsigned: list[Unsigned] = []
    crashed: list[int] = []
    known: dict[int, SigningTask] = {}

    def noted() -> Iterator[SigningTask]:
        for position, task in enumerate(tasks):
            known[position] = task
            yield task

    for position, result in team.spread("sign", noted(), group=_row_group):
        task = known.pop(position)
        signed = _attributed(team.pool, task) if result is CRASHED else result
        crashed += [position] if result is CRASHED else []
        unsigned += signed.unsigned
        for texts in signed.texts:
            clusters.add(texts)
    if crashed:
        _log.warning("signing %d units crashed a process; %d rows are the cause", len(crashed), len(unsigned))
    return sorted(unsigned, key=lambda row: row.number)


def _row_group(task: SigningTask) -> tuple[str, int]:
    return task.unit.uri, task.unit.row_group


def _attributed(pool: RowPool, task: SigningTask) -> Signed:
    """Signs a unit that crashed its process row by row, each in a process that nothing else can crash."""
    if pool.apply("read", [task])()[0] is CRASHED:
        _log.warning("unit %s crashes what reads it: its rows are in no cluster", task.unit.unit_id)
        return Signed()
    rows = list(task.rows())
    parts = [
        Signed(unsigned=(Unsigned(row.first, "crashed_worker", "the process died each time it signed this row"),))
        if result is CRASHED
        else result
        for row, result in zip(rows, pool.apply("sign", rows)(), strict=True)
    ]
    return Signed(sum((part.texts for part in parts), ()), sum((part.unsigned for part in parts), ()))
