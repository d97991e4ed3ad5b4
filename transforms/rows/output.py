"""The output rows of a unit: the input's columns, the content as it is now, what the job found, and the lineage.

    input columns in their order, the content as redacted | result columns

Names are settled by `transforms.rows.columns.output_fields`. A source row stands in the output as often as the job
made a row of it.

Cost: one copy of the columns of the rows that are kept; the raw content isn't copied.
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
"""How every job's lineage begins: which source row, by its place and the hash of its raw content."""

REDACTED_FIELD: Final = pa.field("redacted_sha256", pa.string(), nullable=False)
"""Of the lineage of a job that redacts: the hash of the content that stands in the row."""


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One output row.

    Args:
        index: Which row of the unit's table it was made of.
        content: The content column's text, after redaction.
        results: The result columns by name, lineage included.
    """

    index: int
    content: str
    results: Mapping[str, Any]


def source_lineage(row: Row) -> dict[str, Any]:
    """The values of `SOURCE_FIELDS` for a row."""
    source = row.source
    values = (source.uri, source.row_group, source.row, row.content_sha256)
    return dict(zip((field.name for field in SOURCE_FIELDS), values, strict=True))


def output_schema(input_schema: pa.Schema, column_map: ColumnMap, results: Sequence[pa.Field]) -> pa.Schema:
    """The input's columns, renamed where a result column has their name, then the result columns."""
    return pa.schema([*output_fields(input_schema, column_map, [field.name for field in results]), *results])


def output_table(table: pa.Table, column_map: ColumnMap, schema: pa.Schema, rows: Sequence[OutputRow]) -> pa.Table:
    """Puts the output rows together.

    Args:
        table: The unit's rows, in the input's columns.
        column_map: Which of these is the content.
        schema: What `output_schema` gave for the table's schema.
        rows: The output rows, in their order.
    """
    places = pa.array([row.index for row in rows], pa.int64())
    arrays: list[Any] = []
    for position, field in enumerate(schema):
        if position >= table.num_columns:
            arrays.append(pa.array([row.results[field.name] for row in rows], field.type))
        elif table.column_names[position] == column_map.content:
            arrays.append(pa.array([row.content for row in rows], field.type))
        else:
            # Column by column: the raw content, the bulk of the table, isn't repeated for nothing.
            arrays.append(table.column(position).take(places).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
