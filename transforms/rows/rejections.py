"""Rejected records: one record of `REJECTED_SCHEMA` per rejected row or target.

This is the only module that builds rejected records, for all jobs and stages. A record contains the source location,
the stage that rejected the row or target, and the reason. It never contains the row's content. Unknown values are
null: the hash of content that couldn't be read, the path of a row without a path.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from transforms.rows.row import SourceRef

_log = logging.getLogger(__name__)

STAGE_ERROR = "stage_error"
"""The reason of what one of the project's own stages raised for: a bug."""

REJECTED_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # "row" or "target"
        pa.field("uri", pa.large_string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("content_sha256", pa.string()),  # null if the content could not be read
        pa.field("path", pa.large_string()),  # null if the row has none
        pa.field("target", pa.string()),  # the target's name within the task, e.g. "single_line:120:140"
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.large_string(), nullable=False),
        pa.field("answer", pa.large_string()),  # a target's answer, if the job keeps rejected answers
    ]
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row or one of its targets was rejected: the `stage` that rejected it, the `reason` as a snake_case word,
    and a human-readable `detail` line that never contains the row's content."""

    stage: str
    reason: str
    detail: str = ""


class Origin(Protocol):
    """The part of a source row that a rejected record contains; `Row` and `RejectedRow` implement it."""

    @property
    def source(self) -> SourceRef: ...
    @property
    def content_sha256(self) -> str | None: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A source row that was rejected while it was read. `content_sha256` is None if there is no content, `path` is ""
    if there is no path."""

    source: SourceRef
    rejection: Rejection
    content_sha256: str | None = None
    path: str = ""

    def record(self) -> dict[str, Any]:
        """Returns its rejected record."""
        return rejected_record(self, self.rejection)


def rejected_record(
    origin: Origin, rejection: Rejection, *, target: str | None = None, answer: str | None = None
) -> dict[str, Any]:
    """Returns one record of `REJECTED_SCHEMA`.

    Args:
        origin: The source row.
        rejection: Why it, or its target, was rejected.
        target: The target's name within the task; None if the entire row is rejected.
        answer: The target's answer, if rejected answers are kept.

    >>> nowhere = RejectedRow(SourceRef("a.parquet", 0, 7), Rejection("read", "null_content"))
    >>> record = rejected_record(nowhere, nowhere.rejection)
    >>> record["kind"], record["row"], record["path"]
    ('row', 7, None)
    """
    return {
        "kind": "row" if target is None else "target",
        "uri": origin.source.uri,
        "row_group": origin.source.row_group,
        "row": origin.source.row,
        "content_sha256": origin.content_sha256,
        "path": origin.path or None,
        "target": target,
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "answer": answer,
    }


def rejected_table(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Converts records to a table of `REJECTED_SCHEMA`."""
    return pa.Table.from_pylist(list(records), REJECTED_SCHEMA)


def in_source_order(tables: Sequence[pa.Table], sources: Sequence[SourceRef]) -> pa.Table:
    """Tables of rejected records as one, in the order of the rows that they are of.

    Args:
        tables: Tables of `REJECTED_SCHEMA`; the records of one row stay in their order.
        sources: The rows.
    """
    table = pa.concat_tables(tables)
    places = {(source.uri, source.row_group, source.row): index for index, source in enumerate(sources)}
    keys = zip(*(table.column(name).to_pylist() for name in ("uri", "row_group", "row")), strict=True)
    order = np.argsort([places[key] for key in keys], kind="stable")
    return table.take(pa.array(order, pa.int64()))


def rejected_counts(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Counts the records by kind, stage and reason.

    >>> refused = RejectedRow(SourceRef("a.parquet", 0, 7), Rejection("read", "null_content"))
    >>> rejected_counts([refused.record()])
    Counter({'rejected_row/read/null_content': 1})
    """
    return Counter(f"rejected_{record['kind']}/{record['stage']}/{record['reason']}" for record in records)


def stage_error(stage: str, error: Exception, message: str, *words: Any) -> Rejection:
    """Returns the rejection of a row or target on which a stage raised: a bug costs only that row, and is counted.

    Logs the traceback and the error's type, but never the error's message, which may quote the row.

    Args:
        stage: The stage that failed.
        error: The exception that it raised.
        message: What failed, as a `logging` format string; `words` are its arguments.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error(message + ": %s\n%s", *words, type(error).__name__, where.rstrip())
    return Rejection(stage, STAGE_ERROR, type(error).__name__)
