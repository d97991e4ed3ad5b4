"""The one-pass scanner: all rules' triggers in one Hyperscan database per fold, then exact patterns in windows, then
validators.

    text --encode--> bytes --Hyperscan, one pass per fold--> (rule, end of trigger) ...
        each rule's exact matches around those ends (`matching.py`)
        validators examine each match and its surroundings; overlaps are resolved; byte offsets become character offsets

The exact matches equal those of `re.finditer` over the entire text, which a test enforces. Triggers are derived from
the exact patterns (`trigger.py`). Patterns without a literal are searched for in a folded text (`folds.py`). Cost: the
Hyperscan passes take about as long as the confirmation of their matches.

Hyperscan: https://intel.github.io/hyperscan/dev-reference/ (no SOM flag: tracking starts would cost most of the speed).
On platforms without a Hyperscan wheel, literal keywords are searched for instead (Aho-Corasick), and the patterns of
rules without keywords run over the entire text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from re import Match

from transforms.scanning.backends import Backend, HyperscanBackend, KeywordBackend, has_hyperscan
from transforms.scanning.candidate import Candidate, Document, Verdict
from transforms.scanning.findings import Finding, hash_key_from_environment, keyed_hash, resolve_overlaps
from transforms.scanning.matching import Matcher
from transforms.scanning.rule import Rule, RuleSet
from transforms.scanning.unsafe.combinations import combine_signals
from transforms.scanning.unsafe.term_finder import TermFinder
from transforms.scanning.validators.registry import (
    ASKS_IF_TEXT,
    LOOKS_BEHIND_BYTES,
    LOOKS_UNTIL,
    NEEDS_PATH,
    READS_COLUMNS,
    VALIDATORS,
    looks_near,
)

_MANY_ENDS = 64
_DENSE_BYTES = 256
"""With more than one trigger per this many bytes, lines probably repeat, so their results are cached. In other texts
the cache costs more than it saves, because it checks for every match whether it is in a string."""
_MAX_REMEMBERED = 1024
_TERM_CONFIDENCE = 0.8
_TERM_SPECIFICITY = 2


class Scanner:
    """Scans text with a rule set. Thread-safe and deterministic. The constructor builds the database, so construct it
    in `open`. A rule's exact pattern is compiled when its trigger is found for the first time: most never are, and all
    of them take a tenth of a second.

    Args:
        rules: The rules to search for.
        hash_key: Key of value hashes; by default from `CODEMILL_HASH_KEY`.
        backend: "hyperscan", "keywords", or "" for the first that is installed.
    """

    def __init__(self, rules: RuleSet, *, hash_key: bytes | None = None, backend: str = ""):
        self.rules = rules
        self._hash_key = hash_key_from_environment() if hash_key is None else hash_key
        self._has_triggers = backend != "keywords" and has_hyperscan(required=backend == "hyperscan")
        self._backend: Backend = HyperscanBackend(rules) if self._has_triggers else KeywordBackend(rules)
        self._validators = [VALIDATORS[rule.validator] if rule.validator else None for rule in rules.rules]
        self._need_path = {i for i, rule in enumerate(rules.rules) if rule.validator in NEEDS_PATH}
        self._matchers: list[Matcher | None] = [None] * len(rules.rules)
        self._terms = TermFinder(rules.terms, self._has_triggers) if rules.terms else None

    def scan(self, text: str, *, language: str = "", path: str = "") -> list[Finding]:
        """Findings in a text, in order; those of one subject don't overlap. Lone surrogates and NUL are ordinary."""
        return resolve_overlaps(self.scan_all(text, language=language, path=path))

    def scan_all(self, text: str, *, language: str = "", path: str = "") -> list[Finding]:
        """All rules' findings, including overlapping ones, by rule and position."""
        data = text.encode("utf-8", "surrogatepass")
        document = Document(data, language, path)
        found = self._backend.ends(data, kinds=document.kinds)
        findings: list[Finding] = []
        for index in sorted(found):
            findings += self._confirm(index, found[index], document)
        if findings:
            findings = combine_signals(_with_char_offsets(findings, data, len(data) == len(text)), document)
        return findings + self._find_terms(text, document) if self._terms is not None else findings

    def _find_terms(self, text: str, document: Document) -> list[Finding]:
        assert self._terms is not None
        found, char, byte = [], 0, 0
        for hit in self._terms.find(text):
            start = byte = byte + len(text[char : hit.start].encode("utf-8", "surrogatepass"))
            char, value = hit.start, text[hit.start : hit.end].encode("utf-8", "surrogatepass")
            if (hit.terms.in_text and not document.lexical.is_text(start)) or self._terms.is_benign(hit, text):
                continue
            found.append(
                Finding(
                    hit.terms.type, hit.terms.name, hit.start, hit.end, start, start + len(value), _TERM_CONFIDENCE,
                    True, _TERM_SPECIFICITY, keyed_hash(value, self._hash_key),
                )
            )  # fmt: skip
        return found

    def may_find_in(self, texts: Sequence[str]) -> list[bool]:
        """For each of several texts without a path, whether it has a trigger of any rule that may find something there.
        Most short texts have none, so `scan` finds nothing; one search of all costs a twentieth of it."""
        joined = "\n".join(texts)
        data = joined.encode("utf-8", "surrogatepass")
        found: set[int] = set() if self._terms is None else self._terms.lines_with_shapes(joined)
        lines = data.split(b"\n")
        for index, numbers in self._backend.lines_with_ends(data).items():
            value = self.rules.rules[index].value_regex
            if index not in self._need_path:
                found.update(numbers if value is None else (n for n in numbers if value.search(lines[n])))
        may, first = [], 0
        for text in texts:
            last = first + text.count("\n") + 1
            may.append(any(number in found for number in range(first, last)))
            first = last
        return may

    def compile_patterns(self) -> None:
        """Compiles all exact patterns. Raises re.error or ConfigError."""
        for index in range(len(self._matchers)):
            self._matcher(index)

    def _matcher(self, index: int) -> Matcher:
        matcher = self._matchers[index]
        if matcher is None:  # in several threads at once: each makes the same
            matcher = self._matchers[index] = Matcher(self.rules.rules[index], self._has_triggers)
        return matcher

    def _confirm(self, index: int, ends: list[int], document: Document) -> list[Finding]:
        rule, skip_until = self.rules.rules[index], document.skip_until
        found: list[Finding] = []
        is_dense = len(ends) >= _MANY_ENDS and len(ends) * _DENSE_BYTES > len(document.data)
        validate = self._cached_validate(index, document) if is_dense else self._validate
        for match in self._matcher(index).matches(ends, document):
            if not skip_until or match.start() >= skip_until.get(rule.id, 0):
                found += validate(index, match, document)
        if rule.context:
            return [finding for finding in found if document.lexical.is_text(finding.byte_start)]
        return found

    def _validate(self, index: int, match: Match[bytes], document: Document) -> Sequence[Finding]:
        """Runs the rule's validator on a match."""
        rule, validate = self.rules.rules[index], self._validators[index]
        candidate = Candidate(match, document, rule)
        verdict = candidate.verdict() if validate is None else validate(candidate)
        if verdict is None:
            return ()
        if not verdict.more:
            return (self._finding(rule, verdict, document),)
        return [self._finding(rule, part, document) for part in (verdict, *verdict.more)]

    def _cached_validate(
        self, index: int, document: Document
    ) -> Callable[[int, Match[bytes], Document], Sequence[Finding]]:
        """Returns a `_validate` that caches its results by the text of the match and its surroundings. Without the
        cache, a line that is repeated a hundred thousand times would be validated a hundred thousand times."""
        rule = self.rules.rules[index]
        looks_until, asks_if_text = LOOKS_UNTIL.get(rule.validator, looks_near), rule.validator in ASKS_IF_TEXT
        reads_columns = rule.validator in READS_COLUMNS and document.columns.may_be_any
        if looks_until is None or reads_columns:
            return self._validate
        known: dict[tuple[int, bytes, bool], tuple[list[Finding], int]] = {}

        def validate(index: int, match: Match[bytes], document: Document) -> Sequence[Finding]:
            start = match.start()
            first = max(0, start - LOOKS_BEHIND_BYTES)
            is_text = asks_if_text and document.is_code and document.lexical.is_text(match.start(rule.value_group))
            key = (start - first, document.data[first : looks_until(match)], is_text)
            if key in known:
                found, skip = known[key]
                if skip:
                    document.skip_until[rule.id] = start + skip
                return [_moved(finding, start) for finding in found]
            document.skip_until.pop(rule.id, None)
            findings = self._validate(index, match, document)
            if len(known) < _MAX_REMEMBERED:
                skip = document.skip_until.get(rule.id, start) - start
                known[key] = [_moved(finding, -start) for finding in findings], skip
            return findings

        return validate

    def _finding(self, rule: Rule, verdict: Verdict, document: Document) -> Finding:
        start, end = verdict.start, verdict.end
        if not document.is_ascii:
            start, end = _whole_characters(document.data, start, end)
        return Finding(
            verdict.type or rule.type,
            rule.id,
            start,  # in bytes until `_with_char_offsets`
            end,
            start,
            end,
            rule.confidence if verdict.confidence is None else verdict.confidence,
            verdict.validated,
            rule.specificity,
            keyed_hash(document.data[start:end], self._hash_key),
        )

    def matches(self, index: int, ends: Sequence[int], document: Document) -> Iterator[Match[bytes]]:
        """Yields the exact matches of one rule, given the ends of its triggers, like `rule.regex.finditer(data)`."""
        return self._matcher(index).matches(ends, document)


def _moved(finding: Finding, offset: int) -> Finding:
    """The finding shifted by `offset` bytes."""
    start, end = finding.byte_start + offset, finding.byte_end + offset
    return Finding(finding.type, finding.rule, start, end, start, end, *finding[6:])


def _whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Widens a span that starts or ends inside a UTF-8 sequence to complete characters."""
    while start > 0 and start < len(data) and 0x80 <= data[start] < 0xC0:
        start -= 1
    while end < len(data) and 0x80 <= data[end] < 0xC0:
        end += 1
    return start, end


def _with_char_offsets(findings: list[Finding], data: bytes, is_ascii: bool) -> list[Finding]:
    """Adds character offsets, in one pass over the text, whatever the number of findings."""
    if is_ascii:
        return findings
    chars, at_byte, at_char = {}, 0, 0
    for offset in sorted({o for f in findings for o in (f.byte_start, f.byte_end)}):
        at_char += len(data[at_byte:offset].decode("utf-8", "surrogatepass"))
        at_byte, chars[offset] = offset, at_char
    return [f._replace(start=chars[f.byte_start], end=chars[f.byte_end]) for f in findings]
