"""A job's work behind steps that run on the same rows first, so that nothing of what they keep is written in between.

    table -> step -> step -> the job's work -> kept
               |       |            |
               +-------+------------+-------> rejected, in the order of the rows

Each step is the work of a job whose kept rows are rows of its input, each at most once and in order (filter, dedup).
Everything that a row is known by (lineage, rejected records, seeds of the row's content) is what it would be if the
steps had written their rows, but for its location: that is the location in the input of the first step.

Of the counts, those of rejections are summed over all steps; a step's others are told as `fused/<step>/<count>`.

A step that needs to have seen all rows before it can judge one (dedup) reads what the steps before it leave of them
(`RowsBefore`). That may be kept, without its texts, for when the rows come by again (`KeptResults`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import pyarrow as pa

from transforms.opt_out.rows import RowMatcher
from transforms.rows.rejections import in_source_order, rejected_table
from transforms.rows.row import SourceRef
from transforms.work import Unit, UnitResult, Work
from transforms.wrapped_work import WrappedWork

FUSED: Final = "fused/"
"""What the names of the steps' own counts begin with."""
_OF_REJECTIONS: Final = "rejected_"


class KeptResults(Protocol):
    """Results that are kept from one pass over the rows to the next; what isn't found is made again."""

    def keep(self, step: str, unit: Unit, table: pa.Table, rows: Sequence[int], result: UnitResult) -> None:
        """Keeps a step's result for these rows."""
        ...

    def find(self, step: str, unit: Unit, table: pa.Table, rows: Sequence[int], schema: pa.Schema) -> UnitResult | None:
        """The step's result for these rows, with the columns of `schema`, if it was kept."""
        ...


@dataclasses.dataclass(frozen=True)
class FusedStep:
    """A step.

    Args:
        name: The name that it has in its pipeline.
        work: Its work.
        as_read: The schema with which the next step would read files of this one.
    """

    name: str
    work: Work
    as_read: Callable[[pa.Schema], pa.Schema]

    def schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The schema in which the next step gets the rows."""
        return self.as_read(self.work.output_schema(input_schema))

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Runs the work; the kept rows are as the next step gets them."""
        result = self.work.run(unit, table, rows)
        return dataclasses.replace(result, kept=result.kept.cast(self.schema(table.schema)))


@dataclasses.dataclass(frozen=True)
class RowsBefore:
    """What steps leave of rows, for a step that has to see all rows before it can judge one.

    Args:
        steps: The steps before it.
        results: Where their results are kept.
        opt_out: Finds the rows that nothing may use; None without opt-out lists.
    """

    steps: tuple[FusedStep, ...]
    results: KeptResults
    opt_out: RowMatcher | None = None

    def open(self) -> None:
        """Opens the steps' works in another process than the worker's."""
        for step in self.steps:
            step.work.open()

    def see(self, unit: Unit, table: pa.Table, rows: Sequence[int]) -> pa.Table:
        """The rows as the steps leave them, one for one: all cells of a row that doesn't come through are null.

        Args:
            unit: The unit, or a part of it.
            table: Rows of the unit.
            rows: Their numbers in the unit.
        """
        left, places = table, list(range(len(rows)))
        if self.opt_out is not None:
            places = [place for place, stays in enumerate(self.opt_out.stays(table)) if stays]
            left = table.take(pa.array(places, pa.int64()))
        for step in self.steps:
            numbers = [rows[place] for place in places]
            result = step.run(unit, left, numbers)
            self.results.keep(step.name, unit, left, numbers, result)
            stays_at = places_left(unit, numbers, result)
            left, places = result.kept, [places[index] for index in stays_at]
        found: list[int | None] = [None] * len(rows)
        for index, place in enumerate(places):
            found[place] = index
        return left.take(pa.array(found, pa.int64()))


@dataclasses.dataclass
class FusedWork(WrappedWork):
    """A job's work, given what steps leave of its input.

    Args:
        steps: The steps, in order.
        results: Where results of steps may have been kept in an earlier pass.
    """

    steps: tuple[FusedStep, ...]
    results: KeptResults

    @property
    def opens_first(self) -> bool:
        """Whether the job's work or a step makes files when it is first opened."""
        return any(work.opens_first for work in self._works)

    @property
    def _works(self) -> list[Work]:
        return [*(step.work for step in self.steps), self.inner]

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The schema after the last step."""
        for step in self.steps:
            input_schema = step.schema(input_schema)
        return self.inner.output_schema(input_schema)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Those of the first step, as its rows have all that later steps get."""
        return self.steps[0].work.input_columns(input_schema)

    def open(self) -> None:
        """Opens all steps, then the job's work. Raises ConfigError."""
        for work in self._works:
            work.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Runs the steps, and the job's work on what they leave."""
        sources = [SourceRef(*unit.place(row)) for row in rows]
        rejected: list[pa.Table] = []
        counts: Counter[str] = Counter()
        left = rows
        for step in self.steps:
            if not left:
                break
            found = self.results.find(step.name, unit, table, left, step.schema(table.schema))
            result = step.run(unit, table, left) if found is None else found
            counts.update(_told(step.name, result.counts))
            rejected.append(result.rejected)
            table, left = result.kept, [left[place] for place in places_left(unit, left, result)]
        counts["rows_rejected"] = len(rows) - len(left)
        if left:
            last = self.inner.run(unit, table, left)
        else:
            last = UnitResult(pa.table({}), rejected_table([]), Counter(rows_kept=0, targets=0))
        counts.update(last.counts)
        counts["rows_in"] = len(rows)
        return UnitResult(last.kept, in_source_order([*rejected, last.rejected], sources), counts)

    def heartbeat(self) -> dict[str, float]:
        """The figures of all works; those of the same name are added."""
        figures: Counter[str] = Counter()
        for work in self._works:
            figures.update(work.heartbeat())
        return dict(figures)

    def close(self) -> None:
        """Closes all works."""
        for work in self._works:
            work.close()


def places_left(unit: Unit, rows: Sequence[int], result: UnitResult) -> list[int]:
    """The places of the kept rows among the rows that a step was given: those without a rejected record.

    Args:
        unit: The rows' unit.
        rows: Their numbers in the unit.
        result: The step's result for them.
    """
    columns = (result.rejected.column(name).to_pylist() for name in ("uri", "row_group", "row"))
    gone = set(zip(*columns, strict=True))
    left = [place for place, row in enumerate(rows) if unit.place(row) not in gone]
    assert len(left) == result.kept.num_rows, "a step keeps or rejects each row"
    return left


def _told(name: str, counts: Mapping[str, int]) -> Counter[str]:
    """A step's counts, as the job has them."""
    own = {key: count for key, count in counts.items() if not key.startswith((_OF_REJECTIONS, "targets"))}
    rejections = {key: count for key, count in counts.items() if key.startswith(_OF_REJECTIONS)}
    return Counter({**rejections, **{f"{FUSED}{name}/{key}": count for key, count in own.items()}})
