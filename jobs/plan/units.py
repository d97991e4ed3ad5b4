"""The plan: the rows that a job works on, split into units and frozen before the first unit runs.

    _job/inputs.parquet    each input file, its state, and why it is bad
    _job/plan.parquet      the units, in the order of the output
    _job/job.json          the description of the job, written last; from then on plan and options are fixed

`jobs.plan.cutting` makes the plan. A resumed job reads the existing one, even if the glob matches more files by then.

Cost: linear in units and files; about 200 bytes of each in memory and less in the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.footers import INPUTS_SCHEMA, InputFile
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.work import Unit, UnitFile

# Measured with CodeGemma's vocabulary on 300 files of CPython's standard library: 4.81 MB are 1.41 M tokens.
BYTES_PER_TOKEN = 3.4
_INSIDE = "./"  # prefix of the stored path of a file inside the job's own folder
NO_ROW_GROUP = -1  # of a unit that represents a bad file

_FILE = pa.struct(
    [
        pa.field("uri", pa.large_string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("name", pa.large_string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("group_rows", pa.list_(pa.int64()), nullable=False),
    ]
)
PLAN_SCHEMA = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("uri", pa.large_string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row_start", pa.int64(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("num_bytes", pa.int64(), nullable=False),
        pa.field("retry_rows", pa.list_(pa.int64())),
        pa.field("name", pa.large_string(), nullable=False),
        pa.field("group_rows", pa.list_(pa.int64())),
        pa.field("more", pa.list_(_FILE)),
    ]
)


@dataclass(frozen=True)
class Plan:
    """The units and input files that a job works on."""

    units: tuple[Unit, ...]
    files: tuple[InputFile, ...]

    @property
    def rows(self) -> int:
        """Source rows in all units."""
        return sum(planned_rows(unit) for unit in self.units)

    @property
    def num_bytes(self) -> int:
        """Estimated uncompressed bytes of the columns that are read."""
        return sum(unit.num_bytes for unit in self.units)

    @property
    def bad_files(self) -> list[InputFile]:
        """The files that can't be read."""
        return [file for file in self.files if file.state == "bad"]


def planned_rows(unit: Unit) -> int:
    """Returns the number of source rows in a unit."""
    return unit.row_count if unit.retry_rows is None else len(unit.retry_rows)


# --- the plan as files -----------------------------------------------------------------------------


def _stored(record: dict[str, Any], job_dir: JobFolder | None) -> dict[str, Any]:
    """Returns the frozen form of a record of a file or unit: paths in the job's own folder become relative to it."""
    return {**record, "uri": _stored_uri(record["uri"], job_dir)}


def _stored_uri(uri: str, job_dir: JobFolder | None) -> str:
    inside = "" if job_dir is None else job_dir.path + "/"
    return _INSIDE + uri[len(inside) :] if inside and uri.startswith(inside) else uri


def _found(record: dict[str, Any], job_dir: JobFolder) -> dict[str, Any]:
    """Reverses `_stored` for the job folder's current location."""
    return {**record, "uri": _found_uri(record["uri"], job_dir)}


def _found_uri(uri: str, job_dir: JobFolder) -> str:
    return job_dir.join(uri[len(_INSIDE) :]) if uri.startswith(_INSIDE) else uri


def plan_to_parquet(units: Iterable[Unit], job_dir: JobFolder | None = None) -> bytes:
    """Returns the plan as the bytes of a Parquet file; equal units produce equal bytes."""
    records = []
    for unit in units:
        record = _stored(asdict(unit), job_dir)
        records.append({**record, "more": [_stored(file, job_dir) for file in record["more"]]})
    return _parquet_bytes(pa.Table.from_pylist(records, schema=PLAN_SCHEMA))


def inputs_to_parquet(files: Iterable[InputFile], job_dir: JobFolder | None = None) -> bytes:
    """Returns the list of input files as the bytes of a Parquet file."""
    columns = dict(
        zip(InputFile._fields, zip(*files, strict=True), strict=False)
    )  # by columns: there may be many files
    columns["uri"] = tuple(_stored_uri(uri, job_dir) for uri in columns.get("uri", ()))
    arrays = [pa.array(columns.get(field.name, ()), field.type) for field in INPUTS_SCHEMA]
    return _parquet_bytes(pa.table(arrays, schema=INPUTS_SCHEMA))


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()


def read_plan(job_dir: JobFolder) -> Iterator[Unit]:
    """Yields the frozen plan's units in plan order; one batch of them is in memory at a time."""
    with storage.open_input(job_dir.plan) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(8192):
            for stored in batch.to_pylist():
                yield unit_of(stored, job_dir)


def unit_of(stored: Mapping[str, Any], job_dir: JobFolder) -> Unit:
    """Returns the unit of a row of the plan's file."""
    record = _found(dict(stored), job_dir)
    for name in ("retry_rows", "group_rows"):
        record[name] = record.get(name) and tuple(record[name])
    record["more"] = tuple(_unit_file(_found(one, job_dir)) for one in record.get("more") or ())
    return Unit(**record)


def _unit_file(record: Mapping[str, Any]) -> UnitFile:
    return UnitFile(**{**record, "group_rows": tuple(record["group_rows"])})


def read_source_files(job_dir: JobFolder) -> list[InputFile]:
    """Returns the files of the job's input, also where units read others that were made of them."""
    return _read_files(job_dir, job_dir.sources if storage.exists(job_dir.sources) else job_dir.inputs)


def read_input_files(job_dir: JobFolder) -> list[InputFile]:
    """Returns the files that the plan was made from."""
    return _read_files(job_dir, job_dir.inputs)


def _read_files(job_dir: JobFolder, path: str) -> list[InputFile]:
    table = pq.read_table(io.BytesIO(storage.read_bytes(path)))
    columns = [table[name].to_pylist() for name in InputFile._fields]  # a list of rows takes three times as long
    columns[0] = [_found_uri(uri, job_dir) if uri.startswith(_INSIDE) else uri for uri in columns[0]]
    return list(map(InputFile._make, zip(*columns, strict=True)))


# --- rows that an earlier job rejected -------------------------------------------------------------


def rejected_rows(output: OutputFolder) -> tuple[list[InputFile], dict[tuple[str, int], list[int]]]:
    """Reads which rows a finished job rejected.

    Returns:
        The files with rejected rows, as that job found them, and the sorted rows by public file name and row group.

    Raises:
        ConfigError: `output` is not the output of a finished job, or that job rejected no rows of Parquet files.
    """
    if not storage.exists(output.completed):
        raise ConfigError(f"--retry_rejected {output}: not the output of a finished job; finish that job first")
    rows: dict[tuple[str, int], set[int]] = {}
    for path in [storage.join(output.rejected, name) for name in storage.list_names(output.rejected)]:
        if not path.endswith(".parquet"):
            continue
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(8192, columns=["kind", "uri", "row_group", "row"]):
                for record in batch.to_pylist():
                    if record["kind"] == "row":
                        rows.setdefault((record["uri"], record["row_group"]), set()).add(record["row"])
    if not rows:
        raise ConfigError(f"--retry_rejected {output}: that job did not reject any rows; there is nothing to retry")
    names = {name for name, _ in rows}
    try:
        files = [file for file in read_input_files(output.job) if file.public_name in names]
    except FileNotFoundError:
        raise ConfigError(
            f"--retry_rejected {output}: its rejected files are not rows of Parquet; rerun that job on them"
        ) from None
    return files, {key: sorted(found) for key, found in rows.items()}
