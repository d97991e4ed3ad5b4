"""A stage of `codemill filter`: one class that looks at a row, and one entry in the list of `jobs.filter.stages_of`.

    class ShortStage(Stage):
        name = "short"
        fields = (pa.field("num_chars", pa.int64(), nullable=False),)

        def examine(self, row: Row) -> StageResult:
            reason = "too_short" if len(row.content) < 10 else None
            return self.result({"num_chars": len(row.content)}, reason, "fewer than 10 characters")

Output schema, rejected records and counts follow from the list (`transforms.filters.work`); a stage knows nothing of
units, tables or other stages. It is pure and picklable: it runs in the row pool's processes.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from transforms.rows.rejections import Rejection
from transforms.rows.row import Row


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage says of a row.

    Args:
        columns: The values of the stage's `fields`; a rejected row needs none.
        rejection: Why the row is left out, or None.
        row: The row as later stages and the output have it; None where the stage doesn't change it.
        counts: What is worth summing up over all rows, by name.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    rejection: Rejection | None = None
    row: Row | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


class Stage(abc.ABC):
    """What all stages have. One that is switched off lets every row through and still gives its columns.

    Attributes:
        name: The stage of its rejected records. Two stages may share one, where they are one subject to the reader.
        fields: The result columns that it adds.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[pa.Field, ...]] = ()

    @property
    def version(self) -> str:
        """What the lineage's `filter_version` tells of the stage; "" for nothing."""
        return ""

    def open(self) -> None:  # noqa: B027 - most stages have nothing to make ready
        """Makes the heavy things, once a process. Raises ConfigError."""

    @abc.abstractmethod
    def examine(self, row: Row) -> StageResult:
        """Looks at a row that all earlier stages let through."""

    def result(self, columns: Mapping[str, Any], reason: str | None = None, detail: str = "") -> StageResult:
        """The columns of a row, and its rejection where there is a reason for one."""
        return StageResult(columns, None if reason is None else Rejection(self.name, reason, detail))


def struct_values(value: object, kind: pa.StructType) -> dict[str, Any]:
    """An object's attributes by the names of a struct's fields."""
    return {name: getattr(value, name) for name in kind.names}
