"""The duplicate clusters of a job: computed once, read by all workers.

    frozen plan -> units -> signatures, in several processes (`jobs.grouping.signing`)
                -> `transforms.duplicates.clusters` on local disk -> _job/duplicates.parquet

The first worker that opens the job writes the file. Workers that open it concurrently write an identical file, because
it depends only on the plan and the options, so the last one to publish changes nothing. A worker reads only the part
that its unit needs. No process holds more than one hash bucket of signatures, or a few row groups of the table,
whatever the number of rows.

A worker that is to sign leaves `_job/signing` until it is done. One that finds it, left by a worker that died, signs
nothing itself: a row that crashes what signs it then crashes a process of a pool, and is rejected.

Rows that could not be read when the table was written are in no cluster.

A further edition has its own table, of its new rows: the rows that earlier editions kept take part where they share a
key with a new one (`jobs.growth.representatives`), and stay. The rows that an edition keeps are noted for the next one.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
import uuid
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import accumulate, compress, islice
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.execution.cursors import close_cursors
from jobs.grouping.row_paths import PathsReader, create_row_paths
from jobs.grouping.signatures import Signatures
from jobs.grouping.signing import Paths, SigningStages, SigningTask, Texts, Unsigned, no_paths, sign_rows
from jobs.grouping.team import Team
from jobs.growth.representatives import Place, Representative, write_representatives
from jobs.plan.units import NO_ROW_GROUP
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import JobFolder
from transforms.duplicates.clusters import Member, Spread
from transforms.duplicates.signatures import KeepRule
from transforms.freeing import give_back_memory
from transforms.fused_work import RowsBefore
from transforms.row_pool import CRASHED
from transforms.spool import scratch_folder
from transforms.work import Unit

AFTER_REPRESENTATIVES = register("dedup.after_representatives")

FILE: Final = "duplicates.parquet"
SIGNING: Final = "signing"
DUPLICATES: Final = pa.array(["exact", "near"])
"""The kinds of rows that are left out because of another."""
GROUP_ROWS: Final = 16_384
_PATHS_AT_ONCE: Final = 512
MB_PER_PROCESS: Final = 16  # of text, which takes as long to sign as a process to start
_CACHED_GROUPS: Final = 4
SCHEMA: Final = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("kept", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),
        pa.field("cluster_size", pa.int64(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("kept_path", pa.string()),
        pa.field("kept_edition", pa.int32()),
        pa.field("kept_name", pa.string()),
        pa.field("kept_row_group", pa.int32()),
        pa.field("kept_row", pa.int64()),
    ]
)
"""One row per cluster member, and per row that could not be signed: `kind` is the reason then, with its `detail`.
`number` is the row's position among all rows of the plan. `kept_path` is that of the row kept instead; null if it has
none, or one that is not to be shown. If that row is of an earlier edition, the last columns tell which and where it was
read from, and `kept` is meaningless."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table (`SCHEMA`)."""

    number: int
    kept: int
    kind: str
    similarity: float
    cluster_size: int
    detail: str | None = None
    kept_path: str | None = None
    kept_edition: int | None = None
    kept_name: str | None = None
    kept_row_group: int | None = None
    kept_row: int | None = None

    @property
    def earlier(self) -> Place | None:
        """The place of the row kept instead, if it is of an earlier edition."""
        if self.kept_edition is None or self.kept_name is None:
            return None
        return Place(self.kept_edition, self.kept_name, self.kept_row_group or 0, self.kept_row or 0)


