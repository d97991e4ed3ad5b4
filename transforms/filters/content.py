"""Input filter: secrets, personal data and unsafe content in a row's text, before it becomes a prompt, a training row
or an output.

Every job applies `filter_input` to its input; `ContentStage` is the same as a stage of `codemill filter`. In every job,
rows that it rejects have the stage `filter_input`; rejected generated text has the stage `filter_output`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

import pyarrow as pa

from transforms.filters.stage import Stage, StageResult, struct_reader
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import Row, content_sha256
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding, with_lines

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
        pa.field("column", pa.string(), nullable=False),  # "": the content
        pa.field("line", pa.int64(), nullable=False),  # 0: not in the content
    ]
)
_finding_dict: Final = struct_reader(FINDING_TYPE)


@dataclass(frozen=True, slots=True)
class FilteredInput:
    """The result of filtering a row's content.

    Args:
        row: The row with its content redacted and `redacted_sha256` updated.
        findings: All findings, with offsets in the text before redaction.
        rejection: Why the row is rejected, or None.
        counts: The number of findings per `found/TYPE/ACTION`.
    """

    row: Row
    findings: tuple[Finding, ...] = ()
    rejection: Rejection | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def filter_input(content_filter: ContentFilter | None, row: Row) -> FilteredInput:
    """Scans and redacts a row's content.

    Args:
        content_filter: An opened filter; None passes every row unchanged.
        row: The row.
    """
    if content_filter is None:
        return FilteredInput(row)
    try:
        outcome = content_filter.filter_input(row.content, row.language, row.path)
    except Exception as error:  # a bug must cost only one row, and must be visible
        rejection = stage_error(FILTER_INPUT, error, "the input filter failed on %s", row.source)
        return FilteredInput(row, rejection=rejection)
    if not outcome.findings and outcome.dropped is None and outcome.text is row.content:
        return FilteredInput(row)
    findings = with_lines(outcome.findings, row.content)
    counts = Counter(f"found/{finding.type}/{finding.action}" for finding in findings)
    if outcome.dropped is not None:
        rejection = Rejection(FILTER_INPUT, outcome.dropped, by_rules(findings, ("drop",)))
        return FilteredInput(row, findings, rejection, counts)
    if outcome.text != row.content:
        row = replace(row, content=outcome.text, redacted_sha256=content_sha256(outcome.text))
    return FilteredInput(row, findings, None, counts)


def with_findings(columns: Mapping[str, Any], more: Iterable[Finding]) -> Mapping[str, Any]:
    """A row's result columns with further findings, those of its other text columns."""
    added = list(map(_finding_dict, more))
    return {**columns, "findings": [*columns["findings"], *added]} if added else columns


def redactions(findings: Iterable[tuple[str, str]]) -> Counter[str]:
    """Counts what was redacted in one kept row, as `redacted/TYPE`, and the row itself, as `rows_with_redactions`.

    Args:
        findings: Type and action of each finding of the row, in its content and its other columns.

    >>> sorted(redactions([("email", "redact"), ("secret", "keep")]).items())
    [('redacted/email', 1), ('rows_with_redactions', 1)]
    """
    found = Counter(f"redacted/{type_}" for type_, action in findings if action == "redact")
    if found:
        found["rows_with_redactions"] = 1
    return found


def by_rules(findings: Iterable[Finding], actions: tuple[str, ...]) -> str:
    """The detail of a rejection: the rules whose findings have one of these actions, each with the line of its first
    one where lines were counted; "" if there are none."""
    lines: dict[str, int] = {}
    for finding in findings:
        if finding.action in actions:
            lines.setdefault(finding.rule, finding.line)
    rules = ", ".join(f"{rule} at line {line}" if line else rule for rule, line in sorted(lines.items()))
    return rules and f"by rule {rules}"


@dataclass(frozen=True)
class ContentStage(Stage):
    """Redacts a row's content as the policy requires, and rejects rows with a finding whose action is "drop".

    Args:
        content_filter: The filter; None passes every row unchanged.
    """

    name: ClassVar[str] = FILTER_INPUT
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("findings", pa.list_(pa.field("item", FINDING_TYPE, nullable=False)), nullable=False),
    )

    content_filter: ContentFilter | None = None

    @property
    def version(self) -> str:
        """Hashes of policy and rules."""
        return self.content_filter.version if self.content_filter is not None else ""

    def open(self) -> None:
        """Creates the scanner."""
        if self.content_filter is not None:
            self.content_filter.open()

    def examine(self, row: Row) -> StageResult:
        """Reasons: those of `transforms.scanning.content`, such as `secret_in_input`."""
        filtered = filter_input(self.content_filter, row)
        findings = list(map(_finding_dict, filtered.findings))
        return StageResult({"findings": findings}, filtered.rejection, filtered.row, filtered.counts)
