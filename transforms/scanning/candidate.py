"""What passes between the scanner and its validators: a match in its document, and what a validator says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from re import Match, Pattern

from transforms.languages.lookup import find_language
from transforms.scanning.lexical import Lexical
from transforms.scanning.rule import Rule

_READ_COMMENTS = ("hash", "slash", "dash")  # the styles that `Lexical` reads
_CONFIG_PATH = re.compile(
    r"(?i)(?:\.(?:env|ini|cfg|conf|config|cnf|properties|ya?ml|toml|json|xml|tfvars|netrc|npmrc|pypirc|plist|sh|bash|zsh|txt"
    r"|sql|md|credentials?)|rc|credentials?|\.env[.\w]*)$"
)

_SETTINGS_PATH = re.compile(r"(?i)(?:\.(?:env|ini|cfg|conf|cnf|netrc)|(?:^|/)\.\w+rc|(?:^|/)\.env(?:\.\w+)*)$")


@dataclass
class Document:
    """The text that is scanned, as UTF-8 bytes, and what validators ask of it (made when first asked for)."""

    data: bytes
    language: str = ""
    path: str = ""
    judged: dict[tuple[str, bytes, bytes, bool], float | None] = field(default_factory=dict, repr=False)
    skip_until: dict[str, int] = field(default_factory=dict)
    """By rule id: matches that begin before are of a value already judged."""

    @cached_property
    def is_ascii(self) -> bool:
        """Whether bytes are characters."""
        return self.data.isascii()

    @cached_property
    def is_config(self) -> bool:
        """Whether its path is that of a configuration, a script or a note."""
        return bool(self.path) and _CONFIG_PATH.search(self.path) is not None

    @cached_property
    def is_settings(self) -> bool:
        """Whether its path is that of a file of names and values."""
        return bool(self.path) and _SETTINGS_PATH.search(self.path) is not None

    @cached_property
    def is_code(self) -> bool:
        """Whether what is no comment and no string in it is an expression."""
        found = find_language(self.language)
        is_code = found is not None and found.kind == "code" and found.comments in _READ_COMMENTS
        return is_code and not self.is_config

    @cached_property
    def lexical(self) -> Lexical:
        """Which bytes are comments or strings."""
        return Lexical(self.data, self.language)

    def lines_like(self, pattern: Pattern[bytes]) -> list[int]:
        """Offsets of the lines that a pattern matches, ascending; the pattern begins with the line break before."""
        if pattern not in self._lines_like:
            self._lines_like[pattern] = [match.start() for match in pattern.finditer(b"\n" + self.data)]
        return self._lines_like[pattern]

    @cached_property
    def _lines_like(self) -> dict[Pattern[bytes], list[int]]:
        return {}


class Candidate:
    """One exact match of a rule, for its validator to judge. It may look around the match, at `data`.

    Made for every match, so what nearly every validator asks for is worked out at once: `data`, the whole document's
    bytes; `span`, the value's (group `v`, or the whole match); `value`, its bytes.
    """

    __slots__ = ("data", "document", "match", "rule", "span", "value")

    def __init__(self, match: Match[bytes], document: Document, rule: Rule):
        self.match, self.document, self.rule = match, document, rule
        self.data = document.data
        self.span = match.span(rule.value_group)
        self.value = match[rule.value_group]

    def before(self, num_bytes: int) -> bytes:
        """Up to `num_bytes` of the same line before the value."""
        start = self.span[0]
        return self.data[max(0, start - num_bytes) : start].rpartition(b"\n")[2]

    def before_match(self, num_bytes: int) -> bytes:
        """Up to `num_bytes` before the whole match."""
        start = self.match.start()
        return self.data[max(0, start - num_bytes) : start]

    def after(self, num_bytes: int) -> bytes:
        """Up to `num_bytes` of the same line after the value."""
        end = self.span[1]
        return self.data[end : end + num_bytes].partition(b"\n")[0]

    def verdict(self, *, validated: bool = False, confidence: float | None = None) -> Verdict:
        """Accepts the value as it stands."""
        return Verdict(*self.span, validated=validated, confidence=confidence)


@dataclass(slots=True)
class Verdict:
    """A validator's yes: the span to report (bytes), whether a checksum or structure confirmed it, and what else it
    knows
    better than the rule. Its no is None."""

    start: int
    end: int
    validated: bool = False
    confidence: float | None = None
    type: str = ""
    more: tuple[Verdict, ...] = ()
    """Further values of the same match."""
