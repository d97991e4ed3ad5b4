"""Reads units piece by piece: only their rows and columns, in the job's input schema.

A footer states the encoded size of a column; with a dictionary, the decoded size may be a thousand times as large. A
unit is therefore read in pieces with a maximum of decoded bytes, which one batch (`jobs.execution.cursors`) may exceed.

The file must be the one that was planned: its version is compared before anything is read, since a changed file would
yield rows that are in no ledger. Works with local paths and every URL that fsspec supports.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa

from jobs import storage
from jobs.errors import UnreadableUnit
from jobs.execution.cursors import batch_at
from jobs.plan.partitions import partition_values
from jobs.plan.schemas import fit_table
from transforms.work import Unit


def read_unit(unit: Unit, schema: pa.Schema) -> tuple[pa.Table, list[int]]:
    """Reads all rows of a unit at once, whatever their size; see `read_piece`."""
    return read_piece(unit, schema)


def read_piece(
    unit: Unit, schema: pa.Schema, *, done: int = 0, max_bytes: float = float("inf")
) -> tuple[pa.Table, list[int]]:
    """Reads a unit's next rows, at least one.

    Args:
        unit: The unit to read; with `retry_rows`, only those rows of its range.
        schema: The columns to read, as in the plan (`JobFile.read_schema`); a column that the file lacks has the
            value in the names of its folders (`jobs.plan.partitions`), else null.
        done: How many of the unit's rows have been read before.
        max_bytes: Stop once at least this many bytes are decoded.

    Returns:
        The table, and for each of its rows the row number that `Unit.place` accepts.

    Raises:
        UnreadableUnit: The file is missing, has changed since it was planned, or is damaged.
    """
    check_version(unit)
    wanted: Sequence[int] = unit.retry_rows or range(unit.row_start, unit.row_start + unit.row_count)
    tables: list[pa.Table] = []
    rows: list[int] = []
    num_bytes = 0
    constants = partition_values(unit.uri)
    try:
        while done < len(wanted) and num_bytes < max_bytes:
            first, batch = batch_at(unit, tuple(schema.names), wanted[done])
            table = fit_table(pa.Table.from_batches([batch]), schema, constants)
            until = bisect_left(wanted, first + batch.num_rows)
            places = [row - first for row in wanted[done:until]]
            tables.append(_take(table, places))
            rows += wanted[done:until]
            num_bytes += tables[-1].nbytes
            done = until
    except FileNotFoundError:
        raise UnreadableUnit("input_missing", f"{unit.public_name} is gone") from None
    except MemoryError:  # also Arrow's
        raise
    except pa.ArrowException as error:
        raise _damaged(unit, error) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None or storage.is_unanswered(error):
            raise  # the storage's fault, not the file's: Arrow reports bad bytes as a bare OSError
        raise _damaged(unit, error) from error
    return (pa.concat_tables(tables) if tables else schema.empty_table()), rows


def _take(table: pa.Table, places: list[int]) -> pa.Table:
    """Returns these rows of the table in order; without a copy if they are contiguous."""
    if places[-1] - places[0] == len(places) - 1:
        return table.slice(places[0], len(places))
    return table.take(pa.array(places, pa.int64()))


def check_version(unit: Unit) -> None:
    """Raises UnreadableUnit if the unit's file is missing or is not the one that was planned."""
    try:
        _, version = storage.file_info(unit.uri)
    except FileNotFoundError:
        raise UnreadableUnit("input_missing", f"{unit.public_name} is gone") from None
    if version != unit.version:
        raise UnreadableUnit(
            "input_changed",
            f"{unit.public_name} has changed since it was planned (version {unit.version}, now {version}); "
            "its rows are missing from this output; process the file in a separate job with --input",
        )


def _damaged(unit: Unit, error: Exception) -> UnreadableUnit:
    line = " ".join(str(error).split())[:300]
    return UnreadableUnit("damaged_input", f"{unit.public_name}, row group {unit.row_group}: {line}")
