"""The commit protocol: which attempt at a unit counts.

    _job/attempts/<unit>/<attempt>.kept.parquet        written atomically under a name unique to the attempt
    _job/attempts/<unit>/<attempt>.rejected.parquet
    _job/commits/<unit>.json                           created if absent: names the attempt that won

Several attempts at a unit may run, even concurrently, and one that was thought dead may resume. The first attempt to
create the commit wins. The files of the others are orphans, which only the finalizer deletes. If the response to a
create is lost, the storage may report "exists" for the attempt's own commit. An attempt has therefore lost only if
the commit contains another attempt's id.

An attempt's files are read back before they are committed: what can't be read can't be merged, and would leave a job
whose units are all committed and that can never be finalized.

Cost: two small objects and two listing-free requests per unit. A table without rows has no file.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from types import ModuleType, TracebackType
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.ledger.blocks import BlockSizes
from jobs.plan.schemas import fit_table
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import JobFolder
from jobs.storage.parquet import WRITING, WRITING_ONCE
from model.errors import RecordError
from transforms.work import Unit, UnitResult

BEFORE_ATTEMPT = register("commit.before_attempt")
INSIDE_KEPT = register("commit.inside_kept")
AFTER_KEPT = register("commit.after_kept")
AFTER_ATTEMPT = register("commit.after_attempt")
AFTER_COMMIT = register("commit.after_commit")

_READ_THREADS = 32
_TRIES = 3  # on top of those that the storage's client makes
_RETRY_DELAY_S = 0.5
_BATCH_ROWS = 64
_ROW_GROUP_BYTES = 4 << 20  # in memory


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One file of an attempt. `path` is relative to the job's folder (`_job`), so that an output can be moved.

    `blocks` has the sizes of its rows in blocks (`jobs.ledger.blocks`), for files that merges encode again.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    blocks: tuple[int, ...] = ()

    def with_rows(self, rows: int) -> FileRecord:
        """The file after rows of it have been removed; the sizes of its blocks are not known anymore."""
        return replace(self, rows=rows, blocks=())


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitRecord:
    """The final outcome of a unit.

    Args:
        unit_id: The unit.
        attempt_id: The attempt that won.
        status: `done`, or `failed` if the unit could not be read at all.
        reason: Why a failed unit failed, in snake_case; else "".
        detail: One human-readable line about that reason; else "".
        rows_in: The unit's source rows.
        counts: As in `UnitResult`; only `rows_in` if the unit failed. What was removed afterward is counted as such.
        files: `kept` and `rejected`; a key is missing if there are no such rows.
        config_hash: The job's configuration hash.
        wall_s: Duration of the winning attempt in seconds.
        attempts: Number of the unit's starts up to this one, including those that ended in a worker's death; from 1.
        is_final: Whether its rows are written as they are to be published, so that merges may copy them.
        ended: When the attempt ended, in seconds since 1970 by its host's clock; 0: unknown.
    """

    unit_id: str
    attempt_id: str
    status: Literal["done", "failed"]
    rows_in: int
    config_hash: str
    reason: str = ""
    detail: str = ""
    counts: Mapping[str, int | float] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    wall_s: float = 0.0
    attempts: int = 1
    is_final: bool = False
    ended: float = 0.0

    def to_json(self) -> bytes:
        """The commit object's content."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> CommitRecord:
        """Reads what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(data)
        fields["files"] = {
            name: FileRecord(**{**file, "blocks": tuple(file.get("blocks", ()))})
            for name, file in fields["files"].items()
        }
        return cls(**fields)


def new_attempt_id() -> str:
    """Returns an id that is unique among all attempts on all machines."""
    return uuid.uuid4().hex[:16]


def commit_unit(
    job_dir: JobFolder,
    unit: Unit,
    attempt_id: str,
    results: UnitResult | Iterable[UnitResult],
    *,
    config_hash: str,
    wall_s: float | Callable[[], float] = 0.0,
    attempts: int = 1,
    is_final: bool = False,
    also: Sequence[str] = (),
    store: ModuleType | Any = storage,
) -> CommitRecord:
    """Writes the attempt's files and commits them; returns the record that counts, which may be another attempt's.

    An attempt id is valid for one call: every retry needs a new one.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        results: The result of all rows, or an iterable with the result of one part of them at a time. Each is written
            before the next one is requested. If the iterable raises, the exception propagates and nothing is committed.
        wall_s: Duration in seconds; a function is called once the files are written.
        is_final: Whether rows are written as they are to be published, so that merges copy them.
        also: Other files of the attempt, written while `results` was read; they are made durable as well.
        store: The storage for the objects; tests pass a simulated one.

    Raises:
        StorageFull: There is no space left. The unit stays uncommitted.
        RecordError: What was written can't be read back, so that it could never be merged.
    """
    failpoint_in(job_dir, BEFORE_ATTEMPT)
    counts: Counter[str] = Counter()
    prefix = storage.join("attempts", unit.unit_id, attempt_id)
    with AttemptFiles(job_dir, prefix, store, is_final=is_final) as written:
        for result in [results] if isinstance(results, UnitResult) else results:
            written.add(result)
            counts.update(result.counts)
    store.make_durable([*(job_dir.join(file.path) for file in written.records.values()), *also])
    record = CommitRecord(
        unit_id=unit.unit_id,
        attempt_id=attempt_id,
        status="done",
        rows_in=int(counts["rows_in"]),
        counts=dict(sorted(counts.items())),
        files=written.records,
        config_hash=config_hash,
        wall_s=round(wall_s() if callable(wall_s) else wall_s, 3),
        attempts=attempts,
        is_final=is_final,
        ended=round(time.time(), 1),
    )
    return commit_record(job_dir, record, store=store)


def commit_failed(
    job_dir: JobFolder,
    unit: Unit,
    attempt_id: str,
    reason: str,
    detail: str = "",
    *,
    config_hash: str,
    wall_s: float = 0.0,
    attempts: int = 1,
    store: ModuleType | Any = storage,
) -> CommitRecord:
    """Commits the unit as failed, because its rows can't be read; returns the record that counts."""
    rows_in = unit.row_count if unit.retry_rows is None else len(unit.retry_rows)
    record = CommitRecord(
        unit_id=unit.unit_id,
        attempt_id=attempt_id,
        status="failed",
        reason=reason,
        detail=detail,
        rows_in=rows_in,
        counts={"rows_in": rows_in},
        config_hash=config_hash,
        wall_s=round(wall_s, 3),
        attempts=attempts,
    )
    return commit_record(job_dir, record, store=store)


