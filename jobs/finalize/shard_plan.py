"""Which committed files each shard has, and what its merge came to.

    _job/shards/<id>/train.parquet              the shard plan: row group i lists the files of shard i
    _job/shards/<id>/train-00003.json           the shard's commit, created if absent: names the merge that counts

The shard plan depends only on the plan's order and the committed sizes, so every driver computes the same one. <id> is
its hash, so shards of two sizes never mix.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.ledger.blocks import BLOCK_ROWS, num_blocks
from jobs.ledger.commits import CommitRecord, FileRecord
from jobs.storage.folders import DATA, REJECTED, JobFolder, OutputFolder

Kind = Literal["train", "rejected"]
KINDS: tuple[Kind, ...] = ("train", "rejected")
FOLDERS: Mapping[Kind, str] = {"train": DATA, "rejected": REJECTED}
FILES_KEY: Mapping[Kind, str] = {"train": "kept", "rejected": "rejected"}

_SHARD_NAME = r"(train|rejected)-{}\d{{5,}}-of-\d{{5,}}\.parquet"

SHARD_PLAN_SCHEMA = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("path", pa.large_string()),
        pa.field("rows", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("is_final", pa.bool_()),  # as in its commit
        pa.field("blocks", pa.list_(pa.int64())),  # as in its commit
    ]
)


class _KindPlan:
    """Builds the shard plan of one kind: closes a shard if the next file would exceed the shard size."""

    def __init__(self, shard_bytes: int):
        self._shard_bytes = shard_bytes
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(self._sink, SHARD_PLAN_SCHEMA, compression="zstd")
        self._open: list[dict[str, Any]] = []
        self._bytes = 0
        self._shards = 0

    def add(self, unit_id: str, file: FileRecord, *, is_final: bool) -> None:
        if self._open and self._bytes + file.bytes > self._shard_bytes:
            self._close_shard()
        self._open.append({"unit_id": unit_id, **asdict(file), "is_final": is_final})
        self._bytes += file.bytes

    def add_shard(self, sources: list[dict[str, Any]]) -> None:
        """Adds a whole shard."""
        self._open = list(sources)
        self._close_shard()

    def finish(self) -> tuple[bytes, int]:
        """The plan's bytes and the number of shards: none if there are no rows.

        No form of a file without rows can be loaded with `datasets`, so there is none.
        """
        if self._open:
            self._close_shard()
        self._writer.close()
        return self._sink.getvalue(), self._shards

    def _close_shard(self) -> None:
        table = pa.Table.from_pylist(self._open, schema=SHARD_PLAN_SCHEMA)
        self._writer.write_table(table, row_group_size=len(self._open))
        self._open, self._bytes = [], 0
        self._shards += 1


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """The number of shards of each kind that an edition adds. `plan_id` is the hash of their contents' hashes."""

    plan_id: str
    shards: Mapping[Kind, int]
    edition: int = 1

    def items(self) -> list[tuple[Kind, int]]:
        """All shards: kind and number."""
        return [(kind, index) for kind in KINDS for index in range(self.shards[kind])]

    def final_path(self, kind: Kind, index: int) -> str:
        """The published path of a shard, relative to the output."""
        return f"{FOLDERS[kind]}/{kind}-{_mark(self.edition)}{index:05d}-of-{self.shards[kind]:05d}.parquet"


def _mark(edition: int) -> str:
    """What tells the shards that an edition adds from those of the others."""
    return "" if edition == 1 else f"e{edition:04d}-"


class ShardPlanner:
    """Takes commits in plan order and yields the shard plan.

    Args:
        shard_bytes: Maximum size of a shard, in bytes; a single unit's file may be larger.
    """

    def __init__(self, shard_bytes: int):
        self._shard_bytes = shard_bytes
        self._plans = {kind: _KindPlan(shard_bytes) for kind in KINDS}

    def add(self, commit: CommitRecord) -> None:
        """Adds the unit's files to the shards being filled."""
        for kind in KINDS:
            if (file := commit.files.get(FILES_KEY[kind])) is not None:
                self._plans[kind].add(commit.unit_id, file, is_final=commit.is_final)

    def write(self, job_dir: JobFolder) -> ShardPlan:
        """Writes the plan under its hash; the same commits and shard size produce the same plan."""
        finished = {kind: plan.finish() for kind, plan in self._plans.items()}
        plan_id = _plan_id(data for data, _ in finished.values())
        shards = {kind: count for kind, (_, count) in finished.items()}
        plan = ShardPlan(plan_id=plan_id, shards=shards, edition=job_dir.edition)
        for kind, (data, _) in finished.items():
            storage.create_if_absent(job_dir.shard(plan.plan_id, f"{kind}.parquet"), data)
        return plan


