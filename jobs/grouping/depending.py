"""Which rows of a dataset that grows were rejected as duplicates of rows that now leave it.

Cost: one pass over the tables of clusters of all editions, and a look at each row that stands for others.
"""

from __future__ import annotations

from collections.abc import Set

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.grouping.duplicates import DUPLICATES, FILE, PlannedRows
from jobs.growth.representatives import Place
from jobs.plan.units import read_plan
from jobs.storage.folders import OutputFolder


def duplicates_of(base: OutputFolder, leaving: Set[Place], new: pa.Table) -> set[Place]:
    """The rows that were rejected as duplicates of these, in any edition up to this one."""
    found: set[Place] = set()
    for edition in range(1, base.edition + 1):
        output = base.of_edition(edition)
        if storage.exists(output.job.join(FILE)):
            found |= _of_edition(output, leaving)
    return found


def _of_edition(output: OutputFolder, leaving: Set[Place]) -> set[Place]:
    planned = PlannedRows(read_plan(output.job))
    own: dict[int, bool] = {}

    def leaves(kept: int, earlier: Place | None) -> bool:
        if earlier is not None:
            return earlier in leaving
        if kept not in own:
            own[kept] = Place(output.edition, *planned.place(kept)) in leaving
        return own[kept]

    found = set()
    with storage.open_input(output.job.join(FILE)) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches():
            rows = batch.filter(pc.is_in(batch["kind"], DUPLICATES))
            names = ("number", "kept", "kept_edition", "kept_name", "kept_row_group", "kept_row")
            for number, kept, *place in zip(*(rows[name].to_pylist() for name in names), strict=True):
                if leaves(kept, None if place[0] is None else Place(*place)):
                    found.add(Place(output.edition, *planned.place(number)))
    return found
