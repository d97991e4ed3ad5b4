"""Which rows new and changed files have.

The rows are read for their identities alone, before anything is planned. What can't be read counts as new, and the unit
that is to read it says why it can't.

Cost: reading content, path and repository of these files, and one SHA-256 of each content; 100 bytes of memory a row.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa

from jobs.execution.cursors import close_cursors
from jobs.execution.reading import read_unit
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.inputs import Inputs
from jobs.plan.units import NO_ROW_GROUP
from model.errors import RecordError
from transforms.growth.identity import ROWS_SCHEMA, identities, identity_columns
from transforms.rows.row import SourceRef

Rows = dict[tuple[str, int], list[int]]
"""Rows by file (its public name) and row group."""
_BOUNDS = UnitBounds(rows=8192, bytes=16_000_000)


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
