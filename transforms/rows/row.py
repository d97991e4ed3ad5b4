"""The row as jobs and tasks process it.

A source row is identified by its location (`SourceRef`) and by the hash of its raw content. Both ledgers use this
identity: every source row ends kept, rejected or in a failed unit, and every target that a task chose ends accepted or
rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Location of a source row: file, row group, and row within that group (both from 0)."""

    uri: str
    row_group: int
    row: int


@dataclass(frozen=True, slots=True)
class Row:
    """One source row, as tasks receive it.

    Args:
        source: Its location.
        content: The file's text, after redaction.
        content_sha256: Hash of the raw content's UTF-8 bytes, in hex; seeds are derived from it.
        redacted_sha256: Hash of `content` after redaction; equal to the raw hash if nothing was redacted.
        path: The file's path in its repository, or "".
        repo_name: The repository, or "".
        language: Lower-case language name, or "" if unknown.
        columns: The input's other columns, by name.
    """

    source: SourceRef
    content: str
    content_sha256: str
    redacted_sha256: str
    path: str = ""
    repo_name: str = ""
    language: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


def content_sha256(content: str) -> str:
    """The hash that identifies a content: SHA-256 of its UTF-8 bytes, in hex.

    >>> content_sha256("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def derive_seed(job_seed: int, *parts: str | int) -> int:
    """A 32-bit seed that depends only on the job's seed and the record's key, not on order, slot or worker.

    >>> derive_seed(0, "abc", 1) == derive_seed(0, "abc", 1) != derive_seed(0, "abc", 2)
    True
    """
    key = ":".join([str(job_seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8"), digest_size=4).digest(), "big")
