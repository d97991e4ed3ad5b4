"""A unit's output table: the input's columns, the content after redaction, the result columns and the lineage.

    input columns in their order, the content as redacted | result columns

`transforms.rows.columns.output_fields` decides the names. A source row appears once in the output for each output row
that the job made from it.

Cost: one copy of the kept rows' columns; the raw content is not copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from transforms.rows.columns import ColumnMap, output_fields
from transforms.rows.row import Row
from transforms.work import Unit

SOURCE_FIELDS: Final = (
    pa.field("source_uri", pa.large_string(), nullable=False),
    pa.field("source_row_group", pa.int32(), nullable=False),
    pa.field("source_row", pa.int64(), nullable=False),
    pa.field("content_sha256", pa.string(), nullable=False),
)
"""The first fields of every job's lineage: the source row's location and the hash of its raw content."""
_SOURCE_NAMES: Final = tuple(field.name for field in SOURCE_FIELDS)

REDACTED_FIELD: Final = pa.field("redacted_sha256", pa.string(), nullable=False)
"""Lineage field of jobs that redact: the hash of the content after redaction."""


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One output row.

    Args:
        index: The row of the unit's table that it was made from.
        content: The content column's text, after redaction.
        results: The result columns' values by name, including the lineage.
    """

    index: int
    content: str
    results: Mapping[str, Any]


def source_lineage(row: Row) -> dict[str, Any]:
    """The values of `SOURCE_FIELDS` for a row."""
    source = row.source
    values = (source.uri, source.row_group, source.row, row.content_sha256)
    return dict(zip(_SOURCE_NAMES, values, strict=True))


def source_lineages(unit: Unit, rows: Sequence[int], content: Any) -> pa.StructArray:
    """The same for many rows, as an array of structs.

    Args:
        unit: The unit of the rows.
        rows: Their row numbers in the unit.
        content: Their raw content, as an Arrow array of bytes.
    """
    uris, groups, places = zip(*map(unit.place, rows), strict=True) if rows else ((), (), ())
    digests = [hashlib.sha256(cell.as_buffer()).hexdigest() for cell in content]
    columns = (uris, groups, places, digests)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SOURCE_FIELDS, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(SOURCE_FIELDS))


def output_schema(input_schema: pa.Schema, column_map: ColumnMap, results: Sequence[pa.Field]) -> pa.Schema:
    """The input's columns, renamed if a result column has the same name, then the result columns."""
    return pa.schema([*output_fields(input_schema, column_map, [field.name for field in results]), *results])


def output_table(table: pa.Table, column_map: ColumnMap, schema: pa.Schema, rows: Sequence[OutputRow]) -> pa.Table:
    """Builds the output table.

    Args:
        table: The unit's rows, with the input's columns.
        column_map: The input column for each role.
        schema: The result of `output_schema` for the table's schema.
        rows: The output rows, in order.
    """
    content = pa.array([row.content for row in rows], pa.large_string())
    names = [field.name for field in schema][len(table.column_names) :]
    results = {name: [row.results[name] for row in rows] for name in names}
    return table_of_columns(table, column_map, schema, [row.index for row in rows], content, results)


def table_of_columns(
    table: pa.Table,
    column_map: ColumnMap,
    schema: pa.Schema,
    places: Sequence[int],
    content: Any,
    results: Mapping[str, Any],
) -> pa.Table:
    """Builds the output table from columns, for jobs that keep many rows as they are.

    Args:
        table: The unit's rows, with the input's columns.
        column_map: The input column for each role.
        schema: The result of `output_schema` for the table's schema.
        places: For each output row, the row of `table` that it was made from.
        content: The output rows' texts, as an Arrow array.
        results: The result columns' values by name.
    """
    taken = pa.array(places, pa.int64())
    arrays: list[Any] = []
    names = table.column_names
    for position, field in enumerate(schema):
        if position >= len(names):
            values = results[field.name]
            arrays.append(values if isinstance(values, pa.Array) else pa.array(values, field.type))
        elif names[position] == column_map.content:
            arrays.append(content.cast(field.type))
        else:
            # Take column by column, so that the raw content, most of the table's bytes, is not copied needlessly.
            arrays.append(table.column(position).take(taken).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
