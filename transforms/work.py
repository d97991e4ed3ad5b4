"""The seam between the job machinery and a job: what a job does to the rows of one unit.

`jobs.execution.pipeline` reads a unit's rows, calls `Work.run` in a thread of its own (several units at once in one
process, so that the engine stays busy), and commits the tables that come back. The machinery knows
nothing of tasks or engines; a work knows nothing of commits, retries or shards.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa


class WorkBroken(Exception):
    """The work itself can't go on, whatever row it is given: no row is to blame, nothing more is committed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A range of rows of one row group of one input file, or of several small ones that follow each other.

    Rows are counted from the first row of `row_group` on, through all the groups of the unit; `place` tells where
    such a row stands.

    Args:
        unit_id: Position in the plan and a hash of the rest, e.g. `000042-9f3a1c`; sorts in plan order.
        uri: The input file.
        version: The file's generation (GCS) or size and modification time (local) when it was planned.
        row_group: The first row group, from 0.
        row_start: First row.
        row_count: Number of rows.
        num_bytes: Estimated uncompressed bytes of the projected columns.
        retry_rows: Where only some rows of the range are wanted (`--retry_rejected`), these; None means all.
        name: What the file is called in everything that is published, without the maker's folders; "" where that
            is its URI.
        group_rows: Where the unit is of several row groups, how many rows each of them has; None where of one.
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

    @property
    def public_name(self) -> str:
        """What the file is called in everything that is published."""
        return self.name or self.uri

    def place(self, row: int) -> tuple[str, int, int]:
        """Where one of the unit's rows stands: file, row group, row within that group (as `SourceRef` takes them).

        >>> import dataclasses
        >>> unit = Unit(unit_id="0", uri="a", version="", row_group=7, row_start=0, row_count=5, num_bytes=0)
        >>> unit.place(4)
        ('a', 7, 4)
        >>> dataclasses.replace(unit, group_rows=(3, 2)).place(4)
        ('a', 8, 1)
        """
        group = self.row_group
        for rows in self.group_rows or ():
            if row < rows:
                break
            row, group = row - rows, group + 1
        return self.public_name, group, row


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What became of a unit's rows.

    Args:
        kept: Output rows, in the work's output schema, in source order.
        rejected: Rejected rows and targets, in `transforms.rows.rejections.REJECTED_SCHEMA`, in source order.
        counts: At least `rows_in`, `rows_kept`, `rows_rejected`, `targets`, `targets_accepted`, `targets_rejected`
            (source rows and targets, not output rows); beyond those whatever is worth summing
            (`tokens_in`, `tokens_out`, `rejected/<stage>/<reason>`).
    """

    kept: pa.Table
    rejected: pa.Table
    counts: Counter[str] = field(default_factory=Counter)


class Work(Protocol):
    """What a job does. A work is a cheap, picklable description until `open` is called.

    Attributes:
        whole_row_groups: Whether each row group is a unit, read whole, whatever its size.
        checkpoint_sha256: Hash of the model's weights, "" for a work without a model.
    """

    @property
    def whole_row_groups(self) -> bool: ...

    @property
    def checkpoint_sha256(self) -> str: ...

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The one explicit schema of all output rows, settled before any row is read."""
        ...

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """The columns to read (projection)."""
        ...

    def open(self) -> None:
        """Makes the heavy things (engine, process pool, scanner) once a process. Raises ConfigError."""
        ...

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Maps rows to results. Thread-safe: several units run at once.

        Args:
            unit: The unit, or a sub-range of it while a crash is being narrowed down.
            table: The projected columns of the rows to do.
            rows: For each row of `table`, which of the unit's rows it is (`Unit.place` tells where that stands).

        Raises:
            WorkBroken: Not a row is at fault (a dead engine). Any other exception but ConfigError blames the rows.
        """
        ...

    def heartbeat(self) -> dict[str, float]:
        """Figures for the progress line: `tokens_in`, `tokens_out`, `slot_occupancy`, ... Cheap."""
        ...

    def close(self) -> None: ...
