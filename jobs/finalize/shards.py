"""Output shards: assigns committed units to shards, and merges one shard.

    _job/shards/<id>/train.parquet              the shard plan: row group i lists the files of shard i
    _job/shards/<id>/train-00003.<attempt>.parquet    a merge, under a name unique to its attempt
    _job/shards/<id>/train-00003.json           the shard's commit, created if absent: names the merge that counts
    data/train-00003-of-00012.parquet           published: the same file under its final name

The shard plan depends only on the plan's order and the committed sizes, so every driver computes the same one. <id> is
its hash, so shards of two sizes never mix. A merge reads one unit's file at a time, checks its SHA-256 against the
commit, and writes a row group whenever it has collected `ROW_GROUP_BYTES`. Rows are written in blocks that do not
depend on how an attempt was cut into pieces, so a shard's bytes depend on the plan and its rows alone. Where each unit
is one row group anyway, and attempts are written as they are to be published (`CommitRecord.is_final`), row groups of
`COPIED_BYTES` or more are copied as they stand (`transforms.rows.row_groups`). A thread reads and decodes what comes
next while this is encoded, which both leave the interpreter lock alone. Memory is bounded by two units' files and two
row groups, whatever the size of a shard.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.errors import DamagedAttempt, MergeCanceled
from jobs.ledger.commits import CommitRecord, FileRecord, failpoint_in, new_attempt_id
from jobs.plan.schemas import fit_table
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import DATA, REJECTED, JobFolder, OutputFolder
from jobs.storage.parquet import WRITING
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.rows.row_groups import EncodedGroups, GroupFile, read_groups
from transforms.rows.sizes import size_of

INSIDE_SHARD = register("finalize.inside_shard")
AFTER_SHARD = register("finalize.after_shard")
AFTER_SHARD_COMMIT = register("finalize.after_shard_commit")

Kind = Literal["train", "rejected"]
KINDS: tuple[Kind, ...] = ("train", "rejected")
FOLDERS: Mapping[Kind, str] = {"train": DATA, "rejected": REJECTED}
_FILES_KEY: Mapping[Kind, str] = {"train": "kept", "rejected": "rejected"}

ROW_GROUP_BYTES = 16 << 20  # in memory, twice while shards are merged; most readers prefer groups under 100 MB
COPIED_BYTES = 2 << 20  # before compression
_BLOCK_ROWS = 64  # a row may have ten megabytes, and a batch is in memory before its size is known

_SHARD_NAME = r"(train|rejected)-{}\d{{5,}}-of-\d{{5,}}\.parquet"

SHARD_PLAN_SCHEMA = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("path", pa.large_string()),
        pa.field("rows", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("is_final", pa.bool_()),  # as in its commit
    ]
)


class _KindPlan:
    """Builds the shard plan of one kind: closes a shard if the next file would exceed the shard size."""

    def __init__(self, shard_bytes: int):
        self._shard_bytes = shard_bytes
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(self._sink, SHARD_PLAN_SCHEMA, compression="zstd")
        self._open: list[dict[str, object]] = []
        self._bytes = 0
        self._shards = 0

    def add(self, unit_id: str, file: FileRecord, *, is_final: bool) -> None:
        if self._open and self._bytes + file.bytes > self._shard_bytes:
            self._close_shard()
        self._open.append({"unit_id": unit_id, **asdict(file), "is_final": is_final})
        self._bytes += file.bytes

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
            if (file := commit.files.get(_FILES_KEY[kind])) is not None:
                self._plans[kind].add(commit.unit_id, file, is_final=commit.is_final)

    def write(self, job_dir: JobFolder, edition: int = 1) -> ShardPlan:
        """Writes the plan of an edition under its hash; the same commits and shard size produce the same plan."""
        finished = {kind: plan.finish() for kind, plan in self._plans.items()}
        digest = hashlib.sha256(b"".join(data for data, _ in finished.values())).hexdigest()[:16]
        plan = ShardPlan(plan_id=digest, shards={kind: count for kind, (_, count) in finished.items()}, edition=edition)
        for kind, (data, _) in finished.items():
            storage.create_if_absent(job_dir.shard(plan.plan_id, f"{kind}.parquet"), data)
        return plan


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

    `path` is relative to the job's folder, so that an output can be moved; `tally` counts rejected rows as
    `kind/stage/reason`.
    """

    kind: Kind
    index: int
    path: str
    rows: int
    bytes: int
    sha256: str
    tally: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MergeSpec:
    """The parameters of a merge; picklable.

    Args:
        job_dir: The job's folder.
        plan_id: The shard plan.
        schema: The schema of `data/`, with its metadata.
        row_timeout_s: After how many seconds without progress a merge counts as hung.
    """

    job_dir: JobFolder
    plan_id: str
    schema: pa.Schema
    row_timeout_s: float = math.inf


