"""Hive partitions: columns whose values stand in folders' names, as Spark, duckdb, polars and BigQuery write them.

    corpus/language=Python/license=mit/part-0.parquet    every row has language = "Python", license = "mit"

The folders directly above the file count, up to the first one without `=`: folders further up belong to the machine,
and their names are not published. Values are text, `%xx` stands for a byte, and `__HIVE_DEFAULT_PARTITION__` is null.
A column that the file itself has keeps the file's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import pyarrow as pa

PARTITION_TYPE = pa.large_string()
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partition_values(uri: str) -> dict[str, str | None]:
    """Returns the columns that the names of a file's folders define, outermost first.

    Raises:
        ValueError: A name is not UTF-8 once decoded, or two folders define one column.

    >>> partition_values("/data/a=1/corpus/language=C%2B%2B/license=__HIVE_DEFAULT_PARTITION__/part-0.parquet")
    {'language': 'C++', 'license': None}
    """
    found: list[tuple[str, str | None]] = []
    for folder in reversed(uri.split("/")[:-1]):
        key, equals, value = folder.partition("=")
        if not (key and equals):
            break
        try:
            name, text = unquote(key, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise ValueError(f"the folder {folder} is not valid UTF-8 once its %xx are decoded") from None
        found.append((name, None if text == _NULL else text))
    values = dict(reversed(found))
    if len(values) < len(found):
        raise ValueError("two of its folders define the same column; rename one of them")
    return values


def with_partitions(schema: pa.Schema, values: Mapping[str, str | None]) -> pa.Schema:
    """Returns the schema with the columns that only the folders' names define, last."""
    names = set(schema.names)
    return pa.schema([*schema, *(pa.field(name, PARTITION_TYPE) for name in values if name not in names)])
