"""One attempt at one unit: read it, run its rows, narrow a fault down to the row, commit.

What can go wrong, and what becomes of it:

    the unit can't be read                         a failed commit with the reason; the job ends with exit code 3
    `Work.run` raises for some rows                cut in two until each fault has its row: rejected, `stage_error`
    a row killed the worker (from the journal)     rejected, `crashed_worker`; the other rows come out
    reading killed the worker (from the journal)   a failed commit, `crashed_on_read`
    ConfigError, StorageFull                       stops the job; the unit stays uncommitted
    WorkBroken (a dead engine), or a hundred rows  stops the job: not the rows are at fault, the work is
    in a row that raise

A rejected row says what kind of exception was raised in which module, never its text, which may quote the row.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs import commits, storage
from jobs.journal import Journal, Piece, Start, Suspect
from jobs.reading import read_unit
from model.errors import ConfigError, RecordError
from transforms.rows import REJECTED_SCHEMA, Rejection
from transforms.work import Unit, UnitResult, Work, WorkBroken

MAX_FAULTS_IN_A_ROW = 100
_READ_TRIES = 3
_READ_DELAY_S = 1.0
_STAGE = "run"


class LedgerBroken(Exception):
    """A work returned counts that don't add up: a bug, found before anything was committed."""


class FaultStreak:
    """Counts rows that raise one after the other, over all units of a process."""

    def __init__(self, limit: int = MAX_FAULTS_IN_A_ROW):
        self._limit = limit
        self._length = 0
        self._lock = threading.Lock()

    def add(self, error: BaseException) -> None:
        """Notes that a row raised `error`. Raises WorkBroken where the streak has become too long."""
        with self._lock:
            self._length += 1
            if self._length < self._limit:
                return
        kind = type(error).__name__
        raise WorkBroken(
            f"{self._limit} rows in a row raised, the last one {kind}: not the rows are at fault"
        ) from error

    def end(self) -> None:
        """Notes that rows came out."""
        with self._lock:
            self._length = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitRunner:
    """Runs units for one session. Thread-safe.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        work: What to do with rows; opened.
        schema: The columns to read.
        config_hash: The job's, for the commit records.
        journal: Where starts are marked.
        suspects: What earlier deaths say (`journal.diagnose`).
        streak: Stops the job where the work itself is broken.
    """

    job_dir: str
    work: Work
    schema: pa.Schema
    config_hash: str
    journal: Journal
    suspects: Mapping[str, Suspect] = dataclasses.field(default_factory=dict)
    streak: FaultStreak = dataclasses.field(default_factory=FaultStreak)

    def must_run_alone(self, unit: Unit) -> bool:
        """Whether the unit was in flight when a worker died."""
        return unit.unit_id in self.suspects

    def run(self, unit: Unit) -> commits.CommitRecord:
        """Does the unit and commits it; returns the commit that counts.

        Raises:
            ConfigError, StorageFull: The job can't go on.
            WorkBroken, LedgerBroken: A bug.
        """
        began = time.monotonic()
        suspect = self.suspects.get(unit.unit_id) or Suspect(deaths=0)
        attempt_id = commits.new_attempt_id()

        def facts() -> dict[str, Any]:
            wall_s = time.monotonic() - began
            return {"config_hash": self.config_hash, "wall_s": wall_s, "attempts": suspect.deaths + 1}

        try:
            if suspect.is_unreadable:
                detail = f"the worker died {suspect.read_deaths} times while it read {unit.uri}"
                raise RecordError("crashed_on_read", detail)
            with self.journal.started(self.start_of(unit, attempt_id)):
                table, rows = self._read(unit)
        except RecordError as error:
            return commits.commit_failed(self.job_dir, unit, attempt_id, error.reason, error.detail, **facts())
        result = _Rows(self, unit, attempt_id, suspect, table, rows).run()
        _check_ledger(unit, result, len(rows))
        return commits.commit_unit(self.job_dir, unit, attempt_id, result, **facts())

    def start_of(self, unit: Unit, attempt_id: str, rows: tuple[int, int] | None = None) -> Start:
        """The journal's mark for reading the unit, or for running a range of its rows."""
        begin, end = rows or (0, 0)
        return Start(
            unit_id=unit.unit_id,
            attempt_id=attempt_id,
            begin=begin,
            end=end,
            phase="rows" if rows else "read",
            alone=self.must_run_alone(unit),
        )

    def _read(self, unit: Unit) -> tuple[pa.Table, list[int]]:
        """Reads the unit. A storage that doesn't answer is asked again; a remote one that never does stops the job."""
        for tries_left in range(_READ_TRIES - 1, -1, -1):
            try:
                return read_unit(unit, self.schema)
            except (RecordError, ConfigError):
                raise
            except Exception as error:
                if not (isinstance(error, OSError) or storage.is_unanswered(error)):
                    detail = f"{unit.uri}: {type(error).__name__} while decoding"
                    raise RecordError("damaged_input", detail) from error
                if tries_left:
                    time.sleep(_READ_DELAY_S)
                elif storage.is_local(unit.uri):
                    raise RecordError(
                        "input_unreadable", f"{unit.uri}: {getattr(error, 'strerror', None) or type(error).__name__}"
                    ) from error
                else:
                    raise ConfigError(
                        f"can't read {unit.uri} ({type(error).__name__}: {error}); what is committed is kept: "
                        "run the same command again when the storage answers"
                    ) from error
        raise AssertionError("unreachable")


