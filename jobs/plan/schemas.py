"""Schema unification: one schema for files whose schemas differ, without changing any value.

    columns          a column that a file lacks is null there
    numbers          integers widen to the smallest integer type that represents both, float32 to float64
    text and bytes   string, large_string and dictionaries of them -> large_string; with bytes -> large_binary
    lists            of any kind (large, fixed-size, views) -> list; a map -> list of structs of key and value
    structs          field by field
    extension types  what they are stored as (a tensor: the list of its values); bool8 -> bool
    decimals         of 32 and 64 bits -> decimal128
    anything else    must be equal; otherwise the smaller side's files are bad, with the column and both types named

These are the forms that Parquet returns as they were written, and that `datasets`, duckdb, polars and pandas load.
The schema that most rows have is the base, so that a single deviating file can't make all others bad.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.errors import SchemaMismatch
from transforms.rows.types import is_list_type, is_text_type


def canonical_type(kind: pa.DataType) -> Any:
    """Returns the type in which a column is processed: dictionaries decoded, text and bytes with 64-bit offsets."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.bool_() if isinstance(kind, pa.Bool8Type) else canonical_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if is_text_type(kind):
        return pa.large_binary()
    if is_list_type(kind):
        return pa.list_(pa.field("element", canonical_type(kind.value_type)))
    if pa.types.is_map(kind):
        pair = [pa.field("key", canonical_type(kind.key_type)), pa.field("value", canonical_type(kind.item_type))]
        return pa.list_(pa.field("element", pa.struct(pair)))
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, canonical_type(field.type)) for field in kind.fields])
    return kind


def unify_types(left: pa.DataType, right: pa.DataType) -> Any:
    """Returns the smallest canonical type that represents every value of both.

    Raises:
        SchemaMismatch: There is no such type.

    >>> unify_types(pa.int32(), pa.int64())
    DataType(int64)
    """
    left, right = canonical_type(left), canonical_type(right)
    if left == right or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    if is_text_type(left) and is_text_type(right):
        return pa.large_binary()
    if pa.types.is_integer(left) and pa.types.is_integer(right):
        return _widen_integers(left, right)
    if pa.types.is_floating(left) and pa.types.is_floating(right):
        return max(left, right, key=lambda kind: kind.bit_width)
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(pa.field("element", unify_types(left.value_type, right.value_type)))
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        return pa.struct(list(unify_schemas(pa.schema(left.fields), pa.schema(right.fields))))
    raise SchemaMismatch(f"{right} where other files have {left}")


def _widen_integers(left: Any, right: Any) -> Any:
    for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()):
        if all(_holds(kind, other) for other in (left, right)):
            return kind
    raise SchemaMismatch(f"{right} where other files have {left}")


def _holds(wide: Any, narrow: Any) -> bool:
    signed, narrow_signed = pa.types.is_signed_integer(wide), pa.types.is_signed_integer(narrow)
    if signed == narrow_signed:
        return wide.bit_width >= narrow.bit_width
    return signed and wide.bit_width > narrow.bit_width


def unify_schemas(base: pa.Schema, other: pa.Schema) -> Any:
    """Returns `base`, widened to cover `other` too; columns that only `other` has come last. All are nullable.

    Raises:
        SchemaMismatch: A column can't be unified.
    """
    kinds = {field.name: canonical_type(field.type) for field in base}
    for field in other:
        try:
            known = kinds.get(field.name)
            kinds[field.name] = canonical_type(field.type) if known is None else unify_types(known, field.type)
        except SchemaMismatch as error:
            raise SchemaMismatch(f"column {field.name}: {error}") from None
    return pa.schema([pa.field(name, kind) for name, kind in kinds.items()])


def fit_table(table: pa.Table, schema: pa.Schema, constants: Mapping[str, str | None] | None = None) -> pa.Table:
    """Converts a file's table to the job's schema: columns in its order and types.

    A column that the file lacks has the value in `constants` (`jobs.plan.partitions`), else null. Cost: linear in the
    columns.

    Raises pa.ArrowInvalid if a value does not fit, which `unify_schemas` rules out.
    """
    found = dict(zip(table.column_names, table.columns, strict=True))
    constants = constants or {}
    columns = [
        column if (column := found.get(field.name)) is not None and column.type == field.type
        else column.cast(field.type) if column is not None
        else _repeated(constants.get(field.name), table.num_rows, field.type)
        for field in schema
    ]  # fmt: skip
    if not columns:
        return table.select([])
    return pa.Table.from_arrays(columns, schema=schema)


def _repeated(value: str | None, count: int, kind: pa.DataType) -> Any:
    return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value), count).cast(kind)


def written_schema(schema: pa.Schema) -> pa.Schema:
    """Returns the schema that a Parquet file written with `schema` is read with.

    Raises pa.ArrowException if Parquet has no such type.
    """
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema):
        pass
    return pq.read_schema(pa.BufferReader(sink.getvalue()))


@functools.lru_cache(maxsize=32)
def schema_as_read(schema: pa.Schema) -> pa.Schema:
    """Returns the schema in which a job reads files that another wrote with `schema`.

    Raises pa.ArrowException if Parquet has no such type.
    """
    return unify_schemas(written_schema(schema), pa.schema([]))


def schema_to_text(schema: pa.Schema) -> str:
    """Returns the schema as text for a JSON object (Arrow's IPC format in base64)."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def schema_from_text(text: str) -> pa.Schema:
    """Reads what `schema_to_text` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