class PlannedRows:
    """Numbers all rows of a plan from 0, in plan order."""

    def __init__(self, units: Iterable[Unit]):
        self.units = [unit for unit in units if unit.row_group != NO_ROW_GROUP]
        self._ends = list(accumulate(len(unit.rows) for unit in self.units))
        self._by_group: dict[tuple[str, int], list[tuple[int, int]]] = {}  # first row and position of each unit
        for position, unit in enumerate(self.units):
            self._by_group.setdefault((unit.uri, unit.row_group), []).append((unit.row_start, position))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def first(self, position: int) -> int:
        """The number of a unit's first row."""
        return self._ends[position - 1] if position else 0

    def numbers(self, unit: Unit, rows: Sequence[int]) -> npt.NDArray[np.int64]:
        """The numbers of the rows, in ascending order, of a unit or of a part of one."""
        starts, positions = zip(*self._by_group[unit.uri, unit.row_group], strict=True)
        wanted = np.asarray(rows, np.int64)
        edges = np.append(np.searchsorted(wanted, starts), len(wanted))
        found = np.empty(len(wanted), np.int64)
        for position, begin, end in zip(positions, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            planned, part = self.units[position], wanted[begin:end]
            places = part - planned.row_start
            if planned.retry_rows is not None:
                places = np.searchsorted(planned.retry_rows, part)
            found[begin:end] = self.first(position) + places
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
        self._cached: OrderedDict[int, tuple[npt.NDArray[np.int64], pa.Table]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, numbers: npt.NDArray[np.int64]) -> dict[int, Entry]:
        """What the table says of rows, by their places in `numbers` (ascending); nothing of one without duplicates."""
        found: dict[int, Entry] = {}
        if not len(numbers):
            return found
        first, last = (bisect_right(self._last, int(number) - 1) for number in (numbers[0], numbers[-1]))
        for group in range(first, min(last + 1, len(self._last))):
            known, table = self._group(group)
            places = np.flatnonzero(np.isin(numbers, known))
            rows = table.take(pa.array(np.searchsorted(known, numbers[places])))
            # A job that an older version began may lack the last columns.
            names = [name if name in rows.column_names else None for name in SCHEMA.names]
            columns = ([None] * len(rows) if name is None else rows.column(name).to_pylist() for name in names)
            entries = (Entry(*values) for values in zip(*columns, strict=True))
            found.update(zip(places.tolist(), entries, strict=True))
        return found

    def _group(self, group: int) -> tuple[npt.NDArray[np.int64], pa.Table]:
        """The numbers of a row group, in ascending order, and its rows."""
        with self._lock:
            if group not in self._cached:
                table = self._file.read_row_group(group)
                self._cached[group] = table.column("number").to_numpy(), table
                if len(self._cached) > _CACHED_GROUPS:
                    self._cached.popitem(last=False)
            return self._cached[group]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def find_or_make(
    job_dir: JobFolder,
    schema: pa.Schema,
    planned: PlannedRows,
    texts: Texts,
    *,
    threshold: float,
    keep: KeepRule,
    min_tokens: int = 0,
    processes: int = 1,
    paths: Paths = no_paths,
    before: RowsBefore | None = None,
    columns: tuple[str, str | None] = ("content", None),
) -> Duplicates:
    """Opens the job's table of clusters, and creates it first if there is none.

    Args:
        job_dir: The job's folder.
        schema: The columns to read.
        planned: The job's rows.
        texts: Chooses the texts to compare.
        threshold: Minimum Jaccard similarity of duplicates.
        keep: Which row of a cluster is kept.
        min_tokens: Rows with fewer tokens are in no cluster.
        processes: How many processes may sign at once, this one included.
        paths: Gives the rows' paths.
        before: Makes the rows to compare of those that are read; None compares these.
        columns: The columns of the output with the texts and paths, which a further edition looks into.
    """
    path = job_dir.join(FILE)
    if not storage.exists(path):
        with scratch_folder() as folder, _signing(job_dir) as is_first:
            create_row_paths(folder, len(planned))
            stages = SigningStages(folder, schema, texts, min_tokens, paths, before)
            num_mb = sum(unit.num_bytes for unit in planned.units) / 1e6
            if before is None:  # steps before take far longer than a process to start
                processes = min(processes, 1 + int(num_mb / MB_PER_PROCESS))
            team = Team(stages, others=processes - 1 if is_first else processes, here=is_first)
            with contextlib.closing(team), contextlib.closing(stages):
                known = PathsReader(folder)
                with contextlib.closing(known):
                    _make(job_dir, planned, folder, known, team, threshold=threshold, keep=keep, columns=columns)
            close_cursors()
        give_back_memory()
    return Duplicates(path)


@contextlib.contextmanager
def _signing(job_dir: JobFolder) -> Iterator[bool]:
    """Yields whether no worker has died while it signed, as far as we know. An ordinary error is no death."""
    mark = job_dir.join(SIGNING)
    is_first = not storage.exists(mark)
    storage.write_bytes(mark, b"")
    try:
        yield is_first
    finally:
        storage.remove(mark)


def _make(
    job_dir: JobFolder,
    planned: PlannedRows,
    folder: str,
    paths: PathsReader,
    team: Team,
    *,
    threshold: float,
    keep: KeepRule,
    columns: tuple[str, str | None],
) -> None:
    tasks = (SigningTask(unit, planned.first(position)) for position, unit in enumerate(planned.units))
    signed = Signatures(job_dir.output, folder, len(planned))
    unsigned = sign_rows(team, tasks, signed)
    clusters, earlier = signed.clusters(columns)

    def note(replaced: Sequence[int]) -> None:
        is_replaced = np.zeros(len(planned), np.bool_)
        is_replaced[list(replaced)] = True
        write_representatives(job_dir, planned.units, signed.keys, is_replaced)
        failpoint(AFTER_REPRESENTATIVES)

    def write() -> None:
        members = clusters.members(threshold=threshold, keep=keep, spread=team.spread, settled=len(earlier))
        entries = (_of_member(member, paths, earlier) for member in members if member.number >= len(earlier))
        found = shown_entries(entries, team.spread)
        rows = heapq.merge(found, map(_of_unsigned, unsigned), key=lambda entry: entry.number)
        _write(job_dir, rows, note)

    storage.with_new_attempts(write)


def _of_member(member: Member, paths: PathsReader, earlier: Sequence[Representative]) -> Entry:
    """The entry of a text; those of earlier editions have the numbers below those of the plan's rows."""
    number, kept = member.number - len(earlier), member.kept - len(earlier)
    if kept >= 0:
        path = None if member.kind == "kept" else paths.path(kept) or None
        place: tuple[int | str | None, ...] = (None,) * 4
    else:
        one = earlier[member.kept]
        path, place, kept = one.path or None, astuple(one.place), number
    return Entry(number, kept, member.kind, member.similarity, member.cluster_size, None, path, *place)  # type: ignore[arg-type]


def shown_entries(entries: Iterator[Entry], spread: Spread) -> Iterator[Entry]:
    """Yields the entries, without the paths of rows kept that may not be shown.

    Args:
        entries: Entries of members.
        spread: Runs `SigningStages.shown` over parts of the paths, in any processes.
    """
    while some := list(islice(entries, GROUP_ROWS)):
        paths = sorted({entry.kept_path for entry in some if entry.kept_path is not None})
        parts = [paths[first : first + _PATHS_AT_ONCE] for first in range(0, len(paths), _PATHS_AT_ONCE)]
        shown: set[str | None] = {None}
        for position, found in spread("shown", parts):
            if found is not CRASHED:  # what can't be scanned isn't shown
                shown.update(compress(parts[position], found))
        yield from (entry if entry.kept_path in shown else replace(entry, kept_path=None) for entry in some)


def _of_unsigned(row: Unsigned) -> Entry:
    return Entry(row.number, row.number, row.reason, 0.0, 1, row.detail)


def _write(
    job_dir: JobFolder, entries: Iterator[Entry], note: Callable[[Sequence[int]], None] = lambda replaced: None
) -> None:
    """Writes the table; `note` is called with the rows that another one replaces, before the table has its name."""
    path = job_dir.join(FILE)
    attempt = job_dir.join(f".{FILE}.{uuid.uuid4().hex}.tmp")  # a temporary file: removed after a kill
    replaced: list[int] = []
    with storage.open_output(attempt) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        while group := list(islice(entries, GROUP_ROWS)):
            columns = [
                pa.array([getattr(entry, name) for entry in group], SCHEMA.field(name).type) for name in SCHEMA.names
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
            replaced += [entry.number for entry in group if entry.kind != "kept"]
    note(replaced)
    storage.publish(attempt, path)
    storage.remove(attempt)