def read_shard_record(spec: MergeSpec, kind: Kind, index: int) -> ShardRecord | None:
    """The shard's commit, or None."""
    try:
        data = storage.read_bytes(spec.job_dir.shard(spec.plan_id, f"{kind}-{index:05d}.json"))
    except FileNotFoundError:
        return None
    return ShardRecord(**json.loads(data))


def unmerged(spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> list[tuple[Kind, int]]:
    """Returns the shards without a commit, from one listing."""
    there = set(storage.list_names(spec.job_dir.shard(spec.plan_id)))
    return [(kind, index) for kind, index in shards if f"{kind}-{index:05d}.json" not in there]


def merge_shard(
    spec: MergeSpec,
    kind: Kind,
    index: int,
    *,
    is_over: Callable[[], bool] = lambda: False,
    on_progress: Callable[[], None] = lambda: None,
) -> ShardRecord:
    """Merges one shard and commits it; returns the committed record. May run repeatedly or concurrently.

    Args:
        spec: The job and the shard plan.
        kind, index: The shard.
        is_over: Called before each row group; returns True if the shard is no longer needed.
        on_progress: Called, in any thread, when it begins, for each file read, and for each row group written.

    Raises:
        DamagedAttempt: A unit's file is missing or not what was committed.
        MergeCanceled: It is no longer wanted.
    """
    on_progress()
    if (done := read_shard_record(spec, kind, index)) is not None:
        return done
    return storage.with_new_attempts(lambda: _merge_attempt(spec, kind, index, is_over, on_progress))


def _merge_attempt(
    spec: MergeSpec, kind: Kind, index: int, is_over: Callable[[], bool], on_progress: Callable[[], None]
) -> ShardRecord:
    name = f"{kind}-{index:05d}"
    relative = f"shards/{spec.plan_id}/{name}.{new_attempt_id()}.parquet"
    path = spec.job_dir.join(relative)
    schema = spec.schema if kind == "train" else REJECTED_SCHEMA.with_metadata(spec.schema.metadata)
    tally: Counter[str] = Counter()
    rows = 0
    with storage.open_output(path) as file:
        merged = GroupFile(file, schema, is_numbered=False)
        for part in _ahead(_parts(spec, kind, index, schema, on_progress)):
            on_progress()
            if is_over():
                raise MergeCanceled(name)
            merged.append(_encoded(part) if isinstance(part, pa.Table) else part)
            rows += part.num_rows
            if kind == "rejected" and isinstance(part, pa.Table):
                tally.update(_tally(part))
            failpoint_in(path, INSIDE_SHARD)
        merged.close()
    failpoint(AFTER_SHARD)
    record = ShardRecord(
        kind=kind, index=index, path=relative, rows=rows, bytes=file.bytes, sha256=file.sha256, tally=dict(tally)
    )
    record_path = spec.job_dir.shard(spec.plan_id, f"{name}.json")
    if not storage.create_if_absent(record_path, json.dumps(asdict(record), sort_keys=True, indent=1).encode()):
        found = read_shard_record(spec, kind, index)
        assert found is not None
        return found
    failpoint(AFTER_SHARD_COMMIT)
    return record


def _encoded(table: pa.Table) -> EncodedGroups:
    """A row group as it is published."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=table.num_rows, **WRITING)
    groups = read_groups(sink.getvalue(), table.schema)
    assert groups is not None, "what was just written can be read"
    return groups


_Part: TypeAlias = EncodedGroups | pa.Table


def _ahead(parts: Generator[_Part, None, None]) -> Iterator[_Part]:
    """Yields the parts; the next one is made in a thread meanwhile."""
    with contextlib.closing(parts), ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _parts(
    spec: MergeSpec, kind: Kind, index: int, schema: pa.Schema, on_progress: Callable[[], None]
) -> Generator[_Part, None, None]:
    """Yields the shard's rows in plan order: files that can be copied, and tables of about `ROW_GROUP_BYTES`."""
    blocks: list[pa.Table] = []
    num_bytes = 0
    for source in _sources(spec, kind, index):
        data = _unit_file(spec.job_dir, source)
        on_progress()
        copied = read_groups(data, schema, least_bytes=COPIED_BYTES) if source["is_final"] and kind == "train" else None
        if copied is not None:
            if blocks:
                yield pa.concat_tables(blocks)
                blocks, num_bytes = [], 0
            yield copied
            continue
        for block in _blocks(_tables(data, source, schema)):
            blocks.append(block)
            num_bytes += size_of(block)
            if num_bytes >= ROW_GROUP_BYTES:
                yield pa.concat_tables(blocks)
                blocks, num_bytes = [], 0
    if blocks:
        yield pa.concat_tables(blocks)


def _blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cuts a unit's tables into blocks of as many rows each: two attempts at a unit may have its rows in other row
    groups, and give the same bytes in the shard. (What is counted of blocks must not depend on it either: `size_of`.)
    """
    left: pa.Table | None = None
    for table in tables:
        start = 0
        if left is not None:
            start = _BLOCK_ROWS - left.num_rows
            left = pa.concat_tables([left, table.slice(0, start)]).combine_chunks()
            if left.num_rows < _BLOCK_ROWS:
                continue
            yield left
        while start + _BLOCK_ROWS <= table.num_rows:
            yield table.slice(start, _BLOCK_ROWS)
            start += _BLOCK_ROWS
        left = table.slice(start) if start < table.num_rows else None
    if left is not None:
        yield left


def _sources(spec: MergeSpec, kind: Kind, index: int) -> list[dict[str, object]]:
    path = spec.job_dir.shard(spec.plan_id, f"{kind}.parquet")
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(index).to_pylist() if index < parquet.num_row_groups else []


def _unit_file(job_dir: JobFolder, source: Mapping[str, object]) -> bytes:
    path = job_dir.join(str(source["path"]))
    try:
        data = storage.read_bytes(path)
    except FileNotFoundError:
        raise DamagedAttempt(f"{path} is missing although unit {source['unit_id']} is committed") from None
    if hashlib.sha256(data).hexdigest() != source["sha256"]:
        raise DamagedAttempt(f"{path} differs from what unit {source['unit_id']} committed (SHA-256)")
    return data


def _tables(data: bytes, source: Mapping[str, object], schema: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(pa.BufferReader(data)) as parquet:
        assert parquet.metadata.num_rows == source["rows"], f"{source['path']}: rows differ from the commit"
        assert parquet.schema_arrow.names == schema.names, f"{source['path']}: columns {parquet.schema_arrow.names}"
        for group in range(parquet.num_row_groups):
            if parquet.metadata.row_group(group).total_byte_size <= ROW_GROUP_BYTES:
                yield fit_table(parquet.read_row_group(group, use_threads=False), schema)
                continue
            for batch in parquet.iter_batches(_BLOCK_ROWS, row_groups=[group], use_threads=False):
                yield fit_table(pa.Table.from_batches([batch]), schema)


def _tally(table: pa.Table) -> Counter[str]:
    counts: Counter[str] = Counter()
    grouped = table.group_by(["kind", "stage", "reason"]).aggregate([([], "count_all")])
    for record in grouped.to_pylist():
        counts[f"{record['kind']}/{record['stage']}/{record['reason']}"] += record["count_all"]
    return counts
