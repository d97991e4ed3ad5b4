"""What identifies a row of a corpus, wherever in its files it is: repositories, path and the content's hash.

    key       BLAKE2b of repositories and path, 16 bytes; null for a row without a path
    content   the first 16 bytes of the content's SHA-256, as in every job's lineage; null without a content

Rows of one key are versions of one source file. Other columns don't count: a row whose stars or license alone differ
is the same row. Cost: one SHA-256 of each content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from transforms.opt_out.hashed import hashed_repository
from transforms.opt_out.rows import repositories_of
from transforms.rows.cells import as_binary, texts_of
from transforms.rows.columns import ColumnMap
from transforms.rows.row import SourceRef

HASH_BYTES: Final = 16
_HASH: Final = pa.binary(HASH_BYTES)

ROWS_SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.large_string(), nullable=False),  # the input file's public name
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("key", _HASH),
        pa.field("content", _HASH),
        pa.field("repositories", pa.list_(pa.binary()), nullable=False),  # as hashes: names may hold secrets
    ]
)
"""Rows of a corpus with their identities, and the repositories that opt-out lists are compared with."""


def row_key(repositories: Iterable[str], path: str) -> bytes | None:
    """The hash of where a row's file is; None without a path, since then many files would have one key.

    >>> row_key(["a/b"], "x.py") == row_key(["a/b"], "x.py") != row_key(["a/c"], "x.py")
    True
    >>> row_key(["a/b"], "") is None
    True
    """
    if not path:
        return None
    told = "\0".join([*repositories, path]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=HASH_BYTES).digest()


def content_key(content: bytes | None) -> bytes | None:
    """The hash of a content; None if it is null."""
    return None if content is None else hashlib.sha256(content).digest()[:HASH_BYTES]


Identity = tuple[bytes | None, bytes | None]
"""A row's key and content."""


def identity_of(repositories: Iterable[str], path: str, sha256: str) -> Identity:
    """The identity of a row by what is told of it: `sha256` as hex digits, "" where it isn't known."""
    return row_key(repositories, path), bytes.fromhex(sha256)[:HASH_BYTES] or None


def identities(table: pa.Table, sources: Sequence[SourceRef], columns: ColumnMap) -> pa.Table:
    """The identities of rows, as a table of `ROWS_SCHEMA`.

    Args:
        table: The rows, with the columns for content, path and repository, as far as the corpus has them.
        sources: Where each of them is.
        columns: The corpus's columns.
    """
    repositories = repositories_of(table, columns.repo_name)
    paths = texts_of(table, columns.path)
    contents = (content_key(cell.as_buffer()) if cell.is_valid else None for cell in as_binary(table[columns.content]))
    values = {
        "name": [source.uri for source in sources],
        "row_group": [source.row_group for source in sources],
        "row": [source.row for source in sources],
        "key": [row_key(*where) for where in zip(repositories, paths, strict=True)],
        "content": list(contents),
        "repositories": [list(map(hashed_repository, names)) for names in repositories],
    }
    return pa.table([pa.array(values[field.name], field.type) for field in ROWS_SCHEMA], schema=ROWS_SCHEMA)


def repository_number(repositories: Sequence[bytes], key: bytes | None) -> int:
    """The repository of an identified row as a number of 64 bits; a file without one counts as one, and all without a
    path do together.

    Args:
        repositories, key: Of the row, as in `ROWS_SCHEMA`.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in repositories or (b"", key or b""):
        digest.update(len(name).to_bytes(4, "big") + name)
    return int.from_bytes(digest.digest(), "big", signed=True)


def repository_numbers(table: pa.Table, columns: ColumnMap) -> list[int]:
    """The same for rows that aren't identified; `columns` are the corpus's."""
    repositories, paths = repositories_of(table, columns.repo_name), texts_of(table, columns.path)
    return [
        repository_number(list(map(hashed_repository, names)), row_key(names, path))
        for names, path in zip(repositories, paths, strict=True)
    ]


def identity_columns(schema: pa.Schema, columns: ColumnMap) -> list[str]:
    """The columns that `identities` needs, in the order of the schema."""
    wanted = {columns.content, columns.path, columns.repo_name, "parts"}
    return [name for name in schema.names if name in wanted]
