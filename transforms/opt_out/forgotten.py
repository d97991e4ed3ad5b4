"""Keeps rows that were removed from an output from coming back when units of it run again.

table -> rows that were forgotten -> counted as removed: there is no record of them
      -> the other rows           -> the job's work
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import pyarrow as pa

from transforms.opt_out.selection import FileColumns, Selection, matches
from transforms.work import Unit, UnitResult
from transforms.wrapped_work import WrappedWork


@dataclasses.dataclass
class ForgottenWork(WrappedWork):
    """A job's work, given only rows that were not forgotten.

    Args:
        selection: What was forgotten.
        columns: The input's columns.
    """

    selection: Selection
    columns: FileColumns

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
