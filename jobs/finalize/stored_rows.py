"""Where the rows of committed units are: in the files of their attempts while the job runs, in its shards afterward.

    commit -> _job/attempts/<unit>/<attempt>.kept.parquet        until the dataset is published
           -> shard plan: which shard, behind how many rows      then: `_job` keeps no second copy of the text
              -> the shard's merge in `_job`, or the shard under its final name, as its record describes it

A shard plan lists the files of each shard in order, so a file's rows are those of a shard from the sum of the rows
before it on. All plans that are left are searched: a job that was killed while it published shards of another size has
some of its rows in the shards of one plan and some in those of the other.

Cost: a listing, the plans, and a look at each shard. Memory: about 200 bytes a unit; one row group.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.shard_plan import FILES_KEY, KINDS, Kind, ShardPlan, read_record
from jobs.ledger.commits import CommitRecord, FileRecord, verify_file
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HeldShard:
    """A shard that is there, with the size that its record tells.

    Args:
        path: Where it is.
        sha256: Of its bytes, by its record.
        is_published: Whether it is there under its final name only.
        units: How many files of units it was merged from.
    """

    path: str
    sha256: str
    is_published: bool
    units: int


class StoredRows:
    """The rows of a job's committed units.

    Args:
        job_dir: The job's folder.
        wanted: The files to look for, by the `path` of their records; None: all.
    """

    def __init__(self, job_dir: JobFolder, wanted: Collection[str] | None = None):
        self._job_dir = job_dir
        self._places: dict[str, tuple[HeldShard, int]] = {}
        self._intact: dict[str, bool] = {}
        self._open: _OpenShard | None = None
        for shard, paths, rows in _held_shards(job_dir):
            start = 0
            for path, count in zip(paths, rows, strict=True):
                if wanted is None or path in wanted:
                    self._places[path] = (shard, start)
                start += count

    def fault(self, record: CommitRecord, *, full: bool = False) -> str | None:
        """Returns one line that says what is wrong with a commit's rows, or None if all are there.

        Args:
            full: Also compare the SHA-256 of files and shards; otherwise only presence and size, which is cheap.

        Raises:
            ConfigError: A published shard is damaged, and nothing else has its rows.
        """
        of_rows = {name: record.files[name] for name in FILES_KEY.values() if name in record.files}
        held = [not file.rows or self._is_held(file, full) for file in of_rows.values()]
        for file, is_held in zip(of_rows.values(), held, strict=True):
            if not is_held and (fault := verify_file(self._job_dir, file, full=full)):
                return fault
        if held and all(held):
            return None  # other files of an attempt are read before it is deleted
        others = (file for name, file in record.files.items() if name not in of_rows)
        return next((fault for file in others if (fault := verify_file(self._job_dir, file, full=full))), None)

    def tables(self, path: str, rows: int) -> Iterator[pa.Table]:
        """Yields the rows of a unit's file from the shard that has them, one row group of it at a time.

        Raises:
            FileNotFoundError: No shard has them.
            ConfigError: The shard is damaged.
        """
        if path not in self._places:
            raise FileNotFoundError(path)
        shard, start = self._places[path]
        if not self._is_intact(shard):
            raise FileNotFoundError(path)
        if self._open is None or self._open.path != shard.path:
            self.close()
            self._open = _OpenShard(shard.path)
        yield from self._open.rows(start, start + rows)

    def close(self) -> None:
        """Closes the shard that was read last."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _is_held(self, file: FileRecord, full: bool) -> bool:
        place = self._places.get(file.path)
        return place is not None and (not full or self._is_intact(place[0]))

    def _is_intact(self, shard: HeldShard) -> bool:
        if shard.path not in self._intact:
            self._intact[shard.path] = storage.sha256_of(shard.path) == shard.sha256
        if not self._intact[shard.path] and shard.is_published:
            raise ConfigError(
                f"{shard.path} is not what was published (SHA-256), and nothing else has the rows of its "
                f"{counted(shard.units, 'unit')}; restore it, or remove it together with COMPLETED and run the same "
                "command again, which runs these units anew"
            )
        return self._intact[shard.path]


def _held_shards(job_dir: JobFolder) -> Iterator[tuple[HeldShard, list[str], list[int]]]:
    """Yields the shards that are there, each with the files that it was merged from and their numbers of rows."""
    for plan_id in storage.list_names(job_dir.shards):
        for kind in KINDS:
            try:
                opened = storage.open_input(job_dir.shard(plan_id, f"{kind}.parquet"))
            except FileNotFoundError:
                continue
            with opened as file, pq.ParquetFile(file) as parquet:
                for index in range(parquet.num_row_groups):
                    sources = parquet.read_row_group(index, columns=["path", "rows"])
                    shard = _held(job_dir, plan_id, kind, index, parquet.num_row_groups, sources.num_rows)
                    if shard is not None:
                        yield shard, sources["path"].to_pylist(), sources["rows"].to_pylist()


def _held(job_dir: JobFolder, plan_id: str, kind: Kind, index: int, count: int, units: int) -> HeldShard | None:
    record = read_record(job_dir, plan_id, kind, index)
    if record is None or not record.rows:
        return None
    final = ShardPlan(plan_id=plan_id, shards={kind: count}, edition=job_dir.edition).final_path(kind, index)
    merge = [(job_dir.join(record.path), False)] if record.path else []
    for path, is_published in (*merge, (job_dir.output.join(final), True)):
        with contextlib.suppress(FileNotFoundError):
            if storage.size_of_file(path) == record.bytes:
                return HeldShard(path, record.sha256, is_published, units)
    return None


class _OpenShard:
    """A shard that is read from its start to its end, with the row group that was read last."""

    def __init__(self, path: str):
        self.path = path
        self._file = storage.open_input(path)
        self._parquet = pq.ParquetFile(self._file)
        counts = [self._parquet.metadata.row_group(group).num_rows for group in range(self._parquet.num_row_groups)]
        self._starts = [0]
        for count in counts:
            self._starts.append(self._starts[-1] + count)
        self._group = (-1, pa.table({}))

    def rows(self, start: int, end: int) -> Iterator[pa.Table]:
        """Yields these rows."""
        for group, (first, behind) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            if first < end and start < behind:
                if self._group[0] != group:
                    self._group = (group, self._parquet.read_row_group(group, use_threads=False))
                yield self._group[1].slice(max(start, first) - first, min(end, behind) - max(start, first))

    def close(self) -> None:
        """Closes the file."""
        self._parquet.close()
        self._file.close()
