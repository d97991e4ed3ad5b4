"""One attempt at one unit: read it, run its rows, narrow a fault down to single rows, commit.

A unit is read (`jobs.execution.pieces`), run and written in pieces, so that memory doesn't follow the unit's size.
Faults and their outcomes:

    the unit can't be read                          a failed commit with the reason; the job ends with exit code 3
    some files or row groups of it can't be read    their rows are rejected with the reason; exit code 3 as well
    memory runs out                                 the unit runs again, alone (`OutOfMemory`); if it runs out again,
                                                    the unit or the row is the cause: `out_of_memory`
    `Work.run` raises for some rows                 bisected down to the failing rows: rejected, `stage_error`
    a row crashed the worker (per the journal)      rejected, `crashed_worker`; the other rows succeed
    a row hung (per the journal)                    rejected, `timeout`
    a row took all memory (per the journal)         rejected, `out_of_memory`
    reading crashed the worker (per the journal)    the unit or file can't be read: `crashed_on_read`, `timeout` if it
                                                    hung, `out_of_memory` if memory ran out
    ConfigError, StorageFull                        stops the job; the unit stays uncommitted
    WorkBroken (a dead engine), or a hundred        stops the job: the work is the cause, not the rows
    consecutive rows that raise

The record of a rejected row states the type of the exception and the module that raised it, never the exception's
text, which may quote the row.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs import storage
from jobs.errors import OUT_OF_MEMORY, RUN_STAGE, LedgerBroken, OutOfMemory
from jobs.execution.pieces import UnitReader
from jobs.growth.rows import write_identities
from jobs.ledger import commits
from jobs.ledger.journal import Journal, Piece, Start, Suspect
from jobs.plan.units import planned_rows
from jobs.storage.folders import JobFolder
from model.errors import ConfigError, RecordError
from transforms.growth.identity import identities
from transforms.rows.columns import ColumnMap
from transforms.rows.rejections import (
    REJECTED_SCHEMA,
    STAGE_ERROR,
    RejectedRow,
    Rejection,
    rejected_counts,
    rejected_table,
)
from transforms.rows.row import SourceRef
from transforms.rows.sources import sources_of
from transforms.work import Unit, UnitResult, Work, WorkBroken

MAX_FAULTS_IN_A_ROW = 100


class FaultStreak:
    """Counts consecutive rows that raise, over all units of a process.

    Which rows are consecutive depends on how the work is cut; it only decides when a job stops, never a row.
    """

    def __init__(self, limit: int = MAX_FAULTS_IN_A_ROW):
        self._limit = limit
        self._length = 0
        self._lock = threading.Lock()

    def add(self, error: BaseException) -> None:
        """Records that a row raised `error`. Raises WorkBroken if the streak reaches the limit."""
        with self._lock:
            self._length += 1
            if self._length < self._limit:
                return
        kind = type(error).__name__
        raise WorkBroken(
            f"{self._limit} consecutive rows raised, the last one {kind}: the rows are not the cause"
        ) from error

    def end(self) -> None:
        """Records that rows succeeded, which ends the streak."""
        with self._lock:
            self._length = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitRunner:
    """Runs units for one worker session. Thread-safe.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        work: The job's work, already opened.
        schema: The columns to read.
        config_hash: The job's configuration hash, for the commit records.
        journal: Where start records are written.
        max_bytes: Maximum of decoded bytes in one piece of a unit, beside those of its last batch.
        suspects: The units that were in flight in earlier deaths (`journal.diagnose`).
        streak: Stops the job if the work itself is broken.
        identified_by: The columns that identify rows, in a job that can grow; else None.
    """

    job_dir: JobFolder
    work: Work
    schema: pa.Schema
    config_hash: str
    journal: Journal
    max_bytes: float = float("inf")
    suspects: Mapping[str, Suspect] = dataclasses.field(default_factory=dict)
    streak: FaultStreak = dataclasses.field(default_factory=FaultStreak)
    identified_by: ColumnMap | None = None

    def must_run_alone(self, unit: Unit) -> bool:
        """Whether the unit was in flight when a worker died."""
        return unit.unit_id in self.suspects

    def run(self, unit: Unit, *, alone: bool = False) -> commits.CommitRecord:
        """Runs the unit and commits it; returns the commit that counts.

        Args:
            unit: The unit.
            alone: Whether it runs alone although no worker died with it.

        Raises:
            OutOfMemory: An allocation failed, and the unit did not run alone.
            ConfigError, StorageFull: The job can't continue.
            WorkBroken, LedgerBroken: A bug.
        """
        began = time.monotonic()
        if alone and not self.must_run_alone(unit):
            suspects = {**self.suspects, unit.unit_id: Suspect(deaths=0)}
            return dataclasses.replace(self, suspects=suspects).run(unit)
        suspect = self.suspects.get(unit.unit_id) or Suspect(deaths=0)
        facts: dict[str, Any] = {"config_hash": self.config_hash, "attempts": suspect.deaths + 1}

        def attempt() -> commits.CommitRecord:
            attempt_id = commits.new_attempt_id()
            also: list[str] = []
            results = self._results(unit, attempt_id, suspect, also)
            return commits.commit_unit(
                self.job_dir,
                unit,
                attempt_id,
                results,
                wall_s=lambda: time.monotonic() - began,
                is_final=self.work.whole_row_groups,
                also=also,
                **facts,
            )

        try:
            return storage.with_new_attempts(attempt)
        except RecordError as error:
            attempt_id, wall_s = commits.new_attempt_id(), time.monotonic() - began
            return commits.commit_failed(
                self.job_dir, unit, attempt_id, error.reason, error.detail, wall_s=wall_s, **facts
            )

    def _results(self, unit: Unit, attempt_id: str, suspect: Suspect, also: list[str]) -> Iterator[UnitResult]:
        """Reads and runs the unit piece by piece, in source order; checks the unit's ledger at the end.

        What identifies the rows is written last, before there is a commit, and its path added to `also`.
        """
        counts: Counter[str] = Counter()
        read: list[pa.Table] = []
        done = 0
        reader = UnitReader(
            unit=unit,
            schema=self.schema,
            max_bytes=self.max_bytes,
            journal=self.journal,
            attempt_id=attempt_id,
            suspect=self.suspects.get(unit.unit_id),
        )
        for table, rows in reader.pieces():
            if isinstance(table, Rejection):
                result = _rejected(unit, rows, table)
            else:
                result = _Rows(self, unit, attempt_id, suspect, table, rows, done).run()
                if self.identified_by is not None:
                    read.append(identities(table, self._sources(unit, table, rows), self.identified_by))
            counts.update(result.counts)
            done += len(rows)
            yield result
        _check_ledger(unit, counts, planned_rows(unit))
        if read:
            write_identities(self.job_dir, unit.unit_id, attempt_id, read)
            also.append(self.job_dir.rows_of(unit.unit_id, attempt_id))

    def _sources(self, unit: Unit, table: pa.Table, rows: Sequence[int]) -> list[SourceRef]:
        """Where rows are in the job's input, from which a job that packs whole row groups has grouped its files."""
        places = [SourceRef(*unit.place(row)) for row in rows]
        if not self.work.whole_row_groups:
            return places
        return [source or place for source, place in zip(sources_of(table), places, strict=True)]

    def start_of(self, unit: Unit, attempt_id: str, begin: int, end: int) -> Start:
        """Returns the start record for running a range of the unit's rows."""
        alone = self.must_run_alone(unit)
        return Start(unit_id=unit.unit_id, attempt_id=attempt_id, begin=begin, end=end, phase="rows", alone=alone)


