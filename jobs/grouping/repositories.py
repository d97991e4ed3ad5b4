"""Groups a corpus by repository, wherever its files are in the input: Parquet in, Parquet out, bounded memory.

    input files --by hash of the repository--> hash buckets --sorted--> one grouped file per bucket

Every row goes, with its source location, to the hash bucket of its repository. Each bucket is sorted by repository and
path and written so that every row group contains complete repositories; each row group becomes a unit of the job. There
are two ways to bring rows to their buckets, with the same result:

- on one machine, in this process, through local disk, because Beam's local runner keeps grouped data in memory;
- on a runner that the user names, by Beam's `GroupByKey` (`jobs.grouping.by_beam`), so that no machine reads all rows.

The result depends on the rows and the number of buckets, not on how the rows were distributed over files. Grouping
again starts from scratch, unless the manifest records that it finished for the same input.

Memory: one bucket (about `BUCKET_MB`; more if a repository is larger, or if the input needs more than `MAX_BUCKETS`
buckets), and `SPOOL_MB` of buffered rows.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.footers import InputFile
from jobs.plan.input_paths import expand
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.partitions import partition_values
from jobs.plan.schemas import fit_table
from jobs.storage.folders import GROUPED, JobFolder
from jobs.storage.parquet import open_parquet
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides
from transforms.spool import scratch_folder

BUCKET_MB: Final = 128
GROUP_MB: Final = 8  # per unit; the last packed row of each unit stays partly empty, one in about 300
MAX_BUCKETS: Final = 256  # files open at the same time
SPOOL_MB: Final = 64
_BATCH_ROWS: Final = 128

# The columns of the grouped files, in addition to those of a row's source location.
COLUMNS: Final = ColumnOverrides(content="content", path="path", repo_name="repo_name", language="language")


@dataclass(frozen=True)
class Grouped:
    """The result of grouping.

    Args:
        folder: Folder of the grouped files.
        bad_files: URI and fault of each input file that could not be read.
        rows: Number of rows.
    """

    folder: str
    bad_files: tuple[tuple[str, str], ...]
    rows: int


class Outcome(NamedTuple):
    """The number of rows grouped, and the name and fault of each file found damaged while grouping."""

    rows: int
    bad_files: tuple[tuple[str, str], ...]


# Brings the rows of each repository together in files in a folder; a limit takes only the first N rows.
Spread = Callable[[Inputs, str, int | None], Outcome]


def group_by_repository(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None = None,
    spread: Spread,
) -> Grouped:
    """Groups the input into `job_dir/grouped/`, unless it is grouped already.

    They are gone once the job is complete; `jobs.grouping.restoring` makes them again for units that remain.

    Args:
        patterns: Files, folders and globs of the input.
        job_dir: The job's folder.
        overrides: The columns that the user named.
        limit: Take only the first `limit` rows.
        spread: How rows get to their hash buckets: on disk (`group_on_disk`), or on a runner (`jobs.grouping.by_beam`).

    Raises:
        ConfigError: The input matches no file, has no repository or path column, or differs from the grouped one.
    """
    manifest_path = job_dir.grouping
    asked = {"input": list(patterns), "columns": _asked_columns(overrides), "limit": limit}
    if storage.exists(manifest_path):
        manifest = json.loads(storage.read_bytes(manifest_path))
        if manifest["asked"] != asked:
            raise ConfigError(
                f"{job_dir} was grouped for --input {' '.join(manifest['asked']['input'])}; a resumed job can't change "
                "--input, --limit or columns; choose another --output"
            )
        # The folder's name is relative, so that an output can be moved.
        folder = job_dir.join(manifest["folder"])
        return Grouped(folder, tuple(map(tuple, manifest["bad_files"])), manifest["rows"])
    inputs = read_inputs(expand(patterns), overrides, limit=limit)
    _check_columns(inputs.columns)
    # A separate folder per attempt: files left by an interrupted attempt are never read.
    name = storage.join(GROUPED, secrets.token_hex(6))
    folder = job_dir.join(name)
    outcome = spread(inputs, folder, limit)
    if not outcome.rows:
        raise ConfigError(f"the input has no rows: {len(inputs.files)} files")
    bad = [(file.public_name, f"{file.reason}: {file.detail}") for file in inputs.files if file.state == "bad"]
    grouped = Grouped(folder, (*bad, *outcome.bad_files), outcome.rows)
    record = {"asked": asked, "folder": name, "bad_files": grouped.bad_files, "rows": grouped.rows}
    if storage.is_local(folder):
        record["files"] = identities(folder)
    storage.write_bytes(manifest_path, json.dumps(record, indent=1).encode())
    return grouped


def identities(folder: str) -> dict[str, dict[str, Any]]:
    """Hash and modification time of each grouped file in a local folder."""
    names = [name for name in storage.list_names(folder) if name.endswith(".parquet")]
    paths = {name: os.path.join(folder, name) for name in names}
    return {
        name: {"sha256": storage.sha256_of(path), "mtime_ns": os.stat(path).st_mtime_ns} for name, path in paths.items()
    }


def _asked_columns(overrides: ColumnOverrides) -> dict[str, str | None]:
    names = ("content", "path", "repo_name", "language")
    return {name: getattr(overrides, name) for name in names}


def _check_columns(columns: ColumnMap) -> None:
    for name, flag in (("repo_name", "--repo_column"), ("path", "--path_column")):
        if getattr(columns, name) is None:
            what = "repository" if name == "repo_name" else "path"
            raise ConfigError(
                f"the input has no {what} column, which grouping by repository needs; name it with {flag}"
            )


# --- spread over buckets -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How to read input files, and the number of hash buckets for their rows.

    Args:
        columns: The roles of the input's columns.
        schema: Schema of grouped rows.
        buckets: Number of hash buckets.
    """

    columns: ColumnMap
    schema: pa.Schema
    buckets: int

    def spread(self, file: InputFile, group: int, limit: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yields the rows of one row group, or its first `limit` rows, by hash bucket, a batch at a time."""
        for table in self._read(file, group):
            table = table if limit is None else table.slice(0, limit)
            limit = None if limit is None else limit - table.num_rows
            yield from self._split(table)

    def _read(self, file: InputFile, group: int) -> Iterator[pa.Table]:
        columns = self.columns
        names = {"content": columns.content, "path": columns.path}
        names |= {"repo_name": columns.repo_name, "language": columns.language}
        constants = partition_values(file.uri)
        with storage.open_input(file.uri) as opened, open_parquet(opened) as parquet:
            present = set(parquet.schema_arrow.names)
            in_folders = {part: constants[name] for part, name in names.items() if name in constants}
            used = {part: name for part, name in names.items() if name is not None and name in present}
            projected = list(dict.fromkeys(used.values()))
            row = 0
            for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=projected):
                count = batch.num_rows
                table = pa.table({part: batch.column(name) for part, name in used.items()})
                table = table.append_column("source_uri", pa.array([file.public_name] * count, pa.large_string()))
                table = table.append_column("source_row_group", pa.array([group] * count, pa.int32()))
                table = table.append_column("source_row", pa.array(range(row, row + count), pa.int64()))
                row += count
                yield fit_table(table, self.schema, in_folders)

    def _split(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """Yields the rows of each hash bucket. For a row without a repository, its path is hashed."""
        keys = pc.coalesce(table.column("repo_name"), table.column("path"), pa.scalar("", pa.large_string()))
        buckets = [_bucket(key, self.buckets) for key in keys.to_pylist()]
        for number in sorted(set(buckets)):
            yield number, table.take(pa.array([i for i, bucket in enumerate(buckets) if bucket == number], pa.int64()))


def _bucket(key: str, count: int) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def pieces(inputs: Inputs, limit: int | None) -> Iterator[tuple[InputFile, int, int]]:
    """Yields the row groups to read, in order: file, number, and how many of its rows."""
    left = limit
    for file in inputs.files:
        if file.state == "good":
            for number, group in enumerate(inputs.footers[file.uri].groups):
                rows = group.rows if left is None else min(group.rows, left)
                left = None if left is None else left - rows
                if rows:
                    yield file, number, rows


def reading_of(inputs: Inputs, max_buckets: int) -> Reading:
    """Returns how to read the inputs, with as many hash buckets as they need."""
    num_bytes = sum(file.num_bytes for file in inputs.files if file.state == "good")
    # Parquet compresses source code to about a quarter.
    buckets = min(max_buckets, 1 + int(4 * num_bytes / (BUCKET_MB * 1_000_000)))
    schema = pa.schema(
        [
            pa.field("content", inputs.schema.field(inputs.columns.content).type),
            pa.field("path", pa.large_string()),
            pa.field("repo_name", pa.large_string()),
            pa.field("language", pa.large_string()),
            pa.field("source_uri", pa.large_string()),
            pa.field("source_row_group", pa.int32()),
            pa.field("source_row", pa.int64()),
        ]
    )
    return Reading(inputs.columns, schema, buckets)


def group_on_disk(inputs: Inputs, folder: str, limit: int | None) -> Outcome:
    """Groups through local disk: spools rows to one file per hash bucket, then sorts and writes each bucket."""
    reading = reading_of(inputs, MAX_BUCKETS)
    bad: list[tuple[str, str]] = []
    rows = 0
    with scratch_folder() as spool_folder, _Spool(reading, spool_folder) as spool:
        for file, group, count in pieces(inputs, limit):
            tables = reading.spread(file, group, count)
            while True:
                try:
                    bucket, table = next(tables)
                except StopIteration:
                    break
                except (pa.ArrowException, OSError) as error:
                    if storage.is_unanswered(error):
                        raise  # the storage failed, not the file
                    bad.append((file.public_name, damage(error)))
                    break
                # Outside the `try`: a full disk here is no fault of the input file.
                rows += table.num_rows
                spool.add(bucket, table)
        for number, path in enumerate(spool.close()):
            table = pq.read_table(path)
            os.remove(path)
            if table.num_rows:
                write_bucket(table, storage.join(folder, bucket_name(number)))
    return Outcome(rows, tuple(dict(bad).items()))


class _Spool:
    """One file per hash bucket on local disk, with up to `SPOOL_MB` of rows buffered in memory."""

    def __init__(self, reading: Reading, folder: str):
        self._paths = [os.path.join(folder, f"{number:05d}.parquet") for number in range(reading.buckets)]
        self._writers = [pq.ParquetWriter(path, reading.schema, compression="zstd") for path in self._paths]
        self._waiting: list[list[pa.Table]] = [[] for _ in self._paths]
        self._waiting_bytes = 0

    def add(self, bucket: int, table: pa.Table) -> None:
        """Adds rows to a hash bucket."""
        self._waiting[bucket].append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > SPOOL_MB * 1_000_000:
            self._flush()

    def close(self) -> list[str]:
        """Writes the remaining rows and returns the files of the buckets."""
        self._flush()
        for writer in self._writers:
            writer.close()
        return self._paths

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers:
            writer.close()

    def _flush(self) -> None:
        for writer, tables in zip(self._writers, self._waiting, strict=True):
            if tables:
                writer.write_table(pa.concat_tables(tables))
                tables.clear()
        self._waiting_bytes = 0


def damage(error: Exception) -> str:
    """Formats the fault of a file that can't be read to its end."""
    return f"damaged_input: {' '.join(str(error).split())[:300]}"


# --- a hash bucket -------------------------------------------------------------------------------------


def bucket_name(number: int) -> str:
    """Returns the name of a hash bucket's grouped file."""
    return f"repositories-{number:05d}.parquet"


def write_bucket(table: pa.Table, output: str) -> None:
    """Sorts the rows of one hash bucket and writes them with complete repositories in each row group."""
    keys = [(name, "ascending") for name in ("repo_name", "path", "source_uri", "source_row_group", "source_row")]
    order = pc.sort_indices(table, sort_keys=keys)
    storage.with_new_attempts(lambda: _write_groups(table, order, output))


def _write_groups(table: pa.Table, order: Any, output: str) -> None:
    with storage.open_output(output) as file, pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for start, stop in _groups(table, order):
            # One group at a time, so that the bucket isn't in memory twice.
            group = table.take(order.slice(start, stop - start))
            writer.write_table(group, row_group_size=group.num_rows)


def _groups(table: pa.Table, order: Any) -> Iterator[tuple[int, int]]:
    """Yields ranges of `order` with complete repositories: together about `GROUP_MB`, or a single larger repository."""
    repositories = table.column("repo_name").take(order).to_pylist()
    sizes = pc.fill_null(pc.binary_length(table.column("content")), 0).take(order).to_pylist()
    start, size, place = 0, 0, 0
    # Each row without a repository counts as a repository.
    for _, run in itertools.groupby(range(len(repositories)), lambda i: repositories[i] or i):
        rows = list(run)
        more = sum(sizes[row] for row in rows)
        if size and size + more > GROUP_MB * 1_000_000:
            yield start, place
            start, size = place, 0
        size += more
        place += len(rows)
    yield start, place
