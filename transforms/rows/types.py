"""Kinds of Arrow types. Imports no kernels, so that what only looks at schemas starts quickly."""

from __future__ import annotations

import pyarrow as pa


def is_text_type(kind: pa.DataType) -> bool:
    """Whether a column of this type can contain text: strings, bytes, dictionaries of them, JSON."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_text_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return is_text_type(kind.value_type)
    return is_bytes_type(kind) or any(
        test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def is_bytes_type(kind: pa.DataType) -> bool:
    """Whether a column of this type contains bytes, in whichever of Arrow's layouts."""
    return any(
        test(kind)
        for test in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
            pa.types.is_fixed_size_binary,
        )
    )


def is_list_type(kind: pa.DataType) -> bool:
    """Whether a column of this type contains lists, in whichever of Arrow's layouts."""
    return any(
        test(kind)
        for test in (
            pa.types.is_list,
            pa.types.is_large_list,
            pa.types.is_fixed_size_list,
            pa.types.is_list_view,
            pa.types.is_large_list_view,
        )
    )
