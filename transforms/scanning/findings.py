"""Findings of the scanner: spans with a type and a keyed hash, never the value itself.

A finding has offsets both in UTF-8 bytes and in characters, because Hyperscan counts bytes and redaction edits text.
The hash identifies findings of the same value without storing it. It is keyed BLAKE2b with a 48-bit digest. With a
private key (`CODEMILL_HASH_KEY`), no one else can test guesses against it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

HASH_KEY_VARIABLE = "CODEMILL_HASH_KEY"
_PUBLIC_KEY = b"codemill filters"
_HASH_BYTES = 6
CONTENT_TYPES = frozenset({"child_safety", "hate", "malicious_code", "prompt_injection", "self_harm", "sexual"})
"""Types that are about what a text says or does, not about values in it."""
LISTED = "listed-"
"""What the names of a user's lists of terms begin with, as rules of findings."""
_SPAN = attrgetter("byte_start", "byte_end")


class Finding(NamedTuple):
    """One span that a rule matched and its validator accepted.

    Args:
        type: Its type, as named in policies, e.g. `api_token`, `email`.
        rule: The rule's id.
        start, end: Span in characters of the text.
        byte_start, byte_end: The same span in bytes of its UTF-8 encoding.
        confidence: 0 to 1, estimated by the rule or its validator.
        validated: Whether a checksum, a structure or a decoder confirmed it.
        specificity: 0 for a generic shape, 1 for a shape near a keyword, 2 for a unique shape (a provider's prefix).
        value_hash: Keyed hash of the value, in hex.
        action: The policy's action: "keep", "redact", "drop", or "" before a policy is applied.
        placeholder: What replaces it in the redacted text, or "".
        column: The column that it was found in, or "" for the content.
        line: The line that it starts in, from 1; 0 if it wasn't counted.
    """

    type: str
    rule: str
    start: int
    end: int
    byte_start: int
    byte_end: int
    confidence: float
    validated: bool
    specificity: int
    value_hash: str
    action: str = ""
    placeholder: str = ""
    column: str = ""
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values, for a row's `findings` column and for reports."""
        return self._asdict()


def hash_key_from_environment() -> bytes:
    """The key of value hashes: `CODEMILL_HASH_KEY`, or a public key, with which hashes only identify equal values."""
    return os.environ.get(HASH_KEY_VARIABLE, "").encode() or _PUBLIC_KEY


def has_private_key() -> bool:
    """Whether the key of value hashes is the user's, so that nobody else can test guesses against them."""
    return bool(os.environ.get(HASH_KEY_VARIABLE))


def keyed_hash(value: bytes, key: bytes) -> str:
    """A 48-bit keyed hash of a value, in hex (BLAKE2b, RFC 7693).

    >>> keyed_hash(b"a", b"k") == keyed_hash(b"a", b"k") != keyed_hash(b"a", b"other")
    True
    """
    return hashlib.blake2b(value, digest_size=_HASH_BYTES, key=key[:64]).hexdigest()


def with_lines(findings: Sequence[Finding], text: str) -> tuple[Finding, ...]:
    """The findings of a text, in order, with the lines that they start in. One pass, whatever their number."""
    counted, at, line = [], 0, 1
    for finding in findings:
        ahead = finding.start >= at
        line += text.count("\n", at, finding.start) if ahead else -text.count("\n", finding.start, at)
        at = finding.start
        counted.append(finding._replace(line=line))
    return tuple(counted)


def resolve_overlaps(findings: list[Finding]) -> list[Finding]:
    """Keeps the best of overlapping findings: validated over not validated, specific over generic, long over short.

    What a text says or does and the values in it are two subjects, so a finding of one never displaces one of the
    other: an address in malicious code, a term in a password. Ties go to the finding that starts first, then to the
    smaller rule id, so the result does not depend on the input order. The result is sorted by start.
    """
    if len(findings) < 2:
        return findings
    values = [finding for finding in findings if not is_about_content(finding)]
    if len(values) in (0, len(findings)):
        return _without_overlaps(findings)
    content = [finding for finding in findings if is_about_content(finding)]
    both = (*_without_overlaps(values), *_without_overlaps(content))
    return sorted(both, key=lambda finding: (finding.byte_start, -finding.byte_end))


def is_about_content(finding: Finding) -> bool:
    """Whether a finding tells what a text says or does, as unsafe terms, a user's terms and malicious code do."""
    return finding.type in CONTENT_TYPES or finding.rule.startswith(LISTED)


def _without_overlaps(findings: list[Finding]) -> list[Finding]:
    if len(findings) < 2:
        return findings
    ordered = sorted(findings, key=_SPAN)
    kept: list[Finding] = []
    cluster: list[Finding] = []  # a run of findings in which each overlaps an earlier one
    reach = -1
    for finding in ordered:
        if finding.byte_start >= reach:
            kept += cluster if len(cluster) < 2 else _best_of(cluster)
            cluster, reach = [finding], finding.byte_end
        else:
            cluster.append(finding)
            reach = max(reach, finding.byte_end)
    return kept + (cluster if len(cluster) < 2 else _best_of(cluster))


def _best_of(cluster: list[Finding]) -> list[Finding]:
    chosen: list[Finding] = []
    for finding in sorted(cluster, key=_rank):
        if all(finding.byte_end <= other.byte_start or finding.byte_start >= other.byte_end for other in chosen):
            chosen.append(finding)
    return sorted(chosen, key=lambda f: f.byte_start)


def _rank(finding: Finding) -> tuple[Any, ...]:
    length = finding.byte_end - finding.byte_start
    return (not finding.validated, -finding.specificity, -length, finding.byte_start, finding.rule)
