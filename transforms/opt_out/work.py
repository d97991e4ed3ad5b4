"""Rejects the rows of repositories that have opted out, before anything else is done with them, in every job.

    table -> rows of the lists' repositories -> rejected (`repository_opted_out`), counted by entry
          -> the other rows                  -> the job's work

A packed row has files of several repositories (`parts`) and is rejected if one of them has opted out.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from transforms.opt_out.lists import REASON, STAGE
from transforms.opt_out.rows import RowMatcher, columns_of_repositories
from transforms.rows.cells import as_binary, texts_of
from transforms.rows.rejections import RejectedRow, Rejection, in_source_order, rejected_counts, rejected_table
from transforms.rows.row import SourceRef
from transforms.rows.sources import sources_of
from transforms.work import Unit, UnitResult
from transforms.wrapped_work import WrappedWork

MATCHED: Final = "opted_out/"
"""What the names of counts by entry begin with."""
UNKNOWN: Final = "rows_without_repository"
"""The count of rows that no entry can match, since nothing says where they are from."""


@dataclasses.dataclass
class OptOutWork(WrappedWork):
    """A job's work, given only rows of repositories that have not opted out.

    Args:
        matcher: Finds their rows.
    """

    matcher: RowMatcher

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The work's own. Raises ConfigError if nothing in the input says which repository a row is from."""
        columns_of_repositories(input_schema, self.matcher.columns)
        return self.inner.output_schema(input_schema)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Rejects the rows of repositories that have opted out, and runs the work on the others."""
        found = self.matcher.matches(table)
        entries = self.matcher.opt_out.entries
        counts: Counter[str] = Counter(f"{MATCHED}{entries[number]}" for numbers in found for number in numbers or ())
        if unknown := found.count(None):
            counts[UNKNOWN] = unknown
        stays = [index for index, numbers in enumerate(found) if not numbers]
        if len(stays) == len(rows):
            result = self.inner.run(unit, table, rows)
            return dataclasses.replace(result, counts=_sum(result.counts, counts))
        result = self.inner.run(unit, table.take(pa.array(stays, pa.int64())), [rows[index] for index in stays])
        sources = [source or SourceRef(*unit.place(row)) for source, row in zip(sources_of(table), rows, strict=True)]
        gone = sorted(set(range(len(rows))) - set(stays))
        removed = table.take(pa.array(gone, pa.int64()))
        records = self._records(removed, [sources[i] for i in gone], [found[i] or () for i in gone])
        counts.update({"rows_in": len(gone), "rows_rejected": len(gone)})
        counts.update(rejected_counts(records))
        rejected = in_source_order([result.rejected, rejected_table(records)], sources)
        return UnitResult(result.kept, rejected, _sum(result.counts, counts))

    def _records(
        self, table: pa.Table, sources: Sequence[SourceRef], found: Sequence[Sequence[int]]
    ) -> list[dict[str, Any]]:
        columns = columns_of_repositories(table.schema, self.matcher.columns)
        contents, paths = as_binary(table.column(columns.content)), texts_of(table, columns.path)
        records = []
        for content, path, source, numbers in zip(contents, paths, sources, found, strict=True):
            entry = self.matcher.opt_out.entries[numbers[0]]
            sha256 = hashlib.sha256(content.as_buffer()).hexdigest() if content.is_valid else None
            rejection = Rejection(STAGE, REASON, f"by the entry {entry}")
            records.append(RejectedRow(source, rejection, sha256, path).record())
        return records


def _sum(*counts: Counter[str]) -> Counter[str]:
    """The sum, with zeros, which `+` leaves out."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total
