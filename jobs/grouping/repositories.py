"""Groups a corpus by repository, wherever a repository's files lie: Parquet in, Parquet out, memory bounded.

    input files --by hash of the repository--> buckets --sorted--> one grouped file a bucket

Every row goes to the bucket of its repository's hash, with where it came from. Each bucket is sorted by repository and
path and written so that a row group holds whole repositories, each of which becomes a unit of the job. There are
two ways from rows to buckets, with the same result:

- on one machine by way of local disk, in this process: the local runner holds what it groups in memory;
- on a runner that the user names by Beam's `GroupByKey` (`jobs.grouping.by_beam`), so that no machine sees all rows.

The result depends on rows and on the number of buckets, not on how the rows were spread over files. Grouping again
starts over, unless the manifest says that it was finished for the same input.

Memory: one bucket (about `BUCKET_MB`, more where one repository is larger, or above `MAX_BUCKETS` of them), and
`SPOOL_MB` of rows under way.
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
from jobs.plan.schemas import fit_table
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides
from transforms.spool import scratch_folder

BUCKET_MB: Final = 128
GROUP_MB: Final = 8  # a unit: the last row of each stays part empty, one of about 300
MAX_BUCKETS: Final = 256  # files that are open at once
SPOOL_MB: Final = 64
_BATCH_ROWS: Final = 128
FOLDER = "grouped"

# The columns of the grouped files; beside them stands where a row comes from.
COLUMNS: Final = ColumnOverrides(content="content", path="path", repo_name="repo_name", language="language")


@dataclass(frozen=True)
class Grouped:
    """What grouping left.

    Args:
        folder: Where the grouped files lie.
        bad_files: URI and fault of each input file that could not be read.
        rows: How many rows there are.
    """

    folder: str
    bad_files: tuple[tuple[str, str], ...]
    rows: int


class Outcome(NamedTuple):
    """What grouping gave: how many rows, and the name and fault of each file that was found damaged on the way."""

    rows: int
    bad_files: tuple[tuple[str, str], ...]


# Brings the rows of a repository together in files in a folder; a limit takes only the first so many rows.
Spread = Callable[[Inputs, str, int | None], Outcome]


def group_by_repository(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None = None,
    spread: Spread,
) -> Grouped:
    """Groups the input into `job_dir/grouped/`, or finds that it is grouped already.

    Args:
        patterns: The input's files, folders and globs.
        job_dir: The job's folder.
        overrides: The user's own choice of columns.
        limit: Take only the first so many rows.
        spread: How rows come to their buckets: on disk (`group_on_disk`), or on a runner (`jobs.grouping.by_beam`).

    Raises:
        ConfigError: The input names nothing, has no repository or path column, or was another when it was grouped.
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
    # A folder of its own for each try: what an interrupted one left behind is never read.
    name = storage.join(FOLDER, secrets.token_hex(6))
    folder = job_dir.join(name)
    outcome = spread(inputs, folder, limit)
    if not outcome.rows:
        raise ConfigError(f"the input has no rows: {len(inputs.files)} files")
    bad = [(file.public_name, f"{file.reason}: {file.detail}") for file in inputs.files if file.state == "bad"]
    grouped = Grouped(folder, (*bad, *outcome.bad_files), outcome.rows)
    record = {"asked": asked, "folder": name, "bad_files": grouped.bad_files, "rows": grouped.rows}
    storage.write_bytes(manifest_path, json.dumps(record, indent=1).encode())
    return grouped


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
    """How input files are read, and into how many buckets their rows go.

    Args:
        columns: Which input column is what.
        schema: Of grouped rows.
        buckets: How many there are.
    """

    columns: ColumnMap
    schema: pa.Schema
    buckets: int

    def spread(self, file: InputFile, group: int, limit: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """The rows of one row group, or the first `limit` of them, by bucket, a few hundred rows at a time."""
        for table in self._read(file, group):
            table = table if limit is None else table.slice(0, limit)
            limit = None if limit is None else limit - table.num_rows
            yield from self._split(table)

    def _read(self, file: InputFile, group: int) -> Iterator[pa.Table]:
        columns = self.columns
        names = {"content": columns.content, "path": columns.path}
        names |= {"repo_name": columns.repo_name, "language": columns.language}
        with storage.open_input(file.uri) as opened, pq.ParquetFile(opened) as parquet:
            present = set(parquet.schema_arrow.names)
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
                yield fit_table(table, self.schema)

    def _split(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """The rows of each bucket. A row without a repository goes by its path."""
        keys = pc.coalesce(table.column("repo_name"), table.column("path"), pa.scalar("", pa.large_string()))
        buckets = [_bucket(key, self.buckets) for key in keys.to_pylist()]
        for number in sorted(set(buckets)):
            yield number, table.take(pa.array([i for i, bucket in enumerate(buckets) if bucket == number], pa.int64()))


def _bucket(key: str, count: int) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def pieces(inputs: Inputs, limit: int | None) -> Iterator[tuple[InputFile, int, int]]:
    """The row groups to read, in order: file, number, and how many rows of it."""
    left = limit
    for file in inputs.files:
        if file.state == "good":
            for number, group in enumerate(inputs.footers[file.uri].groups):
                rows = group.rows if left is None else min(group.rows, left)
                left = None if left is None else left - rows
                if rows:
                    yield file, number, rows


def reading_of(inputs: Inputs, max_buckets: int) -> Reading:
    """How to read the inputs, into as many buckets as they need."""
    num_bytes = sum(file.num_bytes for file in inputs.files if file.state == "good")
    # Parquet of source shrinks to about a quarter.
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
    """Groups by way of local disk: rows are spooled to a file a bucket, then each is sorted and written."""
    reading = reading_of(inputs, MAX_BUCKETS)
    bad: list[tuple[str, str]] = []
    rows = 0
    with scratch_folder() as spool_folder, _Spool(reading, spool_folder) as spool:
        for file, group, count in pieces(inputs, limit):
            try:
                for bucket, table in reading.spread(file, group, count):
                    rows += table.num_rows
                    spool.add(bucket, table)
            except (pa.ArrowException, OSError) as error:
                if storage.is_unanswered(error):
                    raise  # the storage's fault, not the file's
                bad.append((file.public_name, damage(error)))
        for number, path in enumerate(spool.close()):
            table = pq.read_table(path)
            os.remove(path)
            if table.num_rows:
                write_bucket(table, storage.join(folder, bucket_name(number)))
    return Outcome(rows, tuple(dict(bad).items()))


class _Spool:
    """A file a bucket on local disk, with `SPOOL_MB` of rows under way in memory."""

    def __init__(self, reading: Reading, folder: str):
        self._paths = [os.path.join(folder, f"{number:05d}.parquet") for number in range(reading.buckets)]
        self._writers = [pq.ParquetWriter(path, reading.schema, compression="zstd") for path in self._paths]
        self._waiting: list[list[pa.Table]] = [[] for _ in self._paths]
        self._waiting_bytes = 0

    def add(self, bucket: int, table: pa.Table) -> None:
        """Takes rows of a bucket."""
        self._waiting[bucket].append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > SPOOL_MB * 1_000_000:
            self._flush()

    def close(self) -> list[str]:
        """Writes what is left and returns the buckets' files."""
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
    """What is said of a file that can't be read to its end."""
    return f"damaged_input: {' '.join(str(error).split())[:300]}"


# --- a bucket ------------------------------------------------------------------------------------------


def bucket_name(number: int) -> str:
    """What the grouped file of a bucket is called."""
    return f"repositories-{number:05d}.parquet"


def write_bucket(table: pa.Table, output: str) -> None:
    """Sorts the rows of one bucket and writes them with whole repositories in each row group."""
    keys = [(name, "ascending") for name in ("repo_name", "path", "source_uri", "source_row_group", "source_row")]
    order = pc.sort_indices(table, sort_keys=keys)
    with storage.open_output(output) as file, pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for start, stop in _groups(table, order):
            # Taken a group at a time: a bucket isn't in memory twice.
            group = table.take(order.slice(start, stop - start))
            writer.write_table(group, row_group_size=group.num_rows)


def _groups(table: pa.Table, order: Any) -> Iterator[tuple[int, int]]:
    """Ranges of `order` that hold whole repositories: together about `GROUP_MB`, or a single one that is larger."""
    repositories = table.column("repo_name").take(order).to_pylist()
    sizes = pc.fill_null(pc.binary_length(table.column("content")), 0).take(order).to_pylist()
    start, size, place = 0, 0, 0
    # Rows without a repository are one each.
    for _, run in itertools.groupby(range(len(repositories)), lambda i: repositories[i] or i):
        rows = list(run)
        more = sum(sizes[row] for row in rows)
        if size and size + more > GROUP_MB * 1_000_000:
            yield start, place
            start, size = place, 0
        size += more
        place += len(rows)
    yield start, place
