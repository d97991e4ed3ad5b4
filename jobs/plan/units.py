"""The plan: which rows a job works on, cut into units, frozen before the first one runs.

    _job/inputs.parquet    each input file, its state, and why it is bad
    _job/plan.parquet      the units, in the order of the output
    _job/job.json          written last: what the job is; from then on plan and options stand

A unit is a range of rows of one row group, bounded by rows, bytes and estimated tokens. A group over a bound is cut
into even parts; small ones that follow each other in a file are put together up to the bounds. A bad file is a
unit as well, with no rows and a failed commit from the start. A resumed job reads the plan that stands, even if
the glob has grown since.

Cost: linear in units; 100 bytes or so a unit in memory and less in the file.
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

# CodeGemma's own vocabulary over 300 files of CPython's standard library: 4.81 MB are 1.41 M tokens.
BYTES_PER_TOKEN = 3.4
MAX_UNIT_TOKENS = 4_000_000
_INSIDE = "./"  # begins the stored name of a file in the job's own folder
NO_ROW_GROUP = -1  # of a unit that stands for a bad file

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
    """How big a unit may be. A single row may be over the bytes: it is a unit of its own.

    `join` puts small row groups together; without it no unit reaches beyond its row group.
    """

    rows: int = 256
    bytes: int = 16_000_000
    tokens: int = MAX_UNIT_TOKENS
    join: bool = True

    @classmethod
    def row_groups(cls) -> UnitBounds:
        """Bounds that make each row group a unit, whatever its size."""
        return cls(rows=2**62, bytes=2**62, tokens=2**56, join=False)

    def parts(self, run: _Run) -> int:
        """Into how many units the rows must be cut."""
        most = min(
            self.rows,
            self.bytes * run.rows // max(run.num_bytes, 1),
            int(self.tokens * BYTES_PER_TOKEN) * run.rows // max(run.content_bytes, 1),
        )
        return -(-run.rows // max(most, 1))


@dataclass(frozen=True)
class _Run:
    """Row groups that follow each other: the first one's number, the rows of each and of all, bytes of all."""

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
    """What the job works on."""

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
    """How many source rows a unit stands for."""
    return unit.row_count if unit.retry_rows is None else len(unit.retry_rows)


def make_plan(
    inputs: Inputs,
    *,
    columns: Sequence[str],
    bounds: UnitBounds,
    limit: int | None = None,
    retry: Mapping[tuple[str, int], Sequence[int]] | None = None,
) -> Plan:
    """Cuts the inputs into units.

    Args:
        inputs: The files with their footers.
        columns: The columns that are read.
        bounds: How big a unit may be.
        limit: Take only the first so many rows; files beyond them are not looked at.
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
    """A file's row groups in order, small ones put together; those without rows are left out or lie in between."""
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
    """The wanted rows of these row groups, counted from the first of them on."""
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
    """The unit with only these rows of it, and its range drawn tight around them."""
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
    """Gives units their ids: position in the plan, then a hash of the rest, so that ids sort in plan order."""
    width = max(6, len(str(len(units))))
    for position, unit in enumerate(units):
        rows = [unit.row_group, unit.row_start, unit.row_count, unit.retry_rows, unit.group_rows]
        rest = repr([unit.uri, unit.version, *rows])
        digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
        yield replace(unit, unit_id=f"{position:0{width}d}-{digest}")


# --- the plan as files -----------------------------------------------------------------------------


def _stored(record: dict[str, Any], job_dir: JobFolder | None) -> dict[str, Any]:
    """The record of a file or unit as it is frozen: what lies in the job's own folder moves with it."""
    inside = job_dir.join("") if job_dir else ""
    uri = record["uri"]
    return {**record, "uri": _INSIDE + uri[len(inside) :]} if inside and uri.startswith(inside) else record


def _found(record: dict[str, Any], job_dir: JobFolder) -> dict[str, Any]:
    """What `_stored` froze, where the job's folder lies now."""
    uri = record["uri"]
    return {**record, "uri": job_dir.join(uri[len(_INSIDE) :])} if uri.startswith(_INSIDE) else record


def plan_to_parquet(units: Iterable[Unit], job_dir: JobFolder | None = None) -> bytes:
    """The plan as the bytes of a Parquet file; the same units give the same bytes."""
    records = [_stored(asdict(unit), job_dir) for unit in units]
    return _parquet_bytes(pa.Table.from_pylist(records, schema=PLAN_SCHEMA))


def inputs_to_parquet(files: Iterable[InputFile], job_dir: JobFolder | None = None) -> bytes:
    """The list of input files as the bytes of a Parquet file."""
    records = [_stored(asdict(file), job_dir) for file in files]
    return _parquet_bytes(pa.Table.from_pylist(records, schema=INPUTS_SCHEMA))


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()


def read_plan(job_dir: JobFolder) -> Iterator[Unit]:
    """The frozen plan's units, in plan order, a batch in memory at a time."""
    with storage.open_input(job_dir.plan) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(8192):
            for stored in batch.to_pylist():
                record = _found(stored, job_dir)
                for name in ("retry_rows", "group_rows"):
                    record[name] = record.get(name) and tuple(record[name])
                yield Unit(**record)


def read_input_files(job_dir: JobFolder) -> list[InputFile]:
    """The input files that the plan was made of."""
    table = pq.read_table(io.BytesIO(storage.read_bytes(job_dir.inputs)))
    return [InputFile(**_found(record, job_dir)) for record in table.to_pylist()]


# --- rows that an earlier job rejected -------------------------------------------------------------


def rejected_rows(output: OutputFolder) -> tuple[list[InputFile], dict[tuple[str, int], list[int]]]:
    """The rows that a finished job rejected.

    Returns:
        The files that hold any, as that job found them, and the rows by file (its public name) and row group, sorted.

    Raises:
        ConfigError: `output` is no finished job's, or it rejected no rows.
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
