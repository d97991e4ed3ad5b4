"""The plan: the rows that a job works on, split into units and frozen before the first unit runs.

    _job/inputs.parquet    each input file, its state, and why it is bad
    _job/plan.parquet      the units, in the order of the output
    _job/job.json          the description of the job, written last; from then on plan and options are fixed

A unit is a range of rows of one row group, bounded by rows, bytes and estimated tokens. A row group over a bound is
split into even parts; consecutive small row groups of a file are combined up to the bounds. A bad file is a unit as
well, with no rows and a failed commit from the start. A resumed job reads the existing plan, even if the glob matches
more files by then.

Cost: linear in units; about 100 bytes per unit in memory and less in the file.
"""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.footers import INPUTS_SCHEMA, InputFile, RowGroup
from jobs.plan.inputs import Inputs
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.work import Unit

# Measured with CodeGemma's vocabulary on 300 files of CPython's standard library: 4.81 MB are 1.41 M tokens.
BYTES_PER_TOKEN = 3.4
MAX_UNIT_TOKENS = 4_000_000
_INSIDE = "./"  # prefix of the stored path of a file inside the job's own folder
NO_ROW_GROUP = -1  # of a unit that represents a bad file

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
    ]
)


@dataclass(frozen=True, kw_only=True)
class UnitBounds:
    """The maximum size of a unit. A single row that exceeds `bytes` is a separate unit.

    `join` combines small row groups; without it, no unit spans several row groups.
    """

    rows: int = 256
    bytes: int = 16_000_000
    tokens: int = MAX_UNIT_TOKENS
    join: bool = True

    @classmethod
    def row_groups(cls) -> UnitBounds:
        """Returns bounds that make each row group a unit, whatever its size."""
        return cls(rows=2**62, bytes=2**62, tokens=2**56, join=False)

    def parts(self, run: _Run) -> int:
        """Returns the number of units into which the rows must be split."""
        most = min(
            self.rows,
            self.bytes * run.rows // max(run.num_bytes, 1),
            int(self.tokens * BYTES_PER_TOKEN) * run.rows // max(run.content_bytes, 1),
        )
        return -(-run.rows // max(most, 1))


@dataclass(frozen=True)
class _Run:
    """Consecutive row groups: the number of the first, the rows of each and of all, the bytes of all."""

    first: int
    group_rows: tuple[int, ...]
    rows: int
    num_bytes: int
    content_bytes: int

    def and_then(self, other: _Run) -> _Run:
        return _Run(
            self.first,
            self.group_rows + other.group_rows,
            self.rows + other.rows,
            self.num_bytes + other.num_bytes,
            self.content_bytes + other.content_bytes,
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


def make_plan(
    inputs: Inputs,
    *,
    columns: Sequence[str],
    bounds: UnitBounds,
    limit: int | None = None,
    retry: Mapping[tuple[str, int], Sequence[int]] | None = None,
) -> Plan:
    """Splits the inputs into units.

    Args:
        inputs: The files with their footers.
        columns: The columns that are read.
        bounds: The maximum size of a unit.
        limit: Take only the first `limit` rows; files after them are not examined.
        retry: Take only these rows, by file (its public name) and row group.
    """
    units: list[Unit] = []
    files: list[InputFile] = []
    left = limit
    for file in inputs.files:
        if left == 0:
            break
        cut = list(_cut_file(file, inputs, columns, bounds, retry))
        if left is not None:
            cut = list(_take_rows(cut, left))
            left -= sum(map(planned_rows, cut))
        files.append(file)
        units += cut
    return Plan(tuple(_named(units)), tuple(files))


def _cut_file(
    file: InputFile,
    inputs: Inputs,
    columns: Sequence[str],
    bounds: UnitBounds,
    retry: Mapping[tuple[str, int], Sequence[int]] | None,
) -> Iterator[Unit]:
    if file.state == "bad":
        yield _unit(file, NO_ROW_GROUP, 0, 0, 0)
    if file.state != "good":
        return
    for run in _runs(inputs.footers[file.uri].groups, columns, inputs.columns.content, bounds):
        wanted = [] if retry is None else list(_rows_to_retry(file, run, retry))
        for start, count in _even_ranges(run.rows, bounds.parts(run)):
            unit = _unit(file, run.first, start, count, run.num_bytes * count // run.rows)
            if len(run.group_rows) > 1:
                unit = replace(unit, group_rows=run.group_rows)
            if retry is None:
                yield unit
                continue
            rows = wanted[bisect_left(wanted, start) : bisect_left(wanted, start + count)]
            if rows:
                yield _narrowed(unit, tuple(rows))


def _runs(groups: Sequence[RowGroup], columns: Sequence[str], content: str, bounds: UnitBounds) -> Iterator[_Run]:
    """Yields a file's row groups in order, small ones combined; empty groups are skipped or inside a combined run."""
    run: _Run | None = None
    for index, group in enumerate(groups):
        num_bytes = sum(group.column_bytes.get(name, 0) for name in columns)
        one = _Run(index, (group.rows,), group.rows, num_bytes, group.column_bytes.get(content, 0))
        if run is not None and bounds.join and bounds.parts(run.and_then(one)) == 1:
            run = run.and_then(one)
            continue
        if run is not None:
            yield run
        run = one if group.rows else None
    if run is not None:
        yield run


def _rows_to_retry(file: InputFile, run: _Run, retry: Mapping[tuple[str, int], Sequence[int]]) -> Iterator[int]:
    """Yields the wanted rows of these row groups, counted from the first row of the first group."""
    before = 0
    for index, rows in enumerate(run.group_rows, run.first):
        yield from (before + row for row in retry.get((file.public_name, index), ()))
        before += rows


def _unit(file: InputFile, row_group: int, start: int, count: int, num_bytes: int) -> Unit:
    return Unit(
        unit_id="",
        uri=file.uri,
        name=file.name,
        version=file.version,
        row_group=row_group,
        row_start=start,
        row_count=count,
        num_bytes=num_bytes,
    )


def _narrowed(unit: Unit, rows: tuple[int, ...]) -> Unit:
    """Returns the unit with only these of its rows, and the smallest range that includes them."""
    return replace(unit, row_start=rows[0], row_count=rows[-1] - rows[0] + 1, retry_rows=rows)


def _even_ranges(total: int, parts: int) -> Iterator[tuple[int, int]]:
    for part in range(parts):
        start, end = total * part // parts, total * (part + 1) // parts
        yield start, end - start


def _take_rows(units: Iterable[Unit], limit: int) -> Iterator[Unit]:
    for unit in units:
        rows = planned_rows(unit)
        if rows <= limit:
            yield unit
        elif limit > 0 and unit.retry_rows is not None:
            yield _narrowed(unit, unit.retry_rows[:limit])
        elif limit > 0:
            yield replace(unit, row_count=limit, num_bytes=unit.num_bytes * limit // unit.row_count)
        limit = max(0, limit - rows)


def _named(units: Sequence[Unit]) -> Iterator[Unit]:
    """Assigns ids to units: the position in the plan, then a hash of the rest, so that ids sort in plan order."""
    width = max(6, len(str(len(units))))
    for position, unit in enumerate(units):
        rows = [unit.row_group, unit.row_start, unit.row_count, unit.retry_rows, unit.group_rows]
        rest = repr([unit.uri, unit.version, *rows])
        digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
        yield replace(unit, unit_id=f"{position:0{width}d}-{digest}")


# --- the plan as files -----------------------------------------------------------------------------


def _stored(record: dict[str, Any], job_dir: JobFolder | None) -> dict[str, Any]:
    """Returns the frozen form of a record of a file or unit: paths in the job's own folder become relative to it."""
    inside = job_dir.join("") if job_dir else ""
    uri = record["uri"]
    return {**record, "uri": _INSIDE + uri[len(inside) :]} if inside and uri.startswith(inside) else record


def _found(record: dict[str, Any], job_dir: JobFolder) -> dict[str, Any]:
    """Reverses `_stored` for the job folder's current location."""
    uri = record["uri"]
    return {**record, "uri": job_dir.join(uri[len(_INSIDE) :])} if uri.startswith(_INSIDE) else record


def plan_to_parquet(units: Iterable[Unit], job_dir: JobFolder | None = None) -> bytes:
    """Returns the plan as the bytes of a Parquet file; equal units produce equal bytes."""
    records = [_stored(asdict(unit), job_dir) for unit in units]
    return _parquet_bytes(pa.Table.from_pylist(records, schema=PLAN_SCHEMA))


def inputs_to_parquet(files: Iterable[InputFile], job_dir: JobFolder | None = None) -> bytes:
    """Returns the list of input files as the bytes of a Parquet file."""
    records = [_stored(asdict(file), job_dir) for file in files]
    return _parquet_bytes(pa.Table.from_pylist(records, schema=INPUTS_SCHEMA))


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()


def read_plan(job_dir: JobFolder) -> Iterator[Unit]:
    """Yields the frozen plan's units in plan order; one batch of them is in memory at a time."""
    with storage.open_input(job_dir.plan) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(8192):
            for stored in batch.to_pylist():
                record = _found(stored, job_dir)
                for name in ("retry_rows", "group_rows"):
                    record[name] = record.get(name) and tuple(record[name])
                yield Unit(**record)


def read_input_files(job_dir: JobFolder) -> list[InputFile]:
    """Returns the input files that the plan was made from."""
    table = pq.read_table(io.BytesIO(storage.read_bytes(job_dir.inputs)))
    return [InputFile(**_found(record, job_dir)) for record in table.to_pylist()]


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
