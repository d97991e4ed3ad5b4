"""Keeps rows that were removed from an output from coming back when units of it run again.

table -> rows that were forgotten -> counted as removed: there is no record of them
      -> the other rows           -> the job's work
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import pyarrow as pa

from transforms.opt_out.selection import FileColumns, Selection, matches
from transforms.work import Unit, UnitResult, Work


@dataclasses.dataclass
class ForgottenWork:
    """A job's work, given only rows that were not forgotten; see `transforms.work.Work`.

    Args:
        inner: The job's work.
        selection: What was forgotten.
        columns: The input's columns.
    """

    inner: Work
    selection: Selection
    columns: FileColumns

    @property
    def whole_row_groups(self) -> bool:
        """The work's own, as are the other properties."""
        return self.inner.whole_row_groups

    @property
    def spreads_rows(self) -> bool:
        return self.inner.spreads_rows

    @property
    def opens_first(self) -> bool:
        return self.inner.opens_first

    @property
    def checkpoint_sha256(self) -> str:
        return self.inner.checkpoint_sha256

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        return self.inner.output_schema(input_schema)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        return self.inner.input_columns(input_schema)

    def open(self) -> None:
        self.inner.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Leaves out the rows that were forgotten, and runs the work on the others."""
        gone = matches(table, self.columns, self.selection)
        if not gone.any():
            return self.inner.run(unit, table, rows)
        stays = [index for index, goes in enumerate(gone) if not goes]
        result = self.inner.run(unit, table.take(pa.array(stays, pa.int64())), [rows[index] for index in stays])
        counts: Counter[str] = Counter(result.counts)
        removed = len(rows) - len(stays)
        counts.update({"rows_in": removed, "rows_removed": removed})
        return dataclasses.replace(result, counts=counts)

    def heartbeat(self) -> dict[str, float]:
        return self.inner.heartbeat()

    def close(self) -> None:
        self.inner.close()