def plan_with_rows(
    job_dir: JobFolder, plan: ShardPlan, rows_of: Callable[[str, Kind, int], int]
) -> tuple[ShardPlan, dict[str, bytes]]:
    """A plan of the same shards whose files have other numbers of rows.

    Args:
        job_dir: The job's folder.
        plan: The plan.
        rows_of: Called with a unit, a kind and its rows in the plan; returns how many it has now.

    Returns:
        The new plan, which is what `ShardPlanner` makes of commits with these numbers, and the files that describe it,
        by their names in its folder.
    """
    files = {}
    for kind in KINDS:
        planner = _KindPlan(0)
        for sources in read_sources(job_dir, plan.plan_id, kind):
            planner.add_shard([_with_rows(each, rows_of(each["unit_id"], kind, each["rows"])) for each in sources])
        files[f"{kind}.parquet"], _ = planner.finish()
    return replace(plan, plan_id=_plan_id(files.values())), files


def _with_rows(source: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """A file of the plan with so many rows, as `FileRecord.with_rows` has it."""
    blocks = source.get("blocks") or [] if rows == source["rows"] else []
    return {**source, "rows": rows, "blocks": blocks}


def _plan_id(files: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(files)).hexdigest()[:16]


def read_sources(job_dir: JobFolder, plan_id: str, kind: Kind) -> Iterator[list[dict[str, Any]]]:
    """Yields the files of each shard of a plan."""
    with storage.open_input(job_dir.shard(plan_id, f"{kind}.parquet")) as file, pq.ParquetFile(file) as parquet:
        for index in range(parquet.num_row_groups):
            yield parquet.read_row_group(index).to_pylist()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a unit's file in a shard, from the beginning of a block on.

    Args:
        source: The file, as the shard plan lists it.
        first, end: The rows.
        sizes: Bytes in memory of each of their blocks; None: not known.
    """

    source: Mapping[str, Any]
    first: int
    end: int
    sizes: Sequence[int] | None

    def part(self, begin: int, end: int) -> Stretch:
        """Its blocks from `begin` on, before `end`."""
        assert self.sizes is not None
        first = self.first + begin * BLOCK_ROWS
        return Stretch(self.source, first, min(self.end, self.first + end * BLOCK_ROWS), self.sizes[begin:end])


def stretches_of(sources: Iterable[Mapping[str, Any]]) -> list[Stretch]:
    """The files of a shard that have rows."""
    found = []
    for source in sources:
        sizes = source.get("blocks") or []  # plans of earlier versions have none
        if rows := source["rows"]:
            found.append(Stretch(source, 0, rows, sizes if len(sizes) == num_blocks(rows) else None))
    return found


def divide(stretches: Sequence[Stretch], group_bytes: int, groups: int) -> list[list[Stretch]]:
    """Divides a shard where its row groups end.

    Args:
        stretches: The whole shard.
        group_bytes: A row group ends with the block with which it has so many bytes.
        groups: Row groups of a part; the last one may have fewer.

    Returns:
        The parts; none if where row groups end isn't known before the rows are read.
    """
    parts: list[list[Stretch]] = []
    part: list[Stretch] = []
    num_bytes = count = 0
    for stretch in stretches:
        if stretch.sizes is None or stretch.source["is_final"]:
            return []
        begin = 0
        for end, size in enumerate(stretch.sizes, 1):
            num_bytes += size
            if num_bytes < group_bytes:
                continue
            num_bytes, count = 0, count + 1
            if count == groups:
                parts.append([*part, stretch.part(begin, end)])
                part, begin, count = [], end, 0
        if begin < len(stretch.sizes):
            part.append(stretch.part(begin, len(stretch.sizes)))
    return [*parts, part] if part else parts


def remove_stale(output: OutputFolder, current: Collection[str]) -> None:
    """Removes published shards that aren't in `current` (paths relative to `output`): they are from another plan.

    Files with any other name are left alone, and so are shards that other editions added.
    """
    shard_name = re.compile(_SHARD_NAME.format(_mark(output.edition)))
    for folder in FOLDERS.values():
        for name in storage.list_names(output.join(folder)):
            if shard_name.fullmatch(name) and f"{folder}/{name}" not in current:
                storage.remove(output.join(folder, name))


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """The committed merge of a shard.

    `path` is relative to the job's folder, so that an output can be moved, and "" if there is no merge beside the
    published shard; a shard whose rows have all been removed has no file at all. `tally` counts rejected rows as
    `kind/stage/reason`, and the last three say more of each such key (`jobs.finalize.tallies`).
    """

    kind: Kind
    index: int
    path: str
    rows: int
    bytes: int
    sha256: str
    tally: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    languages: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    target_kinds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_record(job_dir: JobFolder, plan_id: str, kind: Kind, index: int) -> ShardRecord | None:
    """The commit of a plan's shard, or None."""
    try:
        data = storage.read_bytes(job_dir.shard(plan_id, f"{kind}-{index:05d}.json"))
    except FileNotFoundError:
        return None
    return ShardRecord(**json.loads(data))
