"""From a source's files to rows of a corpus: row groups of kept files, tables of rejected ones.

    items of a source -> read -> decode -> classify -> row group of kept rows, table of rejected records, counts

The columns are The Stack v2's. A run of items gives the same rows wherever and with whatever others it is worked on.
Row groups are encoded here, where the rows are; so few rows that a group of them would be small stay a table, for
others to be added.
Memory: the rows of one row group, twice, and one file.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from model.errors import RecordError
from transforms.corpus.copyrights import copyright_lines
from transforms.corpus.encoding import decode
from transforms.corpus.entries import File, Refused
from transforms.corpus.licenses import licenses_of
from transforms.corpus.notice import Attribution
from transforms.corpus.origin import SCHEMA_VERSION, GroupLimits, Origin
from transforms.languages.files import extension_of, is_generated, is_vendor, language_of
from transforms.opt_out.lists import REASON, STAGE
from transforms.rows.rejections import RejectedRow, Rejection, rejected_table
from transforms.rows.row import SourceRef
from transforms.rows.row_groups import EncodedGroup, encode_group

CORPUS_SCHEMA: Final = pa.schema(
    [
        pa.field("blob_id", pa.string(), nullable=False),  # as `git hash-object` computes it
        pa.field("path", pa.large_string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("repo_url", pa.string()),  # the repository's page; null where unknown
        pa.field("revision_id", pa.string()),  # the commit that was checked out; null without git
        pa.field("retrieved_at", pa.timestamp("ms", tz="UTC")),  # of the source; null where unknown
        pa.field("language", pa.string()),  # Linguist's name; null where unknown
        pa.field("extension", pa.string(), nullable=False),
        pa.field("length_bytes", pa.int64(), nullable=False),  # of the file as it was found
        pa.field("src_encoding", pa.string(), nullable=False),
        pa.field("src_encoding_confidence", pa.string(), nullable=False),  # certain, declared, likely, ...
        pa.field("is_vendor", pa.bool_(), nullable=False),
        pa.field("is_generated", pa.bool_(), nullable=False),
        pa.field("detected_licenses", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("content", pa.large_string(), nullable=False),
    ],
    metadata={"schema_version": SCHEMA_VERSION},
)


@dataclass(frozen=True, slots=True)
class Part:
    """What became of some files that follow each other: `num_files` = rows of `kept` + rows of `rejected`.

    The kept rows are no more than a row group holds; encoded they are one, as a table they are too few for one.
    `attribution` is that of the kept rows.
    """

    kept: pa.Table | EncodedGroup
    rejected: pa.Table
    counts: Counter[str]
    num_files: int
    attribution: Attribution


def git_blob_id(data: bytes) -> str:
    """The SHA-1 that git names this content by.

    >>> git_blob_id(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def corpus_row(file: File, origin: Origin, neighbors: Callable[[], Collection[str]] = tuple) -> tuple[Any, ...]:
    """One file as a row, its values in the order of `CORPUS_SCHEMA`.

    Raises:
        RecordError: It has no text, or none that is sure enough.
    """
    decoded = decode(file.data, neighbors, keep_uncertain=origin.keep_uncertain)
    return (
        git_blob_id(file.data),
        file.path,
        origin.repo_name,
        origin.provenance.repo_url,
        origin.provenance.revision_id,
        origin.provenance.retrieved_ms,
        language_of(file.path, decoded.text),
        extension_of(file.path),
        len(file.data),
        decoded.encoding,
        decoded.confidence,
        is_vendor(file.path),
        is_generated(file.path, decoded.text),
        licenses_of(file.path, decoded.text, origin.licenses),
        decoded.text,
    )


_LANGUAGE, _LENGTH, _CONFIDENCE, _LICENSES, _PATH, _CONTENT = map(
    CORPUS_SCHEMA.names.index,
    ("language", "length_bytes", "src_encoding_confidence", "detected_licenses", "path", "content"),
)


@dataclass(slots=True)
class _Rows:
    """Rows and rejected records on their way into a part."""

    attribution: Attribution
    kept: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[Mapping[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    num_bytes: int = 0

    def keep(self, row: tuple[Any, ...]) -> None:
        self.kept.append(row)
        self.num_bytes += row[_LENGTH]
        self.counts["bytes"] += row[_LENGTH]
        self.counts[f"confidence/{row[_CONFIDENCE]}"] += 1
        self.counts[f"language/{row[_LANGUAGE] or 'unknown'}"] += 1
        self.attribution.note(row[_LICENSES], copyright_lines(row[_PATH], row[_CONTENT]))

    def reject(self, record: Mapping[str, Any]) -> None:
        self.rejected.append(record)
        self.counts[f"reason/{record['reason']}"] += 1

    def part(self, *, is_encoded: bool = False) -> Part:
        columns = zip(*self.kept, strict=True) if self.kept else [[] for _ in CORPUS_SCHEMA]
        arrays = [pa.array(column, each.type) for column, each in zip(columns, CORPUS_SCHEMA, strict=True)]
        self.counts.update(kept=len(self.kept), rejected=len(self.rejected))
        num_files = len(self.kept) + len(self.rejected)
        kept = pa.Table.from_arrays(arrays, schema=CORPUS_SCHEMA)
        rejected = rejected_table(self.rejected)
        return Part(encode_group(kept) if is_encoded else kept, rejected, self.counts, num_files, self.attribution)


def _new_rows(origin: Origin) -> _Rows:
    revision = origin.provenance.revision_id
    return _Rows(Attribution(origin.repo_name, origin.provenance.repo_url, Counter([revision] if revision else ())))


def parts_of(
    entries: Iterator[File | Refused],
    origin: Origin,
    first_index: int,
    neighbors: Callable[[str], Collection[str]],
    limits: GroupLimits = GroupLimits(),
) -> Iterator[Part]:
    """Works on files that follow each other in a source. Their row groups depend on these files alone.

    Args:
        entries: The files.
        origin: Their source.
        first_index: The place of the first in its source: the `row` of rejected records, since a file has no other.
        neighbors: Called with a path where it matters, names the encodings of other files (`Neighbors.of`).
        limits: What a row group holds. Where all of these files would be a small one, they stay a table.
    """
    rows, is_first = _new_rows(origin), True
    for index, entry in enumerate(entries, first_index):
        if origin.opted_out:
            rejection = Rejection(STAGE, REASON, f"by the entry {origin.opted_out}")
            rows.reject(rejected_file(origin, index, entry.path, rejection))
        elif isinstance(entry, File):
            path = entry.path
            try:
                row = corpus_row(entry, origin, functools.partial(neighbors, path))
            except RecordError as error:
                rejection = Rejection("decode", error.reason, error.detail)
                rows.reject(rejected_file(origin, index, path, rejection, entry.data))
                continue
            if rows.kept and (len(rows.kept) == limits.rows or rows.num_bytes + row[_LENGTH] > limits.num_bytes):
                yield rows.part(is_encoded=True)
                rows, is_first = _new_rows(origin), False
            rows.keep(row)
        else:
            rows.reject(rejected_file(origin, index, entry.path, Rejection("read", entry.reason, entry.detail)))
    if rows.kept or rows.rejected:
        is_small = not rows.kept or (is_first and limits.is_small(len(rows.kept), rows.num_bytes))
        yield rows.part(is_encoded=not is_small)


def rejected_file(
    origin: Origin, index: int, path: str, rejection: Rejection, data: bytes | None = None
) -> dict[str, Any]:
    """The rejected record of a file. `data` is None where its bytes are not known."""
    sha256 = None if data is None else hashlib.sha256(data).hexdigest()
    return RejectedRow(SourceRef(origin.public_name, 0, index), rejection, sha256, path).record()


def rejected_part(origin: Origin, index: int, path: str, rejection: Rejection, data: bytes | None = None) -> Part:
    """A part of one rejected file; arguments as in `rejected_file`."""
    rows = _new_rows(origin)
    rows.reject(rejected_file(origin, index, path, rejection, data))
    return rows.part()
