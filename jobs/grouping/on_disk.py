"""Groups through local disk, with several processes: rows to runs, then one hash bucket after another.

    row groups --row pool--> runs of all hash buckets --> each bucket ordered (`jobs.grouping.ordering`) and written

A row group goes on from one bucket to the next, so the grouped rows don't depend on the number of buckets.

Memory: `RUN_MB` of rows per process, the entries and facts of one bucket. Local disk: a third of the text.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from jobs import storage
from jobs.grouping.ordering import check_written, write_files
from jobs.grouping.reading import GroupSettings, Outcome, batched, pieces, reading_of
from jobs.grouping.runs import Run
from jobs.grouping.stages import GroupStages, Spooled, SpoolItem, close_reader
from jobs.plan.inputs import Inputs
from transforms.row_pool import RowPool
from transforms.spool import scratch_folder

# Large enough that there are few files, small enough that all processes have something to write.
FILE_GROUPS: Final = 4

# Each item makes a run at least, and each run is opened once for each hash bucket.
ITEM_MB: Final = 16


def group_on_disk(inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings = GroupSettings()) -> Outcome:
    """Groups the rows of the inputs by repository into files in `folder`."""
    pool = RowPool(GroupStages(reading_of(inputs), settings), settings.workers)
    try:
        with scratch_folder() as scratch:
            runs, outcome = _spool(pool, inputs, scratch, limit, settings.workers)
            for _ in _in_turn(_writes(pool, settings, runs, folder), settings.workers):
                pass
    finally:
        pool.close()
        close_reader()
    return outcome


def _spool(
    pool: RowPool, inputs: Inputs, scratch: str, limit: int | None, workers: int
) -> tuple[tuple[Run, ...], Outcome]:
    """Writes all rows to runs; returns these, and the number of rows and the damaged files."""
    asked: list[SpoolItem] = []

    def calls() -> Iterator[Callable[[], list[Any]]]:
        for number, batch in enumerate(batched(inputs, pieces(inputs, limit), ITEM_MB * 1_000_000)):
            asked.append(SpoolItem(batch, os.path.join(scratch, f"{number:06d}")))
            yield pool.apply("spool", [asked[-1]])

    runs: list[Run] = []
    bad: dict[str, str] = {}
    rows = 0
    for number, (result,) in enumerate(_in_turn(calls(), workers)):
        for done in [result] if isinstance(result, Spooled) else _one_by_one(pool, asked[number]):
            runs += done.runs
            rows += done.rows
            bad |= dict(done.faults)
    return tuple(runs), Outcome(rows, tuple(bad.items()))


def _one_by_one(pool: RowPool, item: SpoolItem) -> Iterator[Spooled]:
    """Spools row groups by themselves, since one of them crashed its process."""
    for number, piece in enumerate(item.pieces):
        (done,) = pool.apply("spool", [SpoolItem((piece,), f"{item.path}-{number}")])()
        crashed = Spooled((), 0, ((piece[0].public_name, "damaged_input: reading it crashed its process"),))
        yield done if isinstance(done, Spooled) else crashed


def _writes(
    pool: RowPool, settings: GroupSettings, runs: tuple[Run, ...], folder: str
) -> Iterator[Callable[[], list[Any]]]:
    def name(number: int) -> str:
        return storage.join(folder, f"repositories-{number:06d}.parquet")

    for written in write_files(pool, settings, runs, name, FILE_GROUPS):
        yield lambda written=written: _checked(written)  # type: ignore[misc]


def _checked(written: Callable[[], list[Any]]) -> list[Any]:
    results = written()
    check_written(results)
    return results


def _in_turn(calls: Iterator[Callable[[], list[Any]]], workers: int) -> Iterator[list[Any]]:
    """The results of calls in order; a few more calls than workers are in flight."""
    waiting: deque[Callable[[], list[Any]]] = deque()
    for call in calls:
        waiting.append(call)
        if len(waiting) > 2 * workers:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
