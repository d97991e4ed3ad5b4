"""Reads one unit piece by piece for an attempt, and narrows a fault down to the file or row group that has it.

    unit -> piece, piece, ...                       each a table, or the reason why its rows can't be read
            |- file by file                         once reading several files at once has failed or killed a worker
               |- row group by row group            once a file turns out to be damaged

So a file that is gone, changed or damaged costs its own rows only, whichever files share its unit. A unit of which
nothing can be read fails as a whole.

Every read has a start record in the journal. That of a single file of a unit has the positions of its rows, so that a
file whose reading kills its worker is told from the others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

import pyarrow as pa

from jobs import storage
from jobs.errors import OUT_OF_MEMORY, OutOfMemory, UnreadableUnit
from jobs.execution.reading import read_piece
from jobs.ledger.journal import READING, Journal, Start, Suspect
from model.errors import ConfigError, RecordError
from transforms.rows.columns import READ_STAGE
from transforms.rows.rejections import Rejection
from transforms.work import Unit

# A worker without an engine works through a unit piece by piece: of each text there are up to ten copies at a time (as
# read, as Python's strings of up to four bytes a character, as results, as an encoded file).
PIECE_BYTES = 4_000_000
_READ_TRIES = 3
_READ_DELAY_S = 1.0

Piece = tuple[pa.Table | Rejection, list[int]]
"""Rows of a unit, by their numbers (`Unit.place`), with their table or with the reason why they can't be read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitReader:
    """Reads a unit.

    Args:
        unit: The unit.
        schema: The columns to read.
        max_bytes: Maximum of decoded bytes in a piece.
        journal: Where start records are written; None writes none.
        attempt_id: The attempt, for the start records.
        suspect: What earlier deaths say about the unit, which then runs alone; None if it does not run alone.
    """

    unit: Unit
    schema: pa.Schema
    max_bytes: float = float("inf")
    journal: Journal | None = None
    attempt_id: str = ""
    suspect: Suspect | None = None

    def pieces(self) -> Iterator[Piece]:
        """Yields all rows of the unit, in order.

        Raises:
            RecordError: Nothing of the unit can be read.
            OutOfMemory: An allocation failed, and the unit does not run alone.
            ConfigError: The storage does not respond.
        """
        if self.suspect is not None and self.unit.more:
            # If one of the files kills the worker, the journal has to say which.
            yield from _joined(self._file_by_file(0), self.max_bytes)
        else:
            yield from self._pieces(self.unit, READING, 0)

    def _pieces(self, unit: Unit, positions: tuple[int, int], done: int) -> Iterator[Piece]:
        """Yields a unit's rows after the first `done`; `positions` are those of its rows, if it is one file of several.

        Raises `RecordError` if nothing else of it can be read.
        """
        self._check_suspect(unit, positions)
        total = len(unit.rows)
        while done < total:
            try:
                table, rows = self._read(unit, positions, done, self.max_bytes)
            except RecordError as error:
                if unit.more:
                    yield from _joined(self._file_by_file(done), self.max_bytes)
                elif error.reason == "damaged_input" and unit.group_rows is not None:
                    yield from self._group_by_group(unit, positions, done, error)
                else:
                    raise
                return
            done += len(rows)
            yield table, rows

    def _file_by_file(self, done: int) -> Iterator[Piece]:
        """Yields the unit's rows after the first `done`, one file at a time; raises if nothing of it can be read."""
        fault: RecordError | None = None
        is_any_readable, end = done > 0, 0
        for first, file in self.unit.by_file():
            begin, end = end, end + len(file.rows)
            if end <= done:
                continue
            left = [first + row for row in file.rows[max(0, done - begin) :]]
            try:
                for table, rows in self._pieces(file, (begin, end), max(0, done - begin)):
                    is_any_readable |= not isinstance(table, Rejection)
                    left = left[len(rows) :]
                    yield table, [first + row for row in rows]
            except RecordError as error:
                fault = fault or error
                if left:
                    yield Rejection(READ_STAGE, error.reason, error.detail), left
        if fault is not None and not is_any_readable:
            raise fault

    def _group_by_group(self, unit: Unit, positions: tuple[int, int], done: int, error: RecordError) -> Iterator[Piece]:
        """Yields the rows of a file with damaged row groups, one group at a time; raises `error` if all are damaged."""
        wanted = unit.rows[done:]
        is_any_readable, before = done > 0, 0
        for group, count in enumerate(unit.group_rows or (), unit.row_group):
            rows = [row for row in wanted if before <= row < before + count]
            alone = tuple(row - before for row in rows)
            before += count
            if not rows:
                continue
            one = dataclasses.replace(
                unit,
                row_group=group,
                group_rows=None,
                row_start=alone[0],
                row_count=alone[-1] - alone[0] + 1,
                retry_rows=alone,
            )
            read = 0
            try:
                while read < len(rows):
                    table, numbers = self._read(one, positions, read, self.max_bytes)
                    yield table, rows[read : read + len(numbers)]
                    read += len(numbers)
                    is_any_readable = True
            except UnreadableUnit as fault:
                yield Rejection(READ_STAGE, fault.reason, fault.detail), rows[read:]
        if not is_any_readable:
            raise error

    def _read(self, unit: Unit, positions: tuple[int, int], done: int, max_bytes: float) -> tuple[pa.Table, list[int]]:
        """Reads the next piece, with a start record in the journal.

        If the storage does not respond, the read is retried; a remote storage that never responds stops the job.
        """
        with self._started(positions):
            for tries_left in range(_READ_TRIES - 1, -1, -1):
                try:
                    return read_piece(unit, self.schema, done=done, max_bytes=max_bytes)
                except (RecordError, ConfigError):
                    raise
                except MemoryError as error:
                    if self.suspect is None:
                        raise OutOfMemory from error
                    raise RecordError(OUT_OF_MEMORY, f"{unit.public_name}: no memory to decode its rows") from error
                except Exception as error:
                    _explain(unit, error, tries_left)
                    time.sleep(_READ_DELAY_S)
        raise AssertionError("unreachable")

    def _started(self, positions: tuple[int, int]) -> contextlib.AbstractContextManager[None]:
        if self.journal is None:
            return contextlib.nullcontext()
        begin, end = positions
        return self.journal.started(
            Start(
                unit_id=self.unit.unit_id,
                attempt_id=self.attempt_id,
                begin=begin,
                end=end,
                phase="read",
                alone=self.suspect is not None,
            )
        )

    def _check_suspect(self, unit: Unit, positions: tuple[int, int]) -> None:
        """Raises RecordError if reading the unit, or one file of it, has killed too many workers."""
        if self.suspect is None or not self.suspect.is_unreadable(positions):
            return
        times = self.suspect.read_deaths[positions]
        if positions in self.suspect.hung_reads:
            raise RecordError("timeout", f"{unit.public_name}: reading it hung {times} times")
        if positions in self.suspect.short_reads:
            raise RecordError(OUT_OF_MEMORY, f"the worker ran out of memory each time it read {unit.public_name}")
        raise RecordError("crashed_on_read", f"the worker died {times} times while reading {unit.public_name}")


