"""Reads units piece by piece: only their rows and columns, in the job's input schema.

A footer states the encoded size of a column; with a dictionary, the decoded size may be a thousand times as large. A
unit is therefore read in pieces with a maximum of decoded bytes, which one batch (`jobs.execution.cursors`) may exceed.

The file must be the one that was planned: its version is compared before anything is read, since a changed file would
yield rows that are in no ledger. Works with local paths and every URL that fsspec supports.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

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
        UnreadableUnit: A file is missing, has changed since it was planned, or is damaged.
    """
    tables: list[pa.Table] = []
    rows: list[int] = []
    before, num_bytes = 0, 0
    for first, file in unit.by_file():
        skipped = max(0, done - before)
        before += len(file.rows)
        if done < before and num_bytes < max_bytes:
            for table, numbers in _read_file(file, schema, skipped, max_bytes - num_bytes):
                tables.append(table)
                rows += [first + number for number in numbers]
                num_bytes += table.nbytes
    return (pa.concat_tables(tables) if tables else schema.empty_table()), rows


def _read_file(unit: Unit, schema: pa.Schema, done: int, max_bytes: float) -> Iterator[tuple[pa.Table, Sequence[int]]]:
    """Yields the next rows of a unit of one file, one batch at a time, until there are `max_bytes`."""
    check_version(unit)
    constants = partition_values(unit.uri)
    wanted, names = unit.rows, tuple(schema.names)
    num_bytes = 0
    try:
        while done < len(wanted) and num_bytes < max_bytes:
            first, batch = batch_at(unit, names, wanted[done])
            table = fit_table(pa.Table.from_batches([batch]), schema, constants)
            until = bisect_left(wanted, first + batch.num_rows)
            rows = wanted[done:until]
            taken = _take(table, [row - first for row in rows])
            num_bytes += taken.nbytes
            done = until
            yield taken, rows
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


def _take(table: pa.Table, places: list[int]) -> pa.Table:
    """Returns these rows of the table in order; without a copy if they are contiguous."""
    if places[-1] - places[0] == len(places) - 1:
        return table.slice(places[0], len(places))
    return table.take(pa.array(places, pa.int64()))


def check_version(unit: Unit) -> None:
    """Raises UnreadableUnit if the unit's file is missing or is not the one that was planned."""
    try:
        is_same = storage.has_version(unit.uri, unit.version)
    except FileNotFoundError:
        raise UnreadableUnit("input_missing", f"{unit.public_name} is gone") from None
    if not is_same:
        _, version = storage.file_info(unit.uri)
        raise UnreadableUnit(
            "input_changed",
            f"{unit.public_name} has changed since it was planned (version {unit.version}, now {version}); "
            "its rows are missing from this output; process the file in a separate job with --input",
        )


def _damaged(unit: Unit, error: Exception) -> UnreadableUnit:
    line = " ".join(str(error).split())[:300]
    return UnreadableUnit("damaged_input", f"{unit.public_name}, row group {unit.row_group}: {line}")
