"""Which rows new and changed files have, and which of them a dataset must not take in.

The rows are read for their identities alone, before anything is planned. What can't be read counts as new, and the unit
that is to read it says why it can't.

Cost: reading content, path and repository of these files, and one SHA-256 of each content; 100 bytes of memory a row.
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.execution.cursors import close_cursors
from jobs.execution.reading import read_unit
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.inputs import Inputs
from jobs.plan.units import NO_ROW_GROUP
from jobs.storage.folders import OutputFolder
from model.errors import RecordError
from transforms.growth.identity import HASH_BYTES, ROWS_SCHEMA, identities, identity_columns
from transforms.rows.row import SourceRef

Rows = dict[tuple[str, int], list[int]]
"""Rows by file (its public name) and row group."""
_BOUNDS = UnitBounds(rows=8192, bytes=16_000_000)
REMOVED_SCHEMA = pa.schema([pa.field("key", pa.binary(HASH_BYTES)), pa.field("content", pa.binary(HASH_BYTES))])


@dataclass(frozen=True)
class Present:
    """The rows of files: those that could be identified, as `ROWS_SCHEMA`, and the places of the others."""

    identified: pa.Table
    others: Rows


def read_present(inputs: Inputs) -> Present:
    """Reads the rows of files for their identities."""
    tables = [ROWS_SCHEMA.empty_table()]
    others: Rows = defaultdict(list)
    names = identity_columns(inputs.schema, inputs.columns)
    schema = pa.schema([inputs.schema.field(name) for name in names])
    for unit in make_plan(inputs, columns=names, bounds=_BOUNDS).units:
        if unit.row_group == NO_ROW_GROUP:
            continue
        for first, file in unit.by_file():
            try:
                table, rows = read_unit(file, schema)
            except (RecordError, OSError):
                for row in file.rows:
                    name, group, place = unit.place(first + row)
                    others[name, group].append(place)
                continue
            tables.append(identities(table, [SourceRef(*file.place(row)) for row in rows], inputs.columns))
    close_cursors()
    return Present(pa.concat_tables(tables), dict(others))


def rows_to_read(present: Present, is_new: list[bool]) -> Rows:
    """The places of the rows that are new, with those of rows that could not be identified; each sorted."""
    found: Rows = defaultdict(list)
    new = present.identified.filter(pa.array(is_new, pa.bool_()))
    for name, group, row in zip(*(new[column].to_pylist() for column in ("name", "row_group", "row")), strict=True):
        found[name, group].append(row)
    for place, rows in present.others.items():
        found[place] += rows
    return {place: sorted(rows) for place, rows in found.items()}


class Removed:
    """The rows that were removed from a dataset for good.

    Args:
        table: Of `REMOVED_SCHEMA`: a row is removed if it has both hashes, of which one may be null.
    """

    def __init__(self, table: pa.Table):
        pairs = set(zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True))
        self._keys = {key for key, content in pairs if content is None}
        self._contents = {content for key, content in pairs if key is None}
        self._pairs = pairs

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def has(self, rows: pa.Table) -> list[bool]:
        """Whether each of these rows, with their identities, was removed."""
        return [
            (key, content) in self._pairs or key in self._keys or content in self._contents
            for key, content in zip(rows["key"].to_pylist(), rows["content"].to_pylist(), strict=True)
        ]


def read_removed(output: OutputFolder) -> Removed:
    """The rows that were removed from a dataset for good; none if nothing was."""
    try:
        data = storage.read_bytes(output.first_job.removed)
    except FileNotFoundError:
        return Removed(REMOVED_SCHEMA.empty_table())
    return Removed(pq.read_table(io.BytesIO(data)))