def _joined(pieces: Iterator[Piece], max_bytes: float) -> Iterator[Piece]:
    """Joins consecutive tables up to `max_bytes`, so that rows of small files still run together."""
    tables: list[pa.Table] = []
    numbers: list[int] = []
    num_bytes = 0
    for table, rows in pieces:
        if tables and (isinstance(table, Rejection) or num_bytes + table.nbytes > max_bytes):
            yield pa.concat_tables(tables), numbers
            tables, numbers, num_bytes = [], [], 0
        if isinstance(table, Rejection):
            yield table, rows
            continue
        tables.append(table)
        numbers = numbers + rows
        num_bytes += table.nbytes
    if tables:
        yield pa.concat_tables(tables), numbers


def _explain(unit: Unit, error: Exception, tries_left: int) -> None:
    """Raises the error that a failed read amounts to; returns if a retry may help."""
    if not (isinstance(error, OSError) or storage.is_unanswered(error)):
        raise UnreadableUnit(
            "damaged_input", f"{unit.public_name}: {type(error).__name__} while decoding it"
        ) from error
    if tries_left:
        return
    if storage.is_local(unit.uri):
        why = getattr(error, "strerror", None) or type(error).__name__
        raise RecordError("input_unreadable", f"{unit.public_name}: {why}") from error
    raise ConfigError(
        f"can't read {unit.uri} ({type(error).__name__}: {error}); committed work is kept; "
        "run the same command again when the storage is available"
    ) from error