def commit_record(job_dir: JobFolder, record: CommitRecord, *, store: ModuleType | Any = storage) -> CommitRecord:
    """Creates the commit unless there is one; returns the one that counts. May be repeated.

    If the storage does not respond, the request is retried: the create may or may not have taken effect, and the retry
    finds out.
    """
    path = job_dir.commit(record.unit_id)
    for tries_left in range(_TRIES - 1, -1, -1):
        try:
            if store.create_if_absent(path, record.to_json()):
                failpoint_in(job_dir, AFTER_COMMIT)
                return record
            # Another attempt was first, or our own create took effect earlier: the stored record shows which.
            return CommitRecord.from_json(store.read_bytes(path))
        except Exception as error:
            if not tries_left or not (isinstance(error, OSError) or storage.is_unanswered(error)):
                raise
            time.sleep(_RETRY_DELAY_S)
    raise AssertionError("unreachable")


def list_commits(job_dir: JobFolder, *, store: ModuleType | Any = storage) -> set[str]:
    """Returns the ids of all committed units, including failed ones, from one listing."""
    names = store.list_names(job_dir.commits)
    return {name.removesuffix(".json") for name in names if name.endswith(".json")}


def committed_among(job_dir: JobFolder, unit_ids: Sequence[str], *, store: ModuleType | Any = storage) -> set[str]:
    """Returns which of some units that follow each other in the plan have a commit.

    Cost: one listing of that part of the commits in a bucket; locally, one look for each unit.
    """
    if storage.is_local(job_dir.path):
        return {unit_id for unit_id in unit_ids if storage.exists(job_dir.commit(unit_id))}
    names = store.list_names(job_dir.commits, first=f"{unit_ids[0]}.json", last=f"{unit_ids[-1]}.json")
    return {name.removesuffix(".json") for name in names} & set(unit_ids)


def read_commits(job_dir: JobFolder, unit_ids: Iterable[str] | None = None) -> Iterator[CommitRecord]:
    """Reads commits concurrently and yields them in the order of `unit_ids` (all commits, sorted, if None).

    Raises FileNotFoundError if one of `unit_ids` has no commit.
    """
    ordered = sorted(list_commits(job_dir)) if unit_ids is None else list(unit_ids)
    with ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="read-commits") as pool:
        # In slices, so that a job of a million units doesn't queue a million futures.
        for start in range(0, len(ordered), 1024):
            for data in pool.map(
                storage.read_bytes, [job_dir.commit(unit_id) for unit_id in ordered[start : start + 1024]]
            ):
                yield CommitRecord.from_json(data)


def verify_commit(job_dir: JobFolder, record: CommitRecord, *, full: bool = False) -> str | None:
    """Returns one line that says what is wrong with a commit's files, or None if they are intact.

    Args:
        full: Also read the files and compare their SHA-256; otherwise only check presence and size, which is cheap.
    """
    return next((fault for file in record.files.values() if (fault := verify_file(job_dir, file, full=full))), None)


def verify_file(job_dir: JobFolder, file: FileRecord, *, full: bool = False) -> str | None:
    """Does the same for one file of a commit."""
    path = job_dir.join(file.path)
    try:
        num_bytes = storage.size_of_file(path)
        if num_bytes != file.bytes:
            return f"{path} has {num_bytes} bytes, its commit records {file.bytes}"
        if full and storage.sha256_of(path) != file.sha256:
            return f"{path} differs from what was committed (SHA-256)"
    except FileNotFoundError:
        return f"{path} is missing"
    return None