class _Rows:
    """The rows of one piece of an attempt; `offset` is the position of the first among the unit's rows."""

    def __init__(
        self,
        runner: UnitRunner,
        unit: Unit,
        attempt_id: str,
        suspect: Suspect,
        table: pa.Table,
        rows: Sequence[int],
        offset: int,
    ):
        self._runner = runner
        self._unit = unit
        self._attempt_id = attempt_id
        self._suspect = suspect
        self._table = table
        self._rows = rows
        self._offset = offset

    def run(self) -> UnitResult:
        """Runs all rows, split as earlier deaths require."""
        return self._run_pieces(self._suspect.pieces(self._offset, self._offset + len(self._rows)))

    def _run_pieces(self, pieces: Sequence[Piece]) -> UnitResult:
        """Runs the pieces and concatenates their results in source order.

        The smallest run first: the last death was narrowed down to them, so that a further death comes early.
        """
        results: dict[int, UnitResult] = {}
        for begin, end, crashes in sorted(pieces, key=lambda piece: piece[1] - piece[0]):
            if crashes:
                results[begin] = self._reject(begin, _blame(self._suspect, begin, end))
            else:
                results[begin] = self._run_range(begin, end)
        return _concat([results[begin] for begin in sorted(results)])

    def _run_range(self, begin: int, end: int) -> UnitResult:
        """Runs a range of rows; if the work raises, runs its halves, down to the failing row."""
        runner, first = self._runner, begin - self._offset
        rows = list(self._rows[first : first + end - begin])
        narrowed = _narrowed(self._unit, rows)
        # Only errors of the work count against the rows. Errors of the journal mean that the storage does not respond.
        with runner.journal.started(runner.start_of(self._unit, self._attempt_id, begin, end)):
            try:
                result = runner.work.run(narrowed, self._table.slice(first, end - begin), rows)
            except (ConfigError, WorkBroken):
                raise
            except MemoryError as caught:
                if not runner.must_run_alone(self._unit):
                    raise OutOfMemory from caught
                error: BaseException | None = caught
            except (Exception, SystemExit) as caught:
                error = caught
            else:
                error = None
        if error is None:
            runner.streak.end()
            return result
        if end - begin == 1:
            runner.streak.add(error)
            return self._reject(begin, _rejection(error))
        return self._run_pieces(self._suspect.halves(begin, end))

    def _reject(self, position: int, rejection: Rejection) -> UnitResult:
        return _rejected(self._unit, [self._rows[position - self._offset]], rejection)


