"""A work around a job's work: it changes what it is about, such as the rows that `run` gets, and passes on the rest."""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from transforms.work import Unit, UnitResult, Work


@dataclasses.dataclass
class WrappedWork:
    """A work that does what another one does; see `transforms.work.Work`. Subclasses override what they change.

    Args:
        inner: The job's work.
    """

    inner: Work

    @property
    def whole_row_groups(self) -> bool:
        """The work's own, as is everything else."""
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
        return self.inner.run(unit, table, rows)

    def heartbeat(self) -> dict[str, float]:
        return self.inner.heartbeat()

    def close(self) -> None:
        self.inner.close()
