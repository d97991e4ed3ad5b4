"""Content filter: the entry point for jobs. Scans and redacts inputs, and scans generated text in context.

A `ContentFilter` is a small, picklable description until `open` is called. Then it contains the scanner and is
thread-safe; the scanner's databases, half a second to compile, come from the user's cache if it has them. It never
exposes raw values: findings contain types, offsets and keyed hashes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.scanning.findings import (
    CONTENT_TYPES,
    LISTED,
    Finding,
    has_private_key,
    hash_key_from_environment,
    keyed_hash,
    resolve_overlaps,
)
from transforms.scanning.policy import Policy, load_policy
from transforms.scanning.python_text import keeps_python_sound
from transforms.scanning.redaction import redact, redact_name
from transforms.scanning.rule import RuleSet
from transforms.scanning.scanner import Scanner

CONTEXT_CHARS = 16_384
"""Characters of prefix and suffix that are scanned with a completion: more than the longest key block, part of which
could be in them."""
_MAX_PASSES = 4

Classifier = Callable[[str, str], Sequence[Finding]]
"""A user-defined hook: `classifier(text, language) -> findings` (character offsets; byte offsets may be 0)."""

PERSONAL_TYPES = frozenset(
    {
        "author_name", "card", "coordinates", "date_of_birth", "email", "iban", "ip_address", "mac_address",
        "national_id", "passport", "phone", "postal_address",
    }
)  # fmt: skip
SAFETY_TYPES = CONTENT_TYPES | {"control_token"}


@dataclass(frozen=True)
class FilterOutcome:
    """The result of filtering a text.

    Args:
        text: The text after redaction; unchanged if the row must be rejected.
        findings: All findings with action and placeholder; offsets refer to the text before redaction.
        dropped: Why the row must be rejected, as a snake_case reason, or None.
    """

    text: str
    findings: tuple[Finding, ...]
    dropped: str | None = None


@functools.lru_cache(maxsize=4)
def _shared_scanner(rules: RuleSet) -> Scanner:
    """One scanner per rule set and process, shared by several filters and by a filter that is opened again."""
    return Scanner(rules)


def drop_reason(finding_type: str, where: str) -> str:
    """The rejection reason of a row or target: `secret_in_output`, `child_safety_in_input`, ...

    >>> drop_reason("api_token", "output")
    'secret_in_output'
    """
    if finding_type in PERSONAL_TYPES:
        return f"personal_data_in_{where}"
    return f"{finding_type}_in_{where}" if finding_type in SAFETY_TYPES else f"secret_in_{where}"


def _reason(finding: Finding, where: str) -> str:
    is_listed = finding.rule.startswith(LISTED)
    return f"{finding.type}_in_{where}" if is_listed else drop_reason(finding.type, where)


def _is_python(text: str, language: str, path: str) -> bool:
    found = find_language(language, path, text)
    return found is not None and found.grammar == "python"


class ContentFilter:
    """Filters the inputs of prompts and datasets, and generated text. Raises ConfigError for an invalid policy.

    Args:
        policy: A `Policy`, a preset's name (`strict`, `default`, `annotate`) or a policy file's path.
        classifier: A picklable hook that adds further findings.
    """

    def __init__(self, policy: Policy | str = "default", *, classifier: Classifier | None = None):
        self.policy = load_policy(policy) if isinstance(policy, str) else policy
        self.rules = self.policy.rules()
        self._classifier = classifier
        self._scanner: Scanner | None = None

    @property
    def rules_hash(self) -> str:
        """The rule set's hash, for the lineage."""
        return self.rules.hash

    @property
    def version(self) -> str:
        """Hashes of policy and rules in one string, for the lineage."""
        return f"{self.policy.name}-{self.policy_hash}/rules-{self.rules_hash}"

    @property
    def policy_hash(self) -> str:
        """The policy's hash, for the lineage."""
        return self.policy.hash

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scanner": None}

    def open(self) -> None:
        """Creates the scanner, once. Raises ConfigError."""
        if self._scanner is None:
            self._scanner = _shared_scanner(self.rules)

    def scan(self, text: str, language: str = "", path: str = "") -> list[Finding]:
        """Findings with the policy's actions, in order; those of one subject (`resolve_overlaps`) don't overlap."""
        assert self._scanner is not None, "call open() first"
        findings = self._scanner.scan(text, language=language, path=path)
        if self._classifier is not None:
            findings = resolve_overlaps([*findings, *self._classifier(text, language)])
        return [f._replace(action=self.policy.action(f.type, f.confidence)) for f in findings]

    def filter_input(self, text: str, language: str = "", path: str = "") -> FilterOutcome:
        """Scans and redacts a source text before it becomes a prompt or a row. Deterministic and idempotent.

        Args:
            text: Any text, including NUL and lone surrogates.
            language: The language's name in the corpus, or "".
            path: File name or path, or "". It distinguishes configuration from code, and determines the language if
                `language` does not.
        """
        findings = self.scan(text, language, path)
        dropped = next((f for f in findings if f.action == "drop"), None)
        if dropped is not None:
            return FilterOutcome(text, tuple(findings), _reason(dropped, "input"))
        if not any(f.action == "redact" for f in findings):
            return FilterOutcome(text, tuple(findings))
        is_keyed = has_private_key()
        current, reported = redact(text, findings, language, path, is_keyed=is_keyed)
        is_sound = self._classifier is None and keeps_python_sound(text, reported)
        for _ in range(_MAX_PASSES):
            again = [f for f in self.scan(current, language, path) if f.action == "redact"]
            if not again:
                break
            before = current
            current, more = redact(before, again, language, path, is_keyed=is_keyed)
            is_sound = is_sound and keeps_python_sound(before, more)
            reported += more
        else:
            return FilterOutcome(text, tuple(reported), "not_redactable")
        if is_sound and all(_is_python(version, language, path) for version in (text, current)):
            return FilterOutcome(current, tuple(reported))
        # Parse the redacted text first: it nearly always parses, and then the original need not be parsed.
        if parses(current, language, path) is False and parses(text, language, path):
            return FilterOutcome(text, tuple(reported), "redaction_breaks_syntax")
        return FilterOutcome(current, tuple(reported))

    def filter_name(self, text: str, column_action: str) -> tuple[str, tuple[Finding, ...]]:
        """Scans one text as `filter_names` does."""
        return self.filter_names((text,), column_action)[0]

    def filter_names(self, texts: Sequence[str], column_action: str) -> list[tuple[str, tuple[Finding, ...]]]:
        """Scans texts of a column other than the content, such as paths. Deterministic and idempotent.

        Args:
            texts: The texts.
            column_action: The policy's action for the column: with "keep" all findings are only reported, with
                "redact" those are replaced that would be redacted, or reject the row, in the content.

        Returns:
            Each text after redaction, and all its findings; offsets refer to the text before redaction.
        """
        assert self._scanner is not None, "call open() first"
        is_scanned = repeat(True) if self._classifier is not None else self._scanner.may_find_in(texts)
        return [
            self._filtered_name(text, column_action) if is_one else (text, ())
            for text, is_one in zip(texts, is_scanned, strict=False)
        ]

    def _filtered_name(self, text: str, column_action: str) -> tuple[str, tuple[Finding, ...]]:
        def scanned(text: str) -> list[Finding]:
            may_redact = column_action == "redact"
            return [
                f._replace(action="redact" if may_redact and f.action != "keep" else "keep") for f in self.scan(text)
            ]

        current, reported = redact_name(text, scanned(text))
        if current == text:
            return text, tuple(reported)
        for _ in range(_MAX_PASSES):
            again = [f for f in scanned(current) if f.action == "redact"]
            if not again:
                return current, tuple(reported)
            current, more = redact_name(current, again)
            reported += more
        # It is never clean, so nothing of it is kept; its hash keeps it unique.
        number = int(keyed_hash(text.encode("utf-8", "surrogatepass"), hash_key_from_environment()), 16)
        return f"<REDACTED_{number}>", tuple(reported)

    def filter_output(
        self, prefix: str, completion: str, suffix: str = "", language: str = "", path: str = ""
    ) -> list[Finding]:
        """Scans generated text in context, because a secret can straddle the boundary to the prefix or suffix.

        Returns:
            Findings with actions that overlap the completion. Character and byte offsets are relative to the
            completion's start, so a finding that starts in the prefix has a negative start. Findings entirely in the
            prefix or suffix are not reported.
        """
        before, after = prefix[-CONTEXT_CHARS:], suffix[:CONTEXT_CHARS]
        findings = self.scan(before + completion + after, language, path)
        first, last = len(before), len(before) + len(completion)
        first_byte = len(before.encode("utf-8", "surrogatepass"))
        return [
            f._replace(
                start=f.start - first,
                end=f.end - first,
                byte_start=f.byte_start - first_byte,
                byte_end=f.byte_end - first_byte,
            )
            for f in findings
            if f.start < last and f.end > first
        ]

    def output_reason(self, findings: Sequence[Finding]) -> str | None:
        """The reason to reject an output with these findings, or None. A finding that would be redacted in a source
        rejects an output."""
        bad = next((f for f in findings if f.action in ("redact", "drop")), None)
        return None if bad is None else _reason(bad, "output")

    def close(self) -> None:
        """Releases the scanner."""
        self._scanner = None