def _narrowed(unit: Unit, rows: Sequence[int]) -> Unit:
    """Returns the unit with only these rows; they are contiguous unless the unit has `retry_rows`."""
    return dataclasses.replace(
        unit,
        row_start=rows[0],
        row_count=rows[-1] - rows[0] + 1,
        retry_rows=None if unit.retry_rows is None else tuple(rows),
    )


def _rejected(unit: Unit, rows: Sequence[int], rejection: Rejection) -> UnitResult:
    """Returns the result of these rows, all rejected for the same reason."""
    records = [RejectedRow(SourceRef(*unit.place(row)), rejection).record() for row in rows]
    counts = Counter(rows_in=len(rows), rows_rejected=len(rows)) + rejected_counts(records)
    return UnitResult(pa.table({}), rejected_table(records), counts)


def _blame(suspect: Suspect, begin: int, end: int) -> Rejection:
    """Why a row is rejected that has ended its workers."""
    if (begin, end) in suspect.hung:
        reason, how = "timeout", "hung"
    elif (begin, end) in suspect.short:
        reason, how = OUT_OF_MEMORY, "ran out of memory"
    else:
        reason, how = "crashed_worker", "died"
    return Rejection(RUN_STAGE, reason, f"the worker {how} each time it ran this row")


def _rejection(error: BaseException) -> Rejection:
    if isinstance(error, RecordError):
        return Rejection(RUN_STAGE, error.reason, error.detail)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    where = f" in {frames[-1].f_globals.get('__name__', '?')}" if frames else ""
    reason = OUT_OF_MEMORY if isinstance(error, MemoryError) else STAGE_ERROR
    return Rejection(RUN_STAGE, reason, type(error).__name__ + where)


def _concat(results: Sequence[UnitResult]) -> UnitResult:
    """Concatenates results; tables without rows are ignored, since they need not have a schema."""
    if len(results) == 1:
        return results[0]
    kept = [result.kept for result in results if result.kept.num_rows]
    rejected = [result.rejected for result in results if result.rejected.num_rows]
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
    return UnitResult(
        pa.concat_tables(kept) if kept else pa.table({}),
        pa.concat_tables(rejected) if rejected else REJECTED_SCHEMA.empty_table(),
        counts,
    )


def _check_ledger(unit: Unit, counts: Mapping[str, int], num_rows: int) -> None:
    """Checks that every row and every target has ended in exactly one state. Raises LedgerBroken."""
    rows = (counts["rows_in"], counts["rows_kept"] + counts["rows_rejected"] + counts.get("rows_removed", 0))
    targets = (counts["targets"], counts["targets_accepted"] + counts["targets_rejected"])
    if rows != (num_rows, num_rows) or targets[0] != targets[1]:
        raise LedgerBroken(
            f"unit {unit.unit_id}: {num_rows} rows planned, {rows[0]} counted in, {rows[1]} out; "
            f"{targets[0]} targets chosen, {targets[1]} with a verdict"
        )
