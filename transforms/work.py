"""The interface between the job framework and a job: `Work` maps the rows of one unit to results.

`jobs.execution.attempt` reads a unit's rows, calls `Work.run` in a separate thread, and commits the tables that it
returns. Several units run concurrently in one process, so that the engine stays busy. The framework does not depend on
tasks or engines. A work does not depend on commits, retries or shards.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import pyarrow as pa


class WorkBroken(Exception):
    """The work can't continue, whichever row it receives. No row is the cause, and nothing more is committed."""


def number_of(unit_id: str) -> int:
    """The position in the plan that a unit's id begins with."""
    return int(unit_id.partition("-")[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitFile:
    """A further file of a unit: all row groups of it that have rows.

    Args:
        uri, version, name: As in `Unit`.
        row_group: The first row group.
        group_rows: The number of rows of each row group.
    """

    uri: str
    version: str
    name: str
    row_group: int
    group_rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Consecutive rows: of one row group, of small row groups that follow each other, or of several small files.

    Rows are numbered from the first row of `row_group`, across all row groups and files of the unit. `place` converts
    such a number to a location, `by_file` splits the unit.

    Args:
        unit_id: Position in the plan and a hash of the rest, e.g. `000042-9f3a1c`; sorts in plan order.
        uri: The input file.
        version: The file's generation (GCS) or size and modification time (local) when it was planned.
        row_group: The first row group, from 0.
        row_start: First row.
        row_count: Number of rows.
        num_bytes: Estimated uncompressed bytes of the projected columns.
        retry_rows: The rows of the range to process (`--retry_rejected`); None means all.
        name: The file's public name, without local folders; "" if it is the URI.
        group_rows: The number of rows of each of the file's row groups, if the unit has several groups; None if it
            has one. Always given if there are more files.
        more: The files that follow the first one, if the unit has several.
    """

    unit_id: str
    uri: str
    version: str
    row_group: int
    row_start: int
    row_count: int
    num_bytes: int
    retry_rows: tuple[int, ...] | None = None
    name: str = ""
    group_rows: tuple[int, ...] | None = None
    more: tuple[UnitFile, ...] = ()

    @property
    def public_name(self) -> str:
        """The file's name in everything that is published; of several files, the first one's."""
        return self.name or self.uri

    @property
    def number(self) -> int:
        """Its position in the plan.

        >>> number_of("000042-9f3a1c")
        42
        """
        return number_of(self.unit_id)

    @property
    def title(self) -> str:
        """What a message calls the unit: its file's public name, and how many others there are."""
        others = f" and {len(self.more):,} more file{'s' * (len(self.more) > 1)}" if self.more else ""
        return self.public_name + others

    @property
    def rows(self) -> Sequence[int]:
        """The numbers of the rows to process, in order."""
        return self.retry_rows or range(self.row_start, self.row_start + self.row_count)

    def place(self, row: int) -> tuple[str, int, int]:
        """Location of one of the unit's rows: file, row group, row within that group (the arguments of `SourceRef`).

        >>> import dataclasses
        >>> unit = Unit(unit_id="0", uri="a", version="", row_group=7, row_start=0, row_count=5, num_bytes=0)
        >>> unit.place(4)
        ('a', 7, 4)
        >>> unit = dataclasses.replace(unit, group_rows=(3, 2))
        >>> unit.place(4)
        ('a', 8, 1)
        >>> more = (UnitFile(uri="b", version="", name="", row_group=0, group_rows=(9,)),)
        >>> dataclasses.replace(unit, more=more).place(6)
        ('b', 0, 1)
        """
        uri, group, group_rows = self.public_name, self.row_group, self.group_rows or ()
        if self.more and (index := bisect_right(self._starts, row)):
            file = self.more[index - 1]
            row -= self._starts[index - 1]
            uri, group, group_rows = file.name or file.uri, file.row_group, file.group_rows
        for rows in group_rows:
            if row < rows:
                break
            row, group = row - rows, group + 1
        return uri, group, row

    def by_file(self) -> list[tuple[int, Unit]]:
        """Splits the unit into one for each file with rows to process, with the number of the file's first row."""
        if not self.more:
            return [(0, self)]
        first = UnitFile(
            uri=self.uri,
            version=self.version,
            name=self.name,
            row_group=self.row_group,
            group_rows=self.group_rows or (),
        )
        files = zip((0, *self._starts), (first, *self.more), strict=True)
        return [(start, one) for start, file in files if (one := self._of_file(start, file)) is not None]

    def _of_file(self, start: int, file: UnitFile) -> Unit | None:
        end = start + sum(file.group_rows)
        wanted = self.rows
        rows = wanted[bisect_left(wanted, start) : bisect_left(wanted, end)]
        if not rows:
            return None
        return Unit(
            unit_id=self.unit_id,
            uri=file.uri,
            version=file.version,
            row_group=file.row_group,
            row_start=rows[0] - start,
            row_count=rows[-1] - rows[0] + 1,
            num_bytes=self.num_bytes * len(rows) // len(wanted),
            retry_rows=None if self.retry_rows is None else tuple(row - start for row in rows),
            name=file.name,
            group_rows=file.group_rows if len(file.group_rows) > 1 else None,
        )

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """The number of the first row of each of the files in `more`."""
        counts = [sum(self.group_rows or ()), *(sum(file.group_rows) for file in self.more)]
        return tuple(accumulate(counts[:-1]))


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The result of a unit.

    Args:
        kept: Output rows, in the work's output schema, in source order.
        rejected: Rejected rows and targets, in `transforms.rows.rejections.REJECTED_SCHEMA`, in source order.
        counts: At least `rows_in`, `rows_kept`, `rows_rejected`, `targets`, `targets_accepted`, `targets_rejected`
            (source rows and targets, not output rows), and any other counts to be summed over the job
            (`tokens_in`, `tokens_out`, `rejected/<stage>/<reason>`).
    """

    kept: pa.Table
    rejected: pa.Table
    counts: Counter[str] = field(default_factory=Counter)


class Work(Protocol):
    """A job's row processing. A work is a small, picklable description until `open` is called.

    Attributes:
        whole_row_groups: Whether each row group is one unit that is read completely, whatever its size.
        spreads_rows: Whether it has processes of its own for its rows, so that one worker process a machine suffices.
        opens_first: Whether the first `open` makes files that every other worker's `open` uses, so that they wait.
        checkpoint_sha256: Hash of the model's weights, "" for a work without a model.
    """

    @property
    def whole_row_groups(self) -> bool: ...

    @property
    def spreads_rows(self) -> bool: ...

    @property
    def opens_first(self) -> bool: ...

    @property
    def checkpoint_sha256(self) -> str: ...

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The schema of all output rows, determined before any row is read."""
        ...

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """The columns to read (projection)."""
        ...

    def open(self) -> None:
        """Creates expensive resources (engine, process pool, scanner) once per process. Raises ConfigError."""
        ...

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Maps rows to results. Thread-safe: several units run concurrently.

        Args:
            unit: The unit, or a sub-range of it during crash attribution.
            table: The projected columns of the rows to process.
            rows: For each row of `table`, its row number in the unit (`Unit.place` returns its location).

        Raises:
            WorkBroken: The cause is not a row (a dead engine). Any other exception except ConfigError is attributed to
                the rows.
        """
        ...

    def heartbeat(self) -> dict[str, float]:
        """Metrics for the progress line: `tokens_in`, `tokens_out`, `slot_occupancy`, ... Must be fast."""
        ...

    def close(self) -> None: ...
