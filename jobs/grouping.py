"""Groups a corpus by repository, wherever a repository's files lie: Parquet in, Parquet out, memory bounded.

    input files --pass 1--> buckets by the hash of the repository --pass 2--> one grouped file a bucket

1. Every row goes to the bucket of its repository's hash, with where it came from. Buckets are spooled to local disk.
2. Each bucket is read, sorted by repository and path, and written so that a row group holds whole repositories: the
   planner, whose units don't reach beyond a row group, then gives each unit whole repositories.

The result depends on rows and on the number of buckets, not on how the rows were spread over files. Grouping again
starts over, unless the manifest says that it was finished for the same input.

Memory: one bucket (about `BUCKET_MB`, more where one repository is larger), and `SPOOL_MB` of rows under way. Done by
the driver, in files instead of a runner's shuffle: the local runner holds a shuffle in memory (about 5 GB for 1 GB).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.inputs import InputFile, Inputs, expand, read_inputs
from jobs.schemas import fit_table
from model.errors import ConfigError
from transforms.columns import ColumnMap, ColumnOverrides

BUCKET_MB: Final = 128
GROUP_MB: Final = 32
MAX_BUCKETS: Final = 256
SPOOL_MB: Final = 64
_BATCH_ROWS: Final = 512
FOLDER, MANIFEST = "grouped", "grouped.json"


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


def group_by_repository(
    patterns: Sequence[str], job_dir: str, overrides: ColumnOverrides, *, limit: int | None = None
) -> Grouped:
    """Groups the input into `job_dir/grouped/`, or finds that it is grouped already.

    Raises:
        ConfigError: The input names nothing, has no repository or path column, or was another when it was grouped.
    """
    manifest_path = storage.join(job_dir, MANIFEST)
    asked = {"input": list(patterns), "columns": _asked_columns(overrides), "limit": limit}
    if storage.exists(manifest_path):
        manifest = json.loads(storage.read_bytes(manifest_path))
        if manifest["asked"] != asked:
            raise ConfigError(
                f"{job_dir} was grouped for --input {' '.join(manifest['asked']['input'])}; a resumed job can't change "
                "--input, --limit or columns; choose another --output"
            )
        return Grouped(manifest["folder"], tuple(map(tuple, manifest["bad_files"])), manifest["rows"])
    inputs = read_inputs(expand(patterns), overrides)
    _check_columns(inputs.columns)
    # A folder of its own for each try: what an interrupted one left behind is never read.
    folder = storage.join(job_dir, FOLDER, hashlib.sha256(os.urandom(16)).hexdigest()[:12])
    bad = [(file.uri, f"{file.reason}: {file.detail}") for file in inputs.files if file.state == "bad"]
    with tempfile.TemporaryDirectory(prefix="codemill-group-") as spool:
        writers, rows = _spool(inputs, spool, bad, limit)
        for number, path in enumerate(writers):
            _write_bucket(path, storage.join(folder, f"repositories-{number:05d}.parquet"))
    if not rows:
        raise ConfigError(f"the input has no rows: {len(inputs.files)} files")
    grouped = Grouped(folder, tuple(bad), rows)
    record = {"asked": asked, "folder": folder, "bad_files": bad, "rows": rows}
    storage.write_bytes(manifest_path, json.dumps(record, indent=1).encode())
    return grouped


def _asked_columns(overrides: ColumnOverrides) -> dict[str, str | None]:
    names = ("content", "path", "repo_name", "language")
    return {name: getattr(overrides, name) for name in names}


def _check_columns(columns: ColumnMap) -> None:
    for name, flag in (("repo_name", "--repo_column"), ("path", "--path_column")):
        if getattr(columns, name) is None:
            what = "repository" if name == "repo_name" else "path"
            raise ConfigError(f"the input has no {what} column, which grouping needs; name it with {flag}")


# --- pass 1 ----------------------------------------------------------------------------------------


def _spool(inputs: Inputs, folder: str, bad: list[tuple[str, str]], limit: int | None) -> tuple[list[str], int]:
    """Spreads all rows over buckets; returns the buckets' files and the number of rows."""
    num_bytes = sum(file.num_bytes for file in inputs.files if file.state == "good")
    # Parquet of source shrinks to about a quarter.
    count = min(MAX_BUCKETS, 1 + int(4 * num_bytes / (BUCKET_MB * 1_000_000)))
    paths = [os.path.join(folder, f"{number:05d}.parquet") for number in range(count)]
    schema = _grouped_schema(inputs)
    writers = [pq.ParquetWriter(path, schema, compression="zstd") for path in paths]
    waiting: list[list[pa.Table]] = [[] for _ in paths]
    waiting_bytes = rows = 0

    def flush() -> None:
        for number, tables in enumerate(waiting):
            if tables:
                writers[number].write_table(pa.concat_tables(tables))
                tables.clear()

    try:
        for file in inputs.files:
            if file.state != "good":
                continue
            try:
                for table in _read(file, inputs, schema):
                    table = table if limit is None else table.slice(0, limit - rows)
                    rows += table.num_rows
                    waiting_bytes += table.nbytes
                    for number, part in _split(table, count):
                        waiting[number].append(part)
                    if waiting_bytes > SPOOL_MB * 1_000_000:
                        flush()
                        waiting_bytes = 0
            except (pa.ArrowException, OSError) as error:
                bad.append((file.uri, f"damaged_input: {' '.join(str(error).split())[:300]}"))
        flush()
    finally:
        for writer in writers:
            writer.close()
    return paths, rows


