"""Output shards: merges one shard of a shard plan (`jobs.finalize.shard_plan`).

    _job/shards/<id>/train-00003.<attempt>.parquet    a merge, under a name unique to its attempt
    _job/shards/<id>/train-00003.<attempt>.part     some of its row groups, encoded, until it is merged
    _job/shards/<id>/train-00003.json           the shard's commit, created if absent: names the merge that counts
    data/train-00003-of-00012.parquet           published: the same file under its final name

A merge reads one unit's file at a time, checks its SHA-256 against the commit, and writes a row group whenever it has
collected `ROW_GROUP_BYTES`. Rows are written in blocks that do not depend on how an attempt was cut into pieces, so a
shard's bytes depend on the plan and its rows alone. Where row groups end follows from the sizes of blocks in the
commits, so several processes can encode parts of a shard, and another one copies them. Where each unit is one row group
anyway, and attempts are written as they are to be published (`CommitRecord.is_final`), row groups of `COPIED_BYTES` or
more are copied as they stand (`transforms.rows.row_groups`). Once attempts are gone, since their rows are published,
rows come from the published shards. A thread reads and decodes what comes next while this is encoded, which both leave
the interpreter lock alone. Memory is bounded by two units' files and two row groups, whatever the size of a shard.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.errors import DamagedAttempt, MergeCanceled
from jobs.finalize.shard_plan import Kind, ShardRecord, Stretch, divide, read_record, stretches_of
from jobs.finalize.stored_rows import StoredRows
from jobs.finalize.tallies import RejectedTally
from jobs.ledger.blocks import BLOCK_ROWS, blocks_of
from jobs.ledger.commits import failpoint_in, new_attempt_id
from jobs.plan.schemas import fit_table
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import JobFolder
from jobs.storage.parquet import WRITING
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.rows.row_groups import EncodedGroups, GroupFile, read_groups
from transforms.rows.sizes import size_of

INSIDE_PART = register("finalize.inside_part")
INSIDE_SHARD = register("finalize.inside_shard")
AFTER_SHARD = register("finalize.after_shard")
AFTER_SHARD_COMMIT = register("finalize.after_shard_commit")

ROW_GROUP_BYTES = 16 << 20  # in memory, twice while shards are merged; most readers prefer groups under 100 MB
COPIED_BYTES = 2 << 20  # before compression


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


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """A part of a shard that is encoded: its file, relative to the job's folder, and the size of that."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MergeTask:
    """What one process does for a shard at a time: encodes a part of it, or merges it.

    Args:
        kind, index: The shard.
        groups: Row groups of a part; 0: the shard isn't divided.
        part: Number of the part; None: merge it.
        encoded: Its parts, to merge it.
    """

    kind: Kind
    index: int
    groups: int = 0
    part: int | None = None
    encoded: tuple[EncodedPart, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from others, also as JSON."""
        return self.kind, self.index, self.part


def count_groups(spec: MergeSpec, kind: Kind, index: int) -> int:
    """How many row groups a shard will have; 0 if that isn't known before its rows are read."""
    return len(divide(_stretches(spec, kind, index), ROW_GROUP_BYTES, 1))


def read_shard_record(spec: MergeSpec, kind: Kind, index: int) -> ShardRecord | None:
    """The shard's commit, or None."""
    return read_record(spec.job_dir, spec.plan_id, kind, index)


def unmerged(spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> list[tuple[Kind, int]]:
    """Returns the shards without a commit, from one listing."""
    there = set(storage.list_names(spec.job_dir.shard(spec.plan_id)))
    return [(kind, index) for kind, index in shards if f"{kind}-{index:05d}.json" not in there]


def merge_shard(
    spec: MergeSpec,
    kind: Kind,
    index: int,
    *,
    encoded: Sequence[EncodedPart] = (),
    groups: int = 0,
    is_over: Callable[[], bool] = lambda: False,
    on_progress: Callable[[], None] = lambda: None,
) -> ShardRecord:
    """Merges one shard and commits it; returns the committed record. May run repeatedly or concurrently.

    Args:
        spec: The job and the shard plan.
        kind, index: The shard.
        encoded: All parts of it, if it was divided; their files are removed.
        groups: Row groups of a part.
        is_over: Called before each row group; returns True if the shard is no longer needed.
        on_progress: Called, in any thread, when it begins, for each file read, and for each row group written.

    Raises:
        DamagedAttempt: A unit's file is missing or not what was committed.
        MergeCanceled: It is no longer wanted.
    """
    on_progress()
    if (done := read_shard_record(spec, kind, index)) is not None:
        return done
    record = storage.with_new_attempts(lambda: _write_shard(spec, kind, index, is_over, on_progress, encoded, groups))
    failpoint(AFTER_SHARD)
    for part in encoded:
        storage.remove(spec.job_dir.join(part.path))
    if not storage.create_if_absent(_record_path(spec, kind, index), _record_text(record)):
        found = read_shard_record(spec, kind, index)
        assert found is not None
        return found
    failpoint(AFTER_SHARD_COMMIT)
    return record


def merge_again(spec: MergeSpec, kind: Kind, index: int) -> ShardRecord:
    """Merges a shard whose merge is gone, from what is left; its commit stands until there is another.

    Raises:
        DamagedAttempt, ConfigError: Not all of its rows are left.
    """
    record = storage.with_new_attempts(lambda: _write_shard(spec, kind, index, lambda: False, lambda: None, (), 0))
    storage.write_bytes(_record_path(spec, kind, index), _record_text(record))
    return record


def _record_path(spec: MergeSpec, kind: Kind, index: int) -> str:
    return spec.job_dir.shard(spec.plan_id, f"{kind}-{index:05d}.json")


def _record_text(record: ShardRecord) -> bytes:
    return json.dumps(asdict(record), sort_keys=True, indent=1).encode()


_Part: TypeAlias = EncodedGroups | pa.Table


def encode_part(spec: MergeSpec, task: MergeTask, *, on_progress: Callable[[], None] = lambda: None) -> EncodedPart:
    """Encodes a part of a shard, in a file that is there until the shard has been merged.

    Raises:
        DamagedAttempt: A unit's file is missing or not what was committed.
    """
    assert task.part is not None
    on_progress()
    relative = f"shards/{spec.plan_id}/{task.kind}-{task.index:05d}.{new_attempt_id()}.part"
    path = spec.job_dir.join(relative)
    stretches = divide(_stretches(spec, task.kind, task.index), ROW_GROUP_BYTES, task.groups)[task.part]
    with storage.open_output(path, durable=False) as file:
        encoded = GroupFile(file, _schema(spec, task.kind), is_numbered=False)
        for table in _ahead(_parts(spec, task.kind, stretches, on_progress)):
            on_progress()
            encoded.append(_encoded(table))
            failpoint_in(path, INSIDE_PART)
        encoded.close()
    return EncodedPart(relative, file.bytes)


def _write_shard(
    spec: MergeSpec,
    kind: Kind,
    index: int,
    is_over: Callable[[], bool],
    on_progress: Callable[[], None],
    encoded: Sequence[EncodedPart],
    groups: int,
) -> ShardRecord:
    name = f"{kind}-{index:05d}"
    relative = f"shards/{spec.plan_id}/{name}.{new_attempt_id()}.parquet"
    path = spec.job_dir.join(relative)
    schema = _schema(spec, kind)
    tally = RejectedTally()
    rows = 0
    stretches = _stretches(spec, kind, index)
    if not stretches:  # all rows have been removed
        return ShardRecord(kind=kind, index=index, path="", rows=0, bytes=0, sha256="")
    parts = _parts(spec, kind, stretches, on_progress)
    if encoded:
        divided = divide(stretches, ROW_GROUP_BYTES, groups)
        parts = _encoded_parts(spec, kind, divided, encoded, on_progress)
    with storage.open_output(path) as file:
        merged = GroupFile(file, schema, is_numbered=False)
        for part in _ahead(parts):
            on_progress()
            if is_over():
                raise MergeCanceled(name)
            merged.append(_encoded(part) if isinstance(part, pa.Table) else part)
            rows += part.num_rows
            if kind == "rejected" and isinstance(part, pa.Table):
                tally.add(part)
            failpoint_in(path, INSIDE_SHARD)
        merged.close()
    assert rows == sum(stretch.end for stretch in stretches), f"{name}: {rows} rows"
    return ShardRecord(
        kind=kind,
        index=index,
        path=relative,
        rows=rows,
        bytes=file.bytes,
        sha256=file.sha256,
        tally=dict(tally.counts),
        examples=tally.examples,
        languages=tally.languages,
        target_kinds=tally.target_kinds,
    )


def _encoded_parts(
    spec: MergeSpec,
    kind: Kind,
    parts: Sequence[list[Stretch]],
    encoded: Sequence[EncodedPart],
    on_progress: Callable[[], None],
) -> Generator[_Part, None, None]:
    """Yields the row groups of a divided shard; rows of a part whose file is not what was written, to be encoded."""
    for stretches, part in zip(parts, encoded, strict=True):
        try:
            data = storage.read_bytes(spec.job_dir.join(part.path))
        except FileNotFoundError:
            data = b""
        found = read_groups(data, _schema(spec, kind)) if len(data) == part.bytes else None
        if found is None:
            yield from _parts(spec, kind, stretches, on_progress)
        else:
            yield found


def _schema(spec: MergeSpec, kind: Kind) -> pa.Schema:
    return spec.schema if kind == "train" else REJECTED_SCHEMA.with_metadata(spec.schema.metadata)


def _encoded(table: pa.Table) -> EncodedGroups:
    """A row group as it is published."""
    sink = pa.BufferOutputStream()  # one of Python's would take the interpreter lock for each page
    pq.write_table(table, sink, row_group_size=table.num_rows, **WRITING)
    groups = read_groups(sink.getvalue(), table.schema)
    assert groups is not None, "what was just written can be read"
    return groups


def _ahead(parts: Generator[_Part, None, None]) -> Iterator[_Part]:
    """Yields the parts; the next one is made in a thread meanwhile."""
    with contextlib.closing(parts), ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _parts(
    spec: MergeSpec, kind: Kind, stretches: Sequence[Stretch], on_progress: Callable[[], None]
) -> Generator[_Part, None, None]:
    """Yields rows of a shard in plan order: files that can be copied, and tables of about `ROW_GROUP_BYTES`."""
    blocks: list[pa.Table] = []
    num_bytes = 0
    for part, sizes in _unit_parts(spec, kind, stretches, on_progress):
        if isinstance(part, EncodedGroups):
            if blocks:
                yield pa.concat_tables(blocks)
                blocks, num_bytes = [], 0
            yield part
            continue
        for block in blocks_of(part):
            size = next(sizes)
            blocks.append(block)
            num_bytes += size_of(block) if size is None else size
            if num_bytes >= ROW_GROUP_BYTES:
                yield pa.concat_tables(blocks)
                blocks, num_bytes = [], 0
    if blocks:
        yield pa.concat_tables(blocks)


def _unit_parts(
    spec: MergeSpec, kind: Kind, stretches: Sequence[Stretch], on_progress: Callable[[], None]
) -> Iterator[tuple[EncodedGroups | Iterator[pa.Table], Iterator[int | None]]]:
    """Yields each unit's rows, as they can be copied or as tables, and the sizes of their blocks as far as known."""
    stored: StoredRows | None = None
    schema = _schema(spec, kind)
    try:
        for stretch in stretches:
            source = stretch.source
            sizes = itertools.repeat(None) if stretch.sizes is None else iter(stretch.sizes)
            data = _unit_file(spec.job_dir, source)
            on_progress()
            if data is None:
                stored = stored or StoredRows(spec.job_dir, {str(each.source["path"]) for each in stretches})
                tables = _stored_tables(stored, spec.job_dir, source, schema)
                yield _between(tables, stretch.first, stretch.end), sizes
                continue
            is_copied = source["is_final"] and kind == "train"
            copied = read_groups(data, schema, least_bytes=COPIED_BYTES) if is_copied else None
            yield copied or _between(_tables(data, source, schema), stretch.first, stretch.end), sizes
    finally:
        if stored is not None:
            stored.close()


def _between(tables: Iterable[pa.Table], first: int, end: int) -> Iterator[pa.Table]:
    """The rows from `first` on, before `end`."""
    start = 0
    for table in tables:
        if start >= end:
            return
        rows = table.slice(max(0, first - start), max(0, end - max(first, start)))
        if rows.num_rows:
            yield rows
        start += table.num_rows


def _stored_tables(
    stored: StoredRows, job_dir: JobFolder, source: Mapping[str, Any], schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows of a unit whose attempt was deleted when they were published."""
    try:
        for table in stored.tables(source["path"], source["rows"]):
            assert table.schema.names == schema.names, f"{source['path']}: columns {table.schema.names}"
            yield fit_table(table, schema)
    except FileNotFoundError:
        path = job_dir.join(source["path"])
        raise DamagedAttempt(f"{path} is missing although unit {source['unit_id']} is committed") from None


def _stretches(spec: MergeSpec, kind: Kind, index: int) -> list[Stretch]:
    path = spec.job_dir.shard(spec.plan_id, f"{kind}.parquet")
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        return stretches_of(parquet.read_row_group(index).to_pylist() if index < parquet.num_row_groups else [])


def _unit_file(job_dir: JobFolder, source: Mapping[str, object]) -> bytes | None:
    """The attempt's file; None if it is gone, as it is once the shards are published."""
    path = job_dir.join(str(source["path"]))
    try:
        data = storage.read_bytes(path)
    except FileNotFoundError:
        return None
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
            for batch in parquet.iter_batches(BLOCK_ROWS, row_groups=[group], use_threads=False):
                yield fit_table(pa.Table.from_batches([batch]), schema)
