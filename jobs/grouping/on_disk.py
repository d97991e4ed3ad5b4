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
from jobs.grouping.reading import GroupSettings, Outcome, pieces, reading_of
from jobs.grouping.runs import Run
from jobs.grouping.stages import GroupStages, Spooled, SpoolItem, close_reader
from jobs.plan.footers import InputFile
from jobs.plan.inputs import Inputs
from transforms.row_pool import Crashed, RowPool
from transforms.spool import scratch_folder

# Large enough that there are few files, small enough that all processes have something to write.
FILE_GROUPS: Final = 4


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
    read: list[InputFile] = []

    def calls() -> Iterator[Callable[[], list[Any]]]:
        for number, (file, group, rows) in enumerate(pieces(inputs, limit)):
            read.append(file)
            yield pool.apply("spool", [SpoolItem(file, group, rows, os.path.join(scratch, f"{number:06d}"))])

    runs: list[Run] = []
    bad: dict[str, str] = {}
    rows = 0
    for number, (done,) in enumerate(_in_turn(calls(), workers)):
        if isinstance(done, Crashed):
            done = Spooled((), 0, "damaged_input: reading it crashed its process")
        runs += done.runs
        rows += done.rows
        if done.fault is not None:
            bad[read[number].public_name] = done.fault
    return tuple(runs), Outcome(rows, tuple(bad.items()))


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
