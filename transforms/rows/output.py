"""A unit's output table: the input's columns, the content after redaction, the result columns and the lineage.

    input columns in their order, the content as redacted | result columns

`transforms.rows.columns.output_fields` decides the names. A source row appears once in the output for each output row
that the job made from it.

Cost: one copy of the kept rows' columns; the raw content is not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from transforms.rows.columns import ColumnMap, output_fields
from transforms.rows.row import Row

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
    places = pa.array([row.index for row in rows], pa.int64())
    arrays: list[Any] = []
    names = table.column_names
    for position, field in enumerate(schema):
        if position >= len(names):
            arrays.append(pa.array([row.results[field.name] for row in rows], field.type))
        elif names[position] == column_map.content:
            arrays.append(pa.array([row.content for row in rows], field.type))
        else:
            # Take column by column, so that the raw content, most of the table's bytes, is not copied needlessly.
            arrays.append(table.column(position).take(places).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