class _Rows:
    """The rows of one attempt at one unit."""

    def __init__(
        self, runner: UnitRunner, unit: Unit, attempt_id: str, suspect: Suspect, table: pa.Table, rows: Sequence[int]
    ):
        self._runner = runner
        self._unit = unit
        self._attempt_id = attempt_id
        self._suspect = suspect
        self._table = table
        self._rows = rows

    def run(self) -> UnitResult:
        """Runs all rows, cut as earlier deaths demand."""
        return self._run_pieces(self._suspect.pieces(len(self._rows)))

    def _run_pieces(self, pieces: Sequence[Piece]) -> UnitResult:
        """Runs the pieces and puts their results together in source order.

        The smallest go first: they are what the last death was narrowed down to, so the next one comes soon.
        """
        results: dict[int, UnitResult] = {}
        for begin, end, is_killer in sorted(pieces, key=lambda piece: piece[1] - piece[0]):
            if is_killer:
                detail = "the worker died each time it ran this row"
                results[begin] = self._reject(begin, Rejection(_STAGE, "crashed_worker", detail))
            else:
                results[begin] = self._run_range(begin, end)
        return _concat([results[begin] for begin in sorted(results)])

    def _run_range(self, begin: int, end: int) -> UnitResult:
        """Runs a range of rows; where the work raises, runs its halves, down to the row at fault."""
        runner, unit = self._runner, self._unit
        rows = list(self._rows[begin:end])
        narrowed = dataclasses.replace(
            unit,
            row_start=rows[0],
            row_count=rows[-1] - rows[0] + 1,
            retry_rows=None if unit.retry_rows is None else tuple(rows),
        )
        # Only the work's own errors are the rows': the journal's would blame them for a silent storage.
        with runner.journal.started(runner.start_of(unit, self._attempt_id, (begin, end))):
            try:
                result = runner.work.run(narrowed, self._table.slice(begin, end - begin), rows)
            except (ConfigError, WorkBroken):
                raise
            except (Exception, SystemExit) as caught:
                error: BaseException | None = caught
            else:
                error = None
        if error is None:
            runner.streak.end()
            return result
        if end - begin == 1:
            runner.streak.add(error)
            return self._reject(begin, _rejection(error))
        return self._run_pieces(self._suspect.halves(begin, end, len(self._rows)))

    def _reject(self, position: int, rejection: Rejection) -> UnitResult:
        row = {
            "kind": "row",
            "uri": self._unit.uri,
            "row_group": self._unit.row_group,
            "row": self._rows[position],
            "stage": rejection.stage,
            "reason": rejection.reason,
            "detail": rejection.detail,
        }
        rejected = pa.Table.from_pylist([row], schema=REJECTED_SCHEMA)
        counts = Counter(rows_in=1, rows_rejected=1)
        counts[f"rejected/{rejection.stage}/{rejection.reason}"] = 1
        return UnitResult(pa.table({}), rejected, counts)


def _rejection(error: BaseException) -> Rejection:
    if isinstance(error, RecordError):
        return Rejection(_STAGE, error.reason, error.detail)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    where = f" in {frames[-1].f_globals.get('__name__', '?')}" if frames else ""
    return Rejection(_STAGE, "stage_error", type(error).__name__ + where)


def _concat(results: Sequence[UnitResult]) -> UnitResult:
    """Puts results one after the other; tables without rows say nothing, not even a schema."""
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


def _check_ledger(unit: Unit, result: UnitResult, num_rows: int) -> None:
    """Every row and every target must have ended in exactly one state."""
    counts = result.counts
    rows = (counts["rows_in"], counts["rows_kept"] + counts["rows_rejected"])
    targets = (counts["targets"], counts["targets_accepted"] + counts["targets_rejected"])
    if rows != (num_rows, num_rows) or targets[0] != targets[1]:
        raise LedgerBroken(
            f"unit {unit.unit_id}: {num_rows} rows read, {rows[0]} counted in, {rows[1]} out; "
            f"{targets[0]} targets chosen, {targets[1]} judged"
        )
