"""What the scanner reports: spans with a type and a keyed hash, never the value itself.

Offsets are given twice, in UTF-8 bytes and in characters, because redaction edits text while Hyperscan counts bytes.
The hash lets two findings of the same value be recognised as such without storing it. It is BLAKE2b with a
key, cut to 48 bits: with the job's own key (`CODEMILL_HASH_KEY`) nobody else can try guesses against it.
"""

from __future__ import annotations

import hashlib
import os
from operator import attrgetter
from typing import Any, NamedTuple

HASH_KEY_VARIABLE = "CODEMILL_HASH_KEY"
_PUBLIC_KEY = b"codemill filters"
_HASH_BYTES = 6
_SPAN = attrgetter("byte_start", "byte_end")


class Finding(NamedTuple):
    """One span that a rule matched and its validator let pass.

    Args:
        type: What it is, as policies name it, e.g. `api_token`, `email`.
        rule: The rule's id.
        start, end: Span in characters of the text.
        byte_start, byte_end: The same span in bytes of its UTF-8 encoding.
        confidence: 0 to 1, the rule's own estimate.
        validated: A checksum, a structure or a decoder confirmed it.
        specificity: 0 generic shape, 1 a shape beside a keyword, 2 a shape of its own (a provider's prefix).
        value_hash: Keyed hash of the value, in hex.
        action: What the policy does with it: "keep", "redact", "drop", or "" before a policy was asked.
        placeholder: What stands in its place after redaction, or "".
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

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values, for a row's `findings` column and for reports."""
        return self._asdict()


def hash_key_from_environment() -> bytes:
    """The key of value hashes: `CODEMILL_HASH_KEY`, or a public one that only tells equal values apart."""
    return os.environ.get(HASH_KEY_VARIABLE, "").encode() or _PUBLIC_KEY


def keyed_hash(value: bytes, key: bytes) -> str:
    """A 48-bit keyed hash of a value, in hex (BLAKE2b, RFC 7693).

    >>> keyed_hash(b"a", b"k") == keyed_hash(b"a", b"k") != keyed_hash(b"a", b"other")
    True
    """
    return hashlib.blake2b(value, digest_size=_HASH_BYTES, key=key[:64]).hexdigest()


def resolve_overlaps(findings: list[Finding]) -> list[Finding]:
    """Keeps the best of overlapping findings: validated before not, specific before generic, long before short.

    Ties go to the one that starts first, then to the smaller rule id, so the result does not depend on order. The
    result is sorted by start.
    """
    ordered = sorted(findings, key=_SPAN)
    kept: list[Finding] = []
    cluster: list[Finding] = []  # findings that touch, one after another
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
