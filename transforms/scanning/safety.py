"""Unsafe content: hashed terms, and malicious code as a combination of signals that are close together.

A single call is not malicious: installers download, templates evaluate, programs read their environment. A finding
requires a combination of signals within `COMBINATION_BYTES`, and spans these signals.
"""

from __future__ import annotations

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.findings import Finding
from transforms.scanning.terms import term_hash

COMBINATION_BYTES = 400
SIGNAL_PREFIX = "signal."
MALICIOUS_CODE = "malicious_code"
COMBINATIONS: dict[str, tuple[str, ...]] = {
    "decode-and-execute": ("decode", "execute"),
    "download-and-execute": ("download", "execute"),
    "read-environment-and-send": ("bulk_environment", "send"),
    "read-credentials-and-send": ("credential_store", "send"),
    "reverse-shell": ("socket", "redirect_descriptors", "execute"),
    "shell-to-network": ("shell_to_network",),
    "encrypt-and-ransom": ("encrypt_files", "ransom_note"),
    "keys-and-send": ("keylogger", "send"),
}
"""The combinations of signals that make a finding. `shell_to_network` suffices alone: one line redirects a shell to a
socket."""


def hashed_term(candidate: Candidate) -> Verdict | None:
    """Accepts a term whose hash is in the rule; its shape alone is not evidence."""
    value = candidate.value.decode("ascii", "replace")
    return candidate.verdict(validated=True) if term_hash(value) in candidate.rule.hashes else None


def combine_signals(findings: list[Finding]) -> list[Finding]:
    """Replaces signals by the combinations that they form; signals that form none are removed."""
    signals = sorted((f for f in findings if f.type.startswith(SIGNAL_PREFIX)), key=lambda f: f.byte_start)
    if not signals:
        return findings
    others = [f for f in findings if not f.type.startswith(SIGNAL_PREFIX)]
    for name, needed in COMBINATIONS.items():
        others += _combinations(name, needed, signals)
    return others


def _combinations(name: str, needed: tuple[str, ...], signals: list[Finding]) -> list[Finding]:
    wanted = {SIGNAL_PREFIX + kind for kind in needed}
    relevant = [f for f in signals if f.type in wanted]
    found: list[Finding] = []
    last_seen: dict[str, Finding] = {}
    for signal in relevant:
        last_seen[signal.type] = signal
        if len(last_seen) < len(wanted):
            continue
        parts = list(last_seen.values())
        first, last = min(parts, key=lambda f: f.byte_start), max(parts, key=lambda f: f.byte_end)
        if last.byte_start - first.byte_start > COMBINATION_BYTES:
            continue
        combined = first._replace(
            type=MALICIOUS_CODE, rule=name, end=last.end, byte_end=last.byte_end, specificity=1, validated=False,
            confidence=0.9 if name == "shell-to-network" else 0.7,
        )  # fmt: skip
        found.append(combined)
        last_seen.clear()
    return found
