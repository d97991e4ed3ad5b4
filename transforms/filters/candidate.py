"""What passes between the scanner and its validators: a match in its document, and what a validator says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from re import Match, Pattern
from typing import TYPE_CHECKING

from transforms.filters.lexical import Lexical

if TYPE_CHECKING:
    from transforms.filters.rules import Rule


@dataclass
class Document:
    """The text that is scanned, as UTF-8 bytes, and what validators ask of it (made when first asked for)."""

    data: bytes
    language: str = ""
    path: str = ""
    judged: dict[tuple[str, bytes, bytes, bool], float | None] = field(default_factory=dict, repr=False)
    skip_until: dict[str, int] = field(
        default_factory=dict
    )  # by rule id: matches that begin before are of a value already judged
    _lexical: Lexical | None = field(default=None, repr=False)
    _offsets: dict[Pattern[bytes], list[int]] = field(default_factory=dict, repr=False)

    @property
    def lexical(self) -> Lexical:
        """Which bytes are comments or strings."""
        if self._lexical is None:
            self._lexical = Lexical(self.data, self.language)
        return self._lexical

    def offsets_of(self, pattern: Pattern[bytes]) -> list[int]:
        """Where a pattern matches in the document, ascending."""
        if pattern not in self._offsets:
            self._offsets[pattern] = [match.start() for match in pattern.finditer(self.data)]
        return self._offsets[pattern]


@dataclass(slots=True)  # not frozen: that would double the time of making one
class Candidate:
    """One exact match of a rule, for its validator to judge. It may look around the match, at `data`."""

    match: Match[bytes]
    document: Document
    rule: Rule

    @property
    def data(self) -> bytes:
        """The whole document's bytes."""
        return self.document.data

    @property
    def span(self) -> tuple[int, int]:
        """The value's span: group `v`, or the whole match."""
        return self.match.span("v" if "v" in self.match.re.groupindex else 0)

    @property
    def value(self) -> bytes:
        """The value's bytes."""
        start, end = self.span
        return self.data[start:end]

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

    def moved(self, offset: int) -> Verdict:
        """The same verdict, so many bytes further on."""
        more = tuple(verdict.moved(offset) for verdict in self.more)
        return Verdict(self.start + offset, self.end + offset, self.validated, self.confidence, self.type, more)
