"""Reads one unit: its rows, its columns, nothing else, in the job's one input schema.

A row range is cut from its row group batch by batch, so that a big group isn't held whole for a small range (its pages
are decoded again up to the range's end). The file must be the one that was planned: its version is compared before
anything is read, since a changed file would give rows that no ledger knows.

Works on local paths and on every URL that fsspec knows.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.schemas import fit_table
from model.errors import RecordError
from transforms.work import Unit

_BATCH_ROWS = 256


class UnreadableUnit(RecordError):
    """A unit that can't be read, however often one tries: it gets a terminal failed commit.

    Reasons: `input_missing`, `input_changed`, `damaged_input`. A storage that doesn't answer is none of these: its
    error passes through, and trying again may help.
    """


def read_unit(unit: Unit, schema: pa.Schema) -> tuple[pa.Table, list[int]]:
    """Reads a unit's rows.

    Args:
        unit: What to read; with `retry_rows`, only those rows of its range.
        schema: The columns to read, as in the plan (`JobFile.read_schema`); null where the file lacks one.

    Returns:
        The table, and for each of its rows the offset within the row group.

    Raises:
        UnreadableUnit: The file is gone, has changed since it was planned, or is damaged.
    """
    check_version(unit)
    wanted = list(range(unit.row_start, unit.row_start + unit.row_count))
    try:
        with (
            storage.open_input(unit.uri) as file,
            # Checksums are optional in Parquet; where a writer made them, damage can't pass for content.
            pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True) as parquet,
        ):
            names = [name for name in schema.names if name in parquet.schema_arrow.names]
            table = _read_range(parquet, unit, names)
    except FileNotFoundError:
        raise UnreadableUnit("input_missing", f"{unit.uri} is gone") from None
    except pa.ArrowException as error:
        raise _damaged(unit, error) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None or storage.is_unanswered(error):
            raise  # the storage's fault, not the file's: Arrow reports bad bytes as a bare OSError
        raise _damaged(unit, error) from error
    if unit.retry_rows is not None:
        wanted = list(unit.retry_rows)
        table = table.take(pa.array([row - unit.row_start for row in wanted], pa.int64()))
    assert table.num_rows == len(wanted), f"{unit.unit_id}: {table.num_rows} rows read, {len(wanted)} planned"
    return fit_table(table, schema), wanted


def check_version(unit: Unit) -> None:
    """Raises UnreadableUnit where the unit's file is not the one that was planned."""
    try:
        _, version = storage.file_info(unit.uri)
    except FileNotFoundError:
        raise UnreadableUnit("input_missing", f"{unit.uri} is gone") from None
    if version != unit.version:
        raise UnreadableUnit(
            "input_changed",
            f"{unit.uri} has changed since it was planned (version {unit.version}, now {version}); "
            "its rows are missing from this output: give the file as --input of a job of its own",
        )


def _read_range(parquet: pq.ParquetFile, unit: Unit, names: list[str]) -> pa.Table:
    group_rows = parquet.metadata.row_group(unit.row_group).num_rows
    end = unit.row_start + unit.row_count
    if not names:
        # Nothing of the projection is in this file; the rows are there all the same.
        return pa.table({"": pa.nulls(unit.row_count)})
    if unit.row_start == 0 and end == group_rows:
        return parquet.read_row_group(unit.row_group, columns=names)
    pieces, position = [], 0
    for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[unit.row_group], columns=names):
        first, last = max(unit.row_start - position, 0), min(end - position, batch.num_rows)
        if first < last:
            pieces.append(batch.slice(first, last - first))
        position += batch.num_rows
        if position >= end:
            break
    return pa.Table.from_batches(pieces)


def _damaged(unit: Unit, error: Exception) -> UnreadableUnit:
    line = " ".join(str(error).split())[:300]
    return UnreadableUnit("damaged_input", f"{unit.uri}, row group {unit.row_group}: {line}")
