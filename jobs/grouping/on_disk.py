"""Groups through local disk, with several processes: rows to runs, then one hash bucket after another.

    row groups --row pool--> runs of all hash buckets --> ordered (`jobs.grouping.ordering`) and written

A row group goes on from one bucket to the next, so the grouped rows don't depend on the number of buckets.

Memory: `RUN_MB` of rows per process, and what ordering takes. Local disk: a third of the text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from jobs import storage
from jobs.grouping.grouped_files import close_reader
from jobs.grouping.items import Spooled, SpoolItem
from jobs.grouping.ordering import in_turn, write_files
from jobs.grouping.reading import GroupSettings, Outcome, batched, pieces, reading_of
from jobs.grouping.stages import GroupStages
from jobs.plan.inputs import Inputs
from transforms.row_pool import RowPool
from transforms.spool import scratch_folder

# Each item makes a run at least, and each run is opened once for each hash bucket.
ITEM_MB: Final = 16


def group_on_disk(inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings = GroupSettings()) -> Outcome:
    """Groups the rows of the inputs by repository into files in `folder`."""

    def name(number: int, part: int) -> str:
        return storage.join(folder, f"repositories-{number:06d}-{part:06d}.parquet")

    pool = RowPool(GroupStages(reading_of(inputs, settings.only), replace(settings, only=None)), settings.workers)
    try:
        with scratch_folder() as scratch:
            spooled = _spool(pool, inputs, scratch, limit, settings)
            write_files(pool, settings, spooled.runs, scratch, name)
    finally:
        pool.close()
        close_reader()
    return Outcome(spooled.rows, tuple(dict(spooled.faults).items()))


def _spool(pool: RowPool, inputs: Inputs, scratch: str, limit: int | None, settings: GroupSettings) -> Spooled:
    """Writes all rows to runs."""
    asked: list[SpoolItem] = []

    def calls() -> Iterator[Callable[[], list[Any]]]:
        row_groups = pieces(inputs, limit, settings.only)
        for number, batch in enumerate(batched(inputs, row_groups, ITEM_MB * 1_000_000)):
            asked.append(SpoolItem(batch, os.path.join(scratch, f"{number:06d}")))
            yield pool.apply("spool", [asked[-1]])

    found: list[Spooled] = []
    for number, (result,) in enumerate(in_turn(calls(), settings.workers)):
        found += [result] if isinstance(result, Spooled) else _one_by_one(pool, asked[number])
    runs = tuple(run for one in found for run in one.runs)
    faults = tuple(fault for one in found for fault in one.faults)
    return Spooled(runs, sum(one.rows for one in found), faults)


def _one_by_one(pool: RowPool, item: SpoolItem) -> Iterator[Spooled]:
    """Spools row groups by themselves, since one of them crashed its process."""
    for number, piece in enumerate(item.pieces):
        (done,) = pool.apply("spool", [SpoolItem((piece,), f"{item.path}-{number}")])()
        crashed = Spooled((), 0, ((piece[0].public_name, "damaged_input: reading it crashed its process"),))
        yield done if isinstance(done, Spooled) else crashed