def _grouped_schema(inputs: Inputs) -> pa.Schema:
    return pa.schema(
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


def _read(file: InputFile, inputs: Inputs, schema: pa.Schema) -> Iterator[pa.Table]:
    columns = inputs.columns
    names = {"content": columns.content, "path": columns.path}
    names |= {"repo_name": columns.repo_name, "language": columns.language}
    with storage.open_input(file.uri) as opened, pq.ParquetFile(opened) as parquet:
        present = set(parquet.schema_arrow.names)
        used = {part: name for part, name in names.items() if name is not None and name in present}
        projected = list(dict.fromkeys(used.values()))
        for group in range(parquet.num_row_groups):
            row = 0
            for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=projected):
                count = batch.num_rows
                table = pa.table({part: batch.column(name) for part, name in used.items()})
                table = table.append_column("source_uri", pa.array([file.uri] * count, pa.large_string()))
                table = table.append_column("source_row_group", pa.array([group] * count, pa.int32()))
                table = table.append_column("source_row", pa.array(range(row, row + count), pa.int64()))
                row += count
                yield fit_table(table, schema)


def _split(table: pa.Table, count: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket. A row without a repository goes by its path."""
    keys = pc.coalesce(table.column("repo_name"), table.column("path"), pa.scalar("", pa.large_string()))
    buckets = [_bucket(key, count) for key in keys.to_pylist()]
    for number in sorted(set(buckets)):
        yield number, table.take(pa.array([i for i, bucket in enumerate(buckets) if bucket == number], pa.int64()))


def _bucket(key: str, count: int) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


# --- pass 2 ----------------------------------------------------------------------------------------


def _write_bucket(path: str, output: str) -> None:
    """Sorts one bucket and writes it with whole repositories in each row group; an empty bucket has no file."""
    table = pq.read_table(path)
    os.remove(path)
    if not table.num_rows:
        return
    keys = [(name, "ascending") for name in ("repo_name", "path", "source_uri", "source_row_group", "source_row")]
    order = pc.sort_indices(table, sort_keys=keys)
    with storage.open_output(output) as file, pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for start, stop in _groups(table, order):
            # Taken a group at a time: a bucket isn't in memory twice.
            group = table.take(order.slice(start, stop - start))
            writer.write_table(group, row_group_size=group.num_rows)


def _groups(table: pa.Table, order: Any) -> Iterator[tuple[int, int]]:
    """Ranges of `order` that hold whole repositories, of about `GROUP_MB` each."""
    repositories = table.column("repo_name").take(order).to_pylist()
    sizes = pc.fill_null(pc.binary_length(table.column("content")), 0).take(order).to_pylist()
    start, size = 0, 0
    for place, repository in enumerate(repositories):
        is_new = place > 0 and (repository != repositories[place - 1] or not repository)
        if is_new and size + sizes[place] > GROUP_MB * 1_000_000:
            yield start, place
            start, size = place, 0
        size += sizes[place]
    yield start, len(repositories)
