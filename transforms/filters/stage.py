"""A stage of `codemill filter`: one class that examines a row, and one entry in the list in `jobs.filter.stages_of`.

    class ShortStage(Stage):
        name = "short"
        fields = (pa.field("num_chars", pa.int64(), nullable=False),)

        def examine(self, row: Row) -> StageResult:
            reason = "too_short" if len(row.content) < 10 else None
            return self.result({"num_chars": len(row.content)}, reason, "fewer than 10 characters")

The output schema, rejected records and counts are derived from that list (`transforms.filters.work`). A stage does not
depend on units, tables or other stages. It is pure and picklable, because it runs in the row pool's processes.
"""

from __future__ import annotations

import abc
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import pyarrow as pa

from transforms.row_pool import beat
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row

NOTHING: Final[Mapping[str, Any]] = {}


class StageResult(NamedTuple):
    """A stage's result for a row.

    Args:
        columns: The values of the stage's `fields`; a rejected row needs none.
        rejection: Why the row is rejected, or None.
        row: The row that later stages and the output receive; None if the stage doesn't change it.
        counts: Counts to be summed over all rows, by name.
    """

    columns: Mapping[str, Any] = NOTHING
    rejection: Rejection | None = None
    row: Row | None = None
    counts: Mapping[str, int] = NOTHING


class Stage(abc.ABC):
    """Base class of all stages. A stage that is switched off passes every row and still returns its columns.

    Attributes:
        name: The stage in its rejected records. Two stages may share a name if they are one topic for users.
        fields: The result columns that it adds.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[pa.Field, ...]] = ()

    @property
    def version(self) -> str:
        """The stage's part of the lineage's `filter_version`; "" if it has none."""
        return ""

    def open(self) -> None:  # noqa: B027 - most stages have nothing to open
        """Creates expensive resources, once per process. Raises ConfigError."""

    @abc.abstractmethod
    def examine(self, row: Row) -> StageResult:
        """Examines a row that passed all earlier stages."""

    def examine_all(self, rows: Sequence[Row]) -> list[StageResult]:
        """Examines several rows. A stage overrides this if many rows at once cost less than one after another."""
        results = []
        for row in rows:
            results.append(self.examine(row))
            beat()
        return results

    def result(self, columns: Mapping[str, Any], reason: str | None = None, detail: str = "") -> StageResult:
        """Builds a result from the columns, with a rejection if `reason` is not None."""
        return StageResult(columns, None if reason is None else Rejection(self.name, reason, detail))


def struct_reader(kind: pa.StructType) -> Callable[[object], dict[str, Any]]:
    """Returns a function that reads an object's attributes as a dict, keyed by the names of a struct's fields."""
    names = tuple(kind.names)
    values_of = operator.attrgetter(*names)
    return lambda value: dict(zip(names, values_of(value), strict=True))
