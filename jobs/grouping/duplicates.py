"""The duplicate clusters of a job: computed once, read by all workers.

    frozen plan -> rows in the plan's order -> `transforms.duplicates.clusters` on local disk -> _job/duplicates.parquet

The first worker that opens the job writes the file. Workers that open it concurrently write an identical file, because
it depends only on the plan and the options, so the last one to publish changes nothing. A worker reads only the part
that its unit needs. No process holds more than one hash bucket of signatures, or a few row groups of the table,
whatever the number of rows.

Rows that could not be read when the table was written are in no cluster.
"""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.execution.pieces import UnitReader
from jobs.plan.units import NO_ROW_GROUP
from jobs.storage.folders import JobFolder
from model.errors import RecordError
from transforms.duplicates.clusters import Clusters, Member
from transforms.duplicates.signatures import KeepRule
from transforms.rows.rejections import Rejection
from transforms.spool import scratch_folder
from transforms.work import Unit

FILE: Final = "duplicates.parquet"
PIECE_MB: Final = 64
GROUP_ROWS: Final = 16_384
_CACHED_GROUPS: Final = 4
SCHEMA: Final = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("kept", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),
        pa.field("cluster_size", pa.int64(), nullable=False),
    ]
)
"""One row per cluster member. `number` is the member's position among all rows of the plan."""

Texts = Callable[[Unit, pa.Table, list[int]], Sequence[str | None]]
"""`texts(unit, table, rows)`: the text to compare for each row; None excludes the row."""


class PlannedRows:
    """Numbers all rows of a plan from 0, in plan order."""

    def __init__(self, units: Iterable[Unit]):
        self.units = [unit for unit in units if unit.row_group != NO_ROW_GROUP]
        self._ends = list(accumulate(len(unit.rows) for unit in self.units))
        self._by_group: dict[tuple[str, int], list[int]] = {}
        for position, unit in enumerate(self.units):
            self._by_group.setdefault((unit.uri, unit.row_group), []).append(position)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def first(self, position: int) -> int:
        """The number of a unit's first row."""
        return self._ends[position - 1] if position else 0

    def numbers(self, unit: Unit, rows: Sequence[int]) -> list[int]:
        """The numbers of the rows of a unit or of a part of one."""
        found = []
        for row in rows:
            for position in self._by_group[unit.uri, unit.row_group]:
                planned = self.units[position].rows
                if row in planned:
                    found.append(self.first(position) + planned.index(row))
                    break
        assert len(found) == len(rows), "a unit's row is missing from the plan"
        return found

    def place(self, number: int) -> tuple[str, int, int]:
        """The location of a row: file, row group, row."""
        position = bisect_right(self._ends, number)
        unit = self.units[position]
        return unit.place(unit.rows[number - self.first(position)])


class Duplicates:
    """The table of clusters, read a few row groups at a time; thread-safe."""

    def __init__(self, path: str):
        self._file = pq.ParquetFile(storage.open_input(path))
        metadata = self._file.metadata
        groups = (metadata.row_group(group).column(0).statistics for group in range(metadata.num_row_groups))
        self._last = [stats.max for stats in groups]
        self._cached: OrderedDict[int, dict[int, Member]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, number: int) -> Member | None:
        """The cluster membership of a row, or None if it has no duplicates."""
        group = bisect_right(self._last, number - 1)
        if group == len(self._last):
            return None
        with self._lock:
            if group not in self._cached:
                rows = self._file.read_row_group(group).to_pylist()
                self._cached[group] = {row["number"]: Member(**row) for row in rows}
                if len(self._cached) > _CACHED_GROUPS:
                    self._cached.popitem(last=False)
            return self._cached[group].get(number)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def find_or_make(
    job_dir: JobFolder, schema: pa.Schema, planned: PlannedRows, texts: Texts, *, threshold: float, keep: KeepRule
) -> Duplicates:
    """Opens the job's table of clusters, and creates it first if there is none."""
    path = job_dir.join(FILE)
    if not storage.exists(path):
        with scratch_folder() as folder:
            clusters = Clusters(folder, len(planned))
            for number, text in _numbered_texts(planned, schema, texts):
                clusters.add(number, text)
            storage.with_new_attempts(lambda: _write(job_dir, clusters.members(threshold=threshold, keep=keep)))
    return Duplicates(path)


def _numbered_texts(planned: PlannedRows, schema: pa.Schema, texts: Texts) -> Iterator[tuple[int, str]]:
    for position, unit in enumerate(planned.units):
        number = planned.first(position)
        try:
            for table, rows in UnitReader(unit=unit, schema=schema, max_bytes=PIECE_MB * 1_000_000).pieces():
                if not isinstance(table, Rejection):
                    for offset, text in enumerate(texts(unit, table, rows)):
                        if text is not None:
                            yield number + offset, text
                number += len(rows)
        except RecordError:
            continue  # running the unit reports it


def _write(job_dir: JobFolder, members: Iterator[Member]) -> None:
    path = job_dir.join(FILE)
    attempt = job_dir.join(f".{FILE}.{uuid.uuid4().hex}.tmp")  # a temporary file: removed after a kill
    with storage.open_output(attempt) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        while group := list(islice(members, GROUP_ROWS)):
            columns = [
                pa.array([getattr(member, name) for member in group], SCHEMA.field(name).type) for name in SCHEMA.names
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
    storage.publish(attempt, path)
    storage.remove(attempt)