def void_commit(job_dir: JobFolder, record: CommitRecord, why: str) -> None:
    """Voids a commit, so that its unit runs again.

    Only the driver may call this, under its lock and before workers start. The record moves to `_job/voided`.
    """
    kept = {"why": why, "record": json.loads(record.to_json())}
    path = job_dir.voided(record.unit_id, record.attempt_id)
    storage.create_if_absent(path, json.dumps(kept, sort_keys=True, indent=1).encode())
    storage.remove(job_dir.commit(record.unit_id))


def check_readable(path: str, schema: pa.Schema, rows: int, *, store: ModuleType | Any = storage) -> None:
    """Reads an attempt's file back as the finalizer will: its schema, its count of rows, and all nested columns.

    Values of other columns can't fail. Cost: a footer, and decoding the nested columns.

    Raises:
        RecordError: `output_unreadable`: the finalizer couldn't merge the file.
    """
    try:
        with store.open_input(path) as file, pq.ParquetFile(file) as parquet:
            if parquet.schema_arrow.names != schema.names or parquet.metadata.num_rows != rows:
                raise pa.ArrowInvalid(f"{parquet.metadata.num_rows} rows of {rows}, or other columns")
            fit_table(parquet.schema_arrow.empty_table(), schema)
            nested = pa.schema([field for field in schema if pa.types.is_nested(field.type)])
            if nested:
                for batch in parquet.iter_batches(_BATCH_ROWS, columns=nested.names, use_threads=False):
                    fit_table(pa.Table.from_batches([batch]), nested)
    except pa.ArrowException as error:
        line = " ".join(str(error).split())[:300]
        raise RecordError("output_unreadable", f"the unit's output can't be read back: {line}") from error


def failpoint_in(path: str | JobFolder, name: str) -> None:
    """Runs a failpoint; a full disk that it simulates raises the same error as a write to `path` would."""
    with storage.clear_errors(str(path)):
        failpoint(name)


class AttemptFiles:
    """The files of one attempt, each created with its first row; `records` describes them after the block. They are not
    durable yet.

    Args:
        job_dir: The job's folder.
        prefix: Prefix of the files' names, relative to the job's folder.
        store: The storage for the objects.
        is_final: Whether rows are written as they are to be published.
    """

    def __init__(self, job_dir: JobFolder, prefix: str, store: ModuleType | Any, *, is_final: bool = False):
        self._is_final = is_final
        self.records: dict[str, FileRecord] = {}
        self._job_dir = job_dir
        self._prefix = prefix
        self._store = store
        self._parts = {"kept": ExitStack(), "rejected": ExitStack()}
        self._open: dict[str, tuple[Any, pq.ParquetWriter]] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._rows: Counter[str] = Counter()
        self._blocks = BlockSizes()
        self._waiting: dict[str, list[pa.Table]] = {"kept": [], "rejected": []}

    def add(self, result: UnitResult) -> None:
        """Appends the result's rows. Small results wait, so that they share a row group."""
        for name, table in (("kept", result.kept), ("rejected", result.rejected)):
            if table.num_rows:
                self._waiting[name].append(table)
                self._rows[name] += table.num_rows
                if name == "kept" and not self._is_final:
                    self._blocks.add(table)
                if sum(table.nbytes for table in self._waiting[name]) >= _ROW_GROUP_BYTES:
                    self._write(name)
                failpoint_in(self._path(name), INSIDE_KEPT)

    def __enter__(self) -> AttemptFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the files; after an error they stay incomplete, and no commit names them."""
        if kind is not None:
            for stack in self._parts.values():
                stack.__exit__(kind, error, trace)
            return
        for name, passed in (("kept", AFTER_KEPT), ("rejected", AFTER_ATTEMPT)):
            self._write(name)
            self._parts[name].close()
            if name in self._open:
                file = self._open[name][0]
                path = self._job_dir.join(self._path(name))
                check_readable(path, self._schemas[name], self._rows[name], store=self._store)
                self.records[name] = FileRecord(
                    path=self._path(name),
                    rows=self._rows[name],
                    bytes=file.bytes,
                    sha256=file.sha256,
                    blocks=self._blocks.finish() if name == "kept" else (),
                )
            failpoint_in(self._job_dir, passed)

    def _write(self, name: str) -> None:
        tables = self._waiting[name]
        if not tables:
            return
        self._waiting[name] = []
        if name not in self._open:
            self._open[name] = self._begin(name, tables[0].schema)
        self._open[name][1].write_table(pa.concat_tables(tables))

    def _begin(self, name: str, schema: pa.Schema) -> tuple[Any, pq.ParquetWriter]:
        file = self._parts[name].enter_context(
            self._store.open_output(self._job_dir.join(self._path(name)), durable=False)
        )
        writer = pq.ParquetWriter(file, schema, **(WRITING if self._is_final else WRITING_ONCE))
        self._schemas[name] = schema
        return file, self._parts[name].enter_context(writer)

    def _path(self, name: str) -> str:
        return f"{self._prefix}.{name}.parquet"
