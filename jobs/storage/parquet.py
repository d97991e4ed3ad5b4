"""Opens Parquet files so that every value in them can be read, whatever wrote them.

Arrow stores its own types beside Parquet's (`ARROW:schema` in the footer) and converts to them while it reads. For some
types that conversion is wrong or fails: a null in a fixed-size list is an error, the elements of a list view are lost
when they are cast. Files with such types are read without that entry, as plain Parquet: lists, and the types that
extension types are stored as. `jobs.plan.schemas.fit_table` converts to the job's types.

Cost: for such files, the footer is read twice.
"""

from __future__ import annotations

from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

# How rows are written that stay: a merge copies what has been written so, and shards have it.
WRITING: Final[dict[str, Any]] = {"compression": "zstd", "compression_level": 3, "write_page_checksum": True}

# How rows are written that are read once, and encoded again: the fastest compression level is enough, and dictionaries
# and statistics cost a third of the writing and half of the reading.
WRITING_ONCE: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": False,
    "write_statistics": False,
}

_MAGIC = b"PAR1"
# The length of the key (a varint) and the key, as the footer's compact Thrift has them.
_KEY, _IGNORED_KEY = b"\x0cARROW:schema", b"\x0cARROW:ignore"


def open_parquet(file: IO[bytes], metadata: pq.FileMetaData | None = None, **options: Any) -> pq.ParquetFile:
    """Opens a Parquet file for reading; `options` are those of `pq.ParquetFile`. Raises as that does."""
    parquet = pq.ParquetFile(file, metadata=metadata, **options)
    # Not `metadata.schema`: it and the footer then hold each other until Python looks for cycles, which it does by
    # objects made, and a footer of many row groups is megabytes in a few of them.
    if any(_is_unreliable(field.type) for field in parquet.schema_arrow):
        options["arrow_extensions_enabled"] = False
        parquet = pq.ParquetFile(file, metadata=_plain_metadata(file), **options)
    return parquet


def _is_unreliable(kind: pa.DataType) -> bool:
    """Whether reading a column of this type, or one nested in it, may fail or lose values."""
    is_special = (
        isinstance(kind, pa.BaseExtensionType)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )
    return is_special or any(_is_unreliable(kind.field(index).type) for index in range(kind.num_fields))


def _plain_metadata(file: IO[bytes]) -> pq.FileMetaData:
    """Reads the footer with the key of Arrow's schema overwritten by another of the same length."""
    file.seek(-8, 2)
    length = file.read(4)
    file.seek(-8 - int.from_bytes(length, "little"), 2)
    # The last one: the file's key-value pairs come after its columns, whatever those are called.
    before, key, after = file.read(int.from_bytes(length, "little")).rpartition(_KEY)
    footer = before + (_IGNORED_KEY if key else b"") + after
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer + length + _MAGIC))
