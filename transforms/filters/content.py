"""Secrets, personal data and unsafe content in a row's text, before it becomes a prompt, a training row or an output.

`filter_input` is what every job does with what goes in; `ContentStage` is the same as a stage of `codemill filter`.
Rows that it refuses have the stage `filter_input` in every job, as generated text has `filter_output`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import pyarrow as pa

from transforms.filters.stage import Stage, StageResult, struct_values
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import Row, content_sha256
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding

FILTER_INPUT: Final = "filter_input"

FINDING_TYPE: Final = pa.struct(
    [
        pa.field("type", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("byte_start", pa.int64(), nullable=False),
        pa.field("byte_end", pa.int64(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("validated", pa.bool_(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("placeholder", pa.string(), nullable=False),
        pa.field("value_hash", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class FilteredInput:
    """What became of a row.

    Args:
        row: The row, its content redacted and `redacted_sha256` that of the new content.
        findings: All that was found, with offsets in the text before.
        rejection: Why the row is left out, or None.
        counts: `found/TYPE/ACTION` and how many findings were of it.
    """

    row: Row
    findings: tuple[Finding, ...] = ()
    rejection: Rejection | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def filter_input(content_filter: ContentFilter | None, row: Row) -> FilteredInput:
    """Scans and redacts a row's content.

    Args:
        content_filter: Opened; None lets everything through.
        row: The row.
    """
    if content_filter is None:
        return FilteredInput(row)
    try:
        outcome = content_filter.filter_input(row.content, row.language, row.path)
    except Exception as error:  # a bug must cost one row, and must be seen
        rejection = stage_error(FILTER_INPUT, error, "the input filter failed on %s", row.source)
        return FilteredInput(row, rejection=rejection)
    counts = Counter(f"found/{finding.type}/{finding.action}" for finding in outcome.findings)
    if outcome.dropped is not None:
        rejection = Rejection(FILTER_INPUT, outcome.dropped, by_rules(outcome.findings, ("drop",)))
        return FilteredInput(row, outcome.findings, rejection, counts)
    if outcome.text != row.content:
        row = replace(row, content=outcome.text, redacted_sha256=content_sha256(outcome.text))
    return FilteredInput(row, outcome.findings, None, counts)


def by_rules(findings: Iterable[Finding], actions: tuple[str, ...]) -> str:
    """The detail of a rejection: which rules' findings have one of these actions; "" where none has."""
    rules = ", ".join(sorted({finding.rule for finding in findings if finding.action in actions}))
    return rules and f"by rule {rules}"


@dataclass(frozen=True)
class ContentStage(Stage):
    """Redacts what the policy says, and leaves out rows in which something is to be dropped.

    Args:
        content_filter: None finds nothing.
    """

    name: ClassVar[str] = FILTER_INPUT
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("findings", pa.list_(pa.field("item", FINDING_TYPE, nullable=False)), nullable=False),
    )

    content_filter: ContentFilter | None = None

    @property
    def version(self) -> str:
        """Policy and rules."""
        return self.content_filter.version if self.content_filter is not None else ""

    def open(self) -> None:
        """Makes the scanner."""
        if self.content_filter is not None:
            self.content_filter.open()

    def examine(self, row: Row) -> StageResult:
        """Reasons: those of `transforms.scanning.content`, such as `secret_in_input`."""
        filtered = filter_input(self.content_filter, row)
        findings = [struct_values(finding, FINDING_TYPE) for finding in filtered.findings]
        return StageResult({"findings": findings}, filtered.rejection, filtered.row, filtered.counts)
