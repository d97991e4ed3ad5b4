"""Which rows a dataset was made of: files that attempts write, and the rows of an edition.

    _job/rows/<unit>.<attempt>.parquet              what one attempt read; written before its commit
    _job/editions/0002/rows/...                     the same of an edition that grew
    _job/editions/0002/live.parquet                 the rows of earlier editions that are in it as well

A row of an edition (`LIVE_SCHEMA`) has its identity, the edition whose unit read it and where, and the file that it is
in now: corpora are merged anew and cut differently, and the rows stay the same. Units that failed have no rows here, so
their rows count as new as soon as their file is looked at again.

Cost: one more small file per unit, about 30 bytes a row.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.ledger.commits import list_commits, read_commits
from jobs.plan.job_file import JobFile
from jobs.plan.schemas import schema_from_text
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.growth.identity import ROWS_SCHEMA
from transforms.rows.columns import ColumnMap
from transforms.work import number_of

LIVE_SCHEMA: Final = pa.schema(
    [
        *ROWS_SCHEMA,
        pa.field("edition", pa.int32(), nullable=False),
        pa.field("file", pa.large_string()),  # the public name of the file that has the row now; null: none
        pa.field("unit", pa.int32()),  # the number of the unit that read it; null in lists of earlier versions
    ]
)
DEAD_SCHEMA: Final = pa.schema([*LIVE_SCHEMA, pa.field("reason", pa.string(), nullable=False)])
_BATCH_ROWS: Final = 65_536
_UNKNOWN_ROWS: Final = (
    "{} can't grow: nothing says which rows it was made of, since an earlier version of codemill began it, or none "
    "could be read; make it anew in another --output"
)


def identity_map(job: JobFile, columns: ColumnMap) -> ColumnMap:
    """Those of some columns that identify the job's rows: texts that `dedup` compares stand for the content."""
    text_column = job.options.get("text_column")
    return replace(columns, content=text_column) if text_column else columns


def input_of(output: OutputFolder, job: JobFile) -> tuple[pa.Schema, ColumnMap]:
    """Schema and columns of the input; of a job that groups it, those before it is grouped.

    Raises:
        ConfigError: An earlier version of codemill grouped it.
    """
    if not storage.exists(output.job.grouping):
        return schema_from_text(job.input_schema), job.column_map
    manifest = json.loads(storage.read_bytes(output.job.grouping))
    if "schema" not in manifest:
        raise ConfigError(_UNKNOWN_ROWS.format(output))
    return schema_from_text(manifest["schema"]), ColumnMap(**manifest["columns"])


def write_identities(job_dir: JobFolder, unit_id: str, attempt_id: str, read: Sequence[pa.Table]) -> None:
    """Writes the identities of the rows that an attempt read; its commit makes them durable."""
    sink = io.BytesIO()
    pq.write_table(pa.concat_tables(read), sink, compression="zstd")
    storage.write_bytes(job_dir.rows_of(unit_id, attempt_id), sink.getvalue(), durable=False)


def live_rows(output: OutputFolder) -> Iterator[pa.Table]:
    """Yields the rows of a complete edition in parts: those of earlier editions, then its own in plan order.

    Raises:
        ConfigError: The edition has no such files.
    """
    waiting: list[pa.Table] = []
    num_rows = 0
    for table in _live_rows(output):
        waiting.append(table)
        num_rows += table.num_rows
        if num_rows >= _BATCH_ROWS:
            yield pa.concat_tables(waiting)
            waiting, num_rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _live_rows(output: OutputFolder) -> Iterator[pa.Table]:
    """The same in parts as they are stored: most are of one unit."""
    job_dir = output.job
    if output.edition > 1:
        yield from (_with_all(table, LIVE_SCHEMA) for table in _read(job_dir.live))
    found = set(storage.list_names(job_dir.rows))
    committed = list_commits(job_dir)
    if committed and not found and output.edition == 1:
        raise ConfigError(_UNKNOWN_ROWS.format(output))
    for commit in read_commits(job_dir):
        path = job_dir.rows_of(commit.unit_id, commit.attempt_id)
        if path.rpartition("/")[2] in found:
            for table in _read(path):
                for name, number in (("edition", output.edition), ("unit", number_of(commit.unit_id))):
                    same = pa.array([number] * table.num_rows, pa.int32())
                    table = table.append_column(LIVE_SCHEMA.field(name), same)
                yield table.append_column(LIVE_SCHEMA.field("file"), table["name"]).select(LIVE_SCHEMA.names)


def dead_rows(job_dir: JobFolder) -> pa.Table:
    """The rows of earlier editions that an edition leaves out, each with its reason."""
    found = (_with_all(table, DEAD_SCHEMA) for table in _read(job_dir.dead))
    return pa.concat_tables([DEAD_SCHEMA.empty_table(), *found])


def _with_all(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with null columns for those that an earlier version of codemill didn't write."""
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names)


def _read(path: str) -> Iterator[pa.Table]:
    try:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False):  # files of few rows: threads cost more
                yield pa.Table.from_batches([batch])
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing and the dataset can't grow without it; restore it") from None
    except pa.ArrowException as error:
        raise ConfigError(f"{path} is damaged, and the dataset can't grow without it ({error}); restore it") from None
