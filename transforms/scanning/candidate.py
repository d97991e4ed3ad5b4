"""Types shared by the scanner and its validators: a document, a candidate in it, and a validator's verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from re import Match, Pattern

from transforms.languages.lookup import find_language
from transforms.scanning.lexical import Lexical
from transforms.scanning.personal.names import PHONE_NAME, normalized
from transforms.scanning.personal.tables import Columns
from transforms.scanning.rule import Rule

_NO_KINDS: frozenset[str] = frozenset()
_SETTINGS = frozenset(("settings",))
_READ_COMMENTS = ("hash", "slash", "dash")  # the styles that `Lexical` reads
_CONFIG_PATH = re.compile(
    r"(?i)(?:\.(?:env|ini|cfg|conf|config|cnf|properties|ya?ml|toml|json|xml|tfvars|netrc|npmrc|pypirc|plist|sh|bash|zsh|txt"
    r"|sql|md|credentials?)|rc|credentials?|\.env[.\w]*)$"
)

_SETTINGS_PATH = re.compile(r"(?i)(?:\.(?:env|ini|cfg|conf|cnf|netrc)|(?:^|/)\.\w+rc|(?:^|/)\.env(?:\.\w+)*)$")
_ENVIRONMENT_PATH = re.compile(r"(?i)(?:\.env|(?:^|/)\.env(?:\.\w+)*)$")
_LINE_CONFIG_PATH = re.compile(
    r"(?i)(?:\.(?:ya?ml|properties|tfvars|conf|config|cfg|ini|sh|bash|zsh|service|env[.\w]*)|(?:^|/)(?:dockerfile|containerfile)[.\w]*"
    r"|(?:^|/)\.\w+rc)$"
)
_LANGUAGES = (
    "af am ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu he hi hr hu hy id is it ja ka kk"
    " km kn ko ku ky lo lt lv mg mi mk ml mn mr ms mt nb ne nl nn no pa pl ps pt ro ru si sk sl sq sr sv sw ta te tg th"
    " tk tl tr tt ug uk ur uz vi yi zh zu"
)
"""Codes of ISO 639-1 that interfaces are translated to; two other letters (`db.ts`, `ui.js`) are no language."""
_TRANSLATION_PATH = re.compile(
    r"(?i)(?:^|[/_.-])(?:i18n|l10n|locales?|lang|langs|languages?|translations?|messages?|strings?|labels?"
    r"|resources?_[a-z]{2}|nls|bundle)(?:[/_.-]|$)"
    rf"|[/_.-](?:{_LANGUAGES.replace(' ', '|')})(?:[-_][A-Za-z]{{2,4}})?"
    r"\.(?:json|ya?ml|properties|po|ts|js|php|xml|resx|strings)$"
    r"|\.(?:po|pot|resx|xliff?|strings|ftl|arb)$"
)


@dataclass
class Document:
    """The scanned text, as UTF-8 bytes, with properties that validators need (computed on first use)."""

    data: bytes
    language: str = ""
    path: str = ""
    confidences: dict[tuple[str, bytes, bytes, bool], float | None] = field(default_factory=dict, repr=False)
    skip_until: dict[str, int] = field(default_factory=dict)
    """By rule id, an offset: matches that start before it belong to a value that was already validated."""

    @cached_property
    def is_ascii(self) -> bool:
        """Whether the text is ASCII, so that byte and character offsets are equal."""
        return self.data.isascii()

    @cached_property
    def is_config(self) -> bool:
        """Whether its path is that of a configuration file, a script or a note."""
        return bool(self.path) and _CONFIG_PATH.search(self.path) is not None

    @cached_property
    def is_settings(self) -> bool:
        """Whether its path is that of a settings file, which contains names and values."""
        return bool(self.path) and _SETTINGS_PATH.search(self.path) is not None

    @cached_property
    def is_environment(self) -> bool:
        """Whether its path is that of a file of environment variables."""
        return _ENVIRONMENT_PATH.search(self.path) is not None

    @cached_property
    def is_line_config(self) -> bool:
        """Whether its path is that of a file whose lines are names and values, and which has no translations."""
        return _LINE_CONFIG_PATH.search(self.path) is not None and not self.is_translation

    @cached_property
    def is_translation(self) -> bool:
        """Whether its path is that of texts of a user interface, in one or several languages."""
        return _TRANSLATION_PATH.search(self.path) is not None

    @cached_property
    def is_code(self) -> bool:
        """Whether the text outside comments and strings consists of expressions."""
        found = find_language(self.language)
        is_code = found is not None and found.kind == "code" and found.comments in _READ_COMMENTS
        return is_code and not self.is_config

    @cached_property
    def lexical(self) -> Lexical:
        """The spans of its comments and strings."""
        return Lexical(self.data, self.language)

    @cached_property
    def columns(self) -> Columns:
        """The columns of its tables."""
        return Columns(self.data, self.path)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of files that it is (`Rule.files`), besides "" for all."""
        kinds = _SETTINGS if self.is_settings else _NO_KINDS
        if not self.columns.may_be_any:
            return kinds
        has_phones = any(PHONE_NAME.search(normalized(name)) for name in self.columns.names())
        return kinds | {"phones"} if has_phones else kinds

    def lines_like(self, pattern: Pattern[bytes]) -> list[int]:
        """Offsets of the lines that a pattern matches, ascending. The pattern starts with the preceding line break."""
        if pattern not in self._lines_like:
            self._lines_like[pattern] = [match.start() for match in pattern.finditer(b"\n" + self.data)]
        return self._lines_like[pattern]

    @cached_property
    def _lines_like(self) -> dict[Pattern[bytes], list[int]]:
        return {}


class Candidate:
    """One exact match of a rule, before its validator has decided. The validator may examine the text around the match.

    The constructor computes the attributes that nearly every validator needs: `data`, the bytes of the entire document;
    `span`, the span of the value (group `v`, or the entire match); and `value`, its bytes.
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
        """Up to `num_bytes` before the entire match."""
        start = self.match.start()
        return self.data[max(0, start - num_bytes) : start]

    def after(self, num_bytes: int) -> bytes:
        """Up to `num_bytes` of the same line after the value."""
        end = self.span[1]
        return self.data[end : end + num_bytes].partition(b"\n")[0]

    def verdict(self, *, validated: bool = False, confidence: float | None = None) -> Verdict:
        """Accepts the value's span unchanged."""
        return Verdict(*self.span, validated=validated, confidence=confidence)


@dataclass(slots=True)
class Verdict:
    """A validator's acceptance: the span to report (in bytes), whether a checksum or structure confirmed it, and values
    that override those of the rule. A validator that dismisses a candidate returns None instead."""

    start: int
    end: int
    validated: bool = False
    confidence: float | None = None
    type: str = ""
    more: tuple[Verdict, ...] = ()
    """Further values of the same match."""
