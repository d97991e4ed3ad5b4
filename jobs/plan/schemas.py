"""Schema unification: one schema for files whose schemas differ, without changing any value.

    columns          a column that a file lacks is null there
    numbers          integers widen to the smallest integer type that represents both, float32 to float64
    text and bytes   string, large_string and dictionaries of them -> large_string; with bytes -> large_binary
    lists, structs   element by element
    anything else    must be equal; otherwise the smaller side's files are bad, with the column and both types named

The schema that most rows have is the base, so that a single deviating file can't make all others bad.
"""

from __future__ import annotations

import base64
from typing import Any

import pyarrow as pa

from jobs.errors import SchemaMismatch
from transforms.rows.columns import is_text_type


def canonical_type(kind: pa.DataType) -> Any:
    """Returns the type in which a column is processed: dictionaries decoded, text and bytes with 64-bit offsets."""
    if pa.types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if is_text_type(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", canonical_type(kind.value_type)))
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
    fields = []
    for field in base:
        kind = canonical_type(field.type)
        if field.name in other.names:
            try:
                kind = unify_types(field.type, other.field(field.name).type)
            except SchemaMismatch as error:
                raise SchemaMismatch(f"column {field.name}: {error}") from None
        fields.append(pa.field(field.name, kind))
    fields += [pa.field(field.name, canonical_type(field.type)) for field in other if field.name not in base.names]
    return pa.schema(fields)


def fit_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Converts a file's table to the job's schema: columns in its order and types, null if the file lacks one.

    Raises pa.ArrowInvalid if a value does not fit, which `unify_schemas` rules out.
    """
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    if not columns:
        return table.select([])
    return pa.Table.from_arrays(columns, schema=schema)


def schema_to_text(schema: pa.Schema) -> str:
    """Returns the schema as text for a JSON object (Arrow's IPC format in base64)."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def schema_from_text(text: str) -> pa.Schema:
    """Reads what `schema_to_text` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
