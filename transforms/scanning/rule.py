"""Rules in memory: patterns, triggers, and the rule set. `transforms.scanning.rules` reads them from files."""

from __future__ import annotations

import hashlib
import json
import re
import string
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from transforms.scanning.prefixes import starts_with_literal
from transforms.scanning.trigger import Trigger, derive_trigger, escape_literal
from transforms.scanning.unsafe.terms import TermList

_EDGE = re.compile(r"\\[AZ]|(?<![\[\\])\^|\(\?<!(?:\\[snWDS]|\[(?:[^\]\\]|\\.)*?\\[snWDS]|\[[^\]]*\n)")
BESIDE = (r"(?<![A-Za-z0-9_\-+/.#%&])", r"(?![A-Za-z0-9_])(?![+/=-][A-Za-z0-9])")
"""Characters that may not precede and follow a value near a provider's name."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; `transforms.scanning.rules` describes the fields. `pattern` is the complete exact expression."""

    id: str
    type: str
    pattern: str
    family: str = "user"
    near: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    validator: str = ""
    context: str = ""
    confidence: float = 0.8
    specificity: int = 1
    source: str = ""
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    anchored: bool = False
    files: str = ""
    fold: str = ""
    trigger_pattern: str = ""
    value: str = ""

    @cached_property
    def trigger(self) -> Trigger:
        """The pattern that Hyperscan searches for: the words in `near`, or a trigger derived from the pattern. Raises
        ConfigError if the pattern can't be used."""
        derived = derive_trigger(self.id, self.pattern, self._used_fold)
        if self.trigger_pattern:
            own = derive_trigger(self.id, self.trigger_pattern, self._used_fold)
            return replace(own, max_bytes=derived.max_bytes)
        if not self.near:
            return derived
        words = "|".join(escape_literal(word) for word in self.near)
        return Trigger(f"(?i:{words})", max(len(word.encode()) for word in self.near), derived.max_bytes)

    @property
    def reads_edges(self) -> bool:
        """Whether the trigger may see a difference between the start or end of a text and those of a line; without
        deriving it, so it is sometimes true of one that doesn't."""
        return not self.near and _EDGE.search(self.trigger_pattern or self.pattern) is not None

    @property
    def trigger_fold(self) -> str:
        """The trigger's fold, without deriving the trigger. Words in `near` are searched for in the text itself."""
        return self._used_fold if self.trigger_pattern or not self.near else ""

    @cached_property
    def _used_fold(self) -> str:
        """`fold`, unless the trigger starts with a literal that the fold would lose: an international phone number
        starts with `+` or `00`, and folded, any nine digits start like that."""
        if not self.fold or starts_with_literal(self.trigger_pattern or self.pattern, string.digits.encode()):
            return ""
        return self.fold

    @cached_property
    def keyword_bytes(self) -> tuple[bytes, ...]:
        """The keywords in lower case, without those that start with another keyword."""
        words = sorted({word.lower().encode("utf-8") for word in self.keywords}, key=len)
        return tuple(w for i, w in enumerate(words) if not any(w.startswith(other) for other in words[:i]))

    @cached_property
    def value_regex(self) -> re.Pattern[bytes] | None:
        """The expression of the value alone, for a rule with `near`; None for other rules."""
        return re.compile((BESIDE[0] + self.value + BESIDE[1]).encode("utf-8")) if self.value else None

    @cached_property
    def value_group(self) -> str | int:
        """The group of the value: `v`, or 0 for the entire match."""
        return "v" if "v" in self.regex.groupindex else 0

    @cached_property
    def regex(self) -> re.Pattern[bytes]:
        """The exact expression, over UTF-8 bytes."""
        return re.compile(self.pattern.encode("utf-8"))


@dataclass(frozen=True)
class RuleSet:
    """Rules in a fixed order and lists of terms, with the hash that identifies them in a dataset's lineage."""

    rules: tuple[Rule, ...]
    terms: tuple[TermList, ...] = ()

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all fields of the rules and lists, 16 hex digits."""
        fields = [*map(asdict, self.rules), *(terms.identity for terms in self.terms)]
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

    @property
    def types(self) -> tuple[str, ...]:
        """The types that these rules can report, sorted."""
        return tuple(sorted({rule.type for rule in self.rules} | {terms.type for terms in self.terms}))
