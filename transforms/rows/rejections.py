"""What is left out and why: a row or a target, as one record of `REJECTED_SCHEMA`.

Every job's rejected rows and targets, whichever stage refused them, are built here and nowhere else. A record says
where the thing came from, which stage refused it and for what reason; it never holds the row's content. What isn't
known is null: the hash of a content that couldn't be read, the path of a row that has none.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from transforms.rows.row import SourceRef

_log = logging.getLogger(__name__)

REJECTED_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # "row" or "target"
        pa.field("uri", pa.large_string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("content_sha256", pa.string()),  # null where the content could not be read
        pa.field("path", pa.large_string()),  # null where the row has none
        pa.field("target", pa.string()),  # the task's own name of the target, e.g. "single_line:120:140"
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.large_string(), nullable=False),
        pa.field("answer", pa.large_string()),  # of a target, where a job was told to keep rejected answers
    ]
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row or one of its targets was not kept: `stage` is where, `reason` a snake_case word,
    `detail` a line for a person that never holds content."""

    stage: str
    reason: str
    detail: str = ""


class Origin(Protocol):
    """What a record tells of a source row: a `Row` is one, and so is a `RejectedRow`."""

    @property
    def source(self) -> SourceRef: ...
    @property
    def content_sha256(self) -> str | None: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A source row that no stage can work on. `content_sha256` is None where there is no content, `path` "" where
    there is none."""

    source: SourceRef
    rejection: Rejection
    content_sha256: str | None = None
    path: str = ""

    def record(self) -> dict[str, Any]:
        """The record that tells of it."""
        return rejected_record(self, self.rejection)


def rejected_record(
    origin: Origin, rejection: Rejection, *, target: str | None = None, answer: str | None = None
) -> dict[str, Any]:
    """Returns one record of `REJECTED_SCHEMA`.

    Args:
        origin: The source row.
        rejection: Why it, or its target, was not kept.
        target: The task's name of the target; None where the row as a whole is rejected.
        answer: What the model wrote for the target, where that is kept.

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
    """The records as a table of `REJECTED_SCHEMA`."""
    return pa.Table.from_pylist(list(records), REJECTED_SCHEMA)


def rejected_counts(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How often each stage rejected for which reason.

    >>> refused = RejectedRow(SourceRef("a.parquet", 0, 7), Rejection("read", "null_content"))
    >>> rejected_counts([refused.record()])
    Counter({'rejected_row/read/null_content': 1})
    """
    return Counter(f"rejected_{record['kind']}/{record['stage']}/{record['reason']}" for record in records)


def stage_error(stage: str, error: Exception, message: str, *words: Any) -> Rejection:
    """The rejection of a row or target on which a stage raised: a bug costs one row, and is counted and named.

    Logs where it happened and what kind of error it was, never the error's own text, which may quote the row.

    Args:
        stage: The stage that failed.
        error: What it raised.
        message: What failed, in the form of `logging`, with `words` to fill in.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error(message + ": %s\n%s", *words, type(error).__name__, where.rstrip())
    return Rejection(stage, "stage_error", type(error).__name__)
