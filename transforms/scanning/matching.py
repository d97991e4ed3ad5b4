"""Exact matches of one rule, given the ends of its triggers: the same matches as `rule.regex.finditer`, without reading
the entire text.

    for ends in ascending order; `done` is the end of the last match:
        search for a match that starts between max(done, end - lead) and end                     (bounded)
        if found: yield it, done = its end; otherwise no match starts up to `end`: done = end + 1

Each byte is tried as a start at most once per rule. The search for a start depends on the rule:

- At literals, if each match starts with one (a keyword, or see `prefixes.py`): the pattern is tried only there.
- Anywhere: `search` in the window; or start by start if a match may be long, because `search` would read past the
  window.
- Near a provider's name: a value of the right shape must be within reach. One search answers this for a stretch of
  text, so a line that repeats the name a thousand times costs one search.

If triggers are so frequent that the windows would cover the text more than twice, the entire text is one window.
Adversarial input then costs one linear pass instead of one call per byte.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from re import Match

from transforms.scanning.candidate import Document
from transforms.scanning.prefixes import literal_prefixes, stays_in_line
from transforms.scanning.rule import Rule
from transforms.scanning.rules import NEAR_GAP_BYTES
from transforms.scanning.trigger import escape_literal

LOOKAHEAD_BYTES = 64
"""Bytes after the longest match that are available to a pattern's lookahead."""
_FLOOD_FACTOR = 2
_FLOOD_SLACK_BYTES = 65_536
_MAX_WINDOW_BYTES = 4096
_DENSE_BYTES = 128
"""With more than one trigger per this many bytes, one search of the text for literals costs less than one search before
each trigger."""
_MANY_WORDS = 6
"""With more keywords than this, one Hyperscan call is faster than one `find` per keyword."""
_MAX_AHEAD_BYTES = 1 << 16
_LONG_REACH = 3
"""If a search may read more than this many times the length of its window, starts are tried one by one instead."""

Starts = Callable[[bytes, int, int], list[int]]
"""`starts(data, first, last)`: the offsets of keywords in `data[first:last]`, ascending."""


class Matcher:
    """Confirms one rule's triggers; thread-safe.

    Args:
        rule: The rule.
        has_triggers: Whether the ends are those of the rule's trigger; otherwise they are the ends of its keywords.
    """

    def __init__(self, rule: Rule, has_triggers: bool):
        self._rule, self._regex = rule, rule.regex
        self._has_triggers = has_triggers
        self._lead = rule.trigger.lead_bytes if has_triggers else rule.trigger.max_bytes
        self._reach = rule.trigger.max_bytes + LOOKAHEAD_BYTES
        words = rule.keyword_bytes
        self._starts = _keyword_starts(words, has_triggers) if rule.anchored else None
        if self._starts is None and (prefixes := literal_prefixes(rule.pattern)):
            words, self._starts = prefixes, _prefix_starts(prefixes)
        self._stays_in_line = stays_in_line(rule.pattern)
        self._longest_word = max(map(len, words), default=0)
        self._step = self._stepper() if self._starts is None and self._reach > _LONG_REACH * self._lead else None

    def _stepper(self) -> re.Pattern[bytes]:
        """An expression whose match ends at the start of the rule's first match within the next `lead` bytes."""
        return re.compile(b"(?s:.){0,%d}?(?=%s)" % (self._lead, self._rule.pattern.encode("utf-8")))

    def matches(self, ends: Sequence[int], document: Document) -> Iterator[Match[bytes]]:
        """Yields the exact matches, in order."""
        ends = sorted(ends)
        if self._rule.value_regex is not None and ends and self._starts is not None:
            return self._beside_names(ends, document.data)
        if self._is_flood(ends, document):
            return self._everywhere(document.data)
        return self._in_windows(ends, document.data)

    def _is_flood(self, ends: Sequence[int], document: Document) -> bool:
        if not ends and not self._has_triggers:
            return True  # a rule without keywords
        if self._starts is not None and len(ends) * _DENSE_BYTES > len(document.data):
            return True
        window = min(self._lead + self._reach, _MAX_WINDOW_BYTES)
        return len(ends) * window > _FLOOD_FACTOR * len(document.data) + _FLOOD_SLACK_BYTES

    def _everywhere(self, data: bytes) -> Iterator[Match[bytes]]:
        if self._starts is None:
            yield from self._regex.finditer(data)
            return
        done, match_at = 0, self._regex.match
        for at in self._starts(data, 0, len(data)):
            if at >= done:
                match = match_at(data, at)
                if match is not None:
                    yield match
                    done = match.end()

    def _in_windows(self, ends: Sequence[int], data: bytes) -> Iterator[Match[bytes]]:
        done, lead, first = -1, self._lead, self._first
        for end in ends:
            if end > done:
                match = first(data, max(end - lead, done, 0), end)
                if match is None:
                    done = end + 1
                else:
                    yield match
                    done = match.end()

    def _first(self, data: bytes, start: int, end: int) -> Match[bytes] | None:
        """The first match that starts between `start` and `end`."""
        limit = end + self._reach
        match_at = self._regex.match
        if self._stays_in_line:
            start = max(start, data.rfind(b"\n", start, end) + 1)
        if self._starts is not None:
            # a literal that starts before the trigger's end may end after it
            for at in self._starts(data, start, end + self._longest_word):
                if at > end:
                    break
                match = match_at(data, at, limit)
                if match is not None:
                    return match
            return None
        if self._step is None:
            match = self._regex.search(data, start, limit)
            return match if match is not None and match.start() <= end else None
        skipped = self._step.match(data, start, limit)
        return match_at(data, skipped.end(), limit) if skipped and skipped.end() <= end else None

    def _beside_names(self, ends: Sequence[int], data: bytes) -> Iterator[Match[bytes]]:
        value_regex = self._rule.value_regex
        assert value_regex is not None
        span = self._longest_word + NEAR_GAP_BYTES  # a value starts at most this many bytes after a name's end
        done = clear = 0  # no value starts before `clear`
        ahead = 0
        for end in ends:
            if end <= done or clear > end + span:
                continue
            ahead = min(2 * ahead + self._reach, _MAX_AHEAD_BYTES) if clear > end else 0
            value = value_regex.search(data, max(clear, end), end + self._reach + ahead)
            at = end + span + ahead + 1 if value is None else value.start()
            if at > end + span:
                clear = min(at, end + span + ahead + 1)
                continue
            clear = at
            match = self._first(data, max(done, end - self._lead), end)
            if match is not None:
                yield match
                done = match.end()


def _keyword_starts(words: tuple[bytes, ...], with_hyperscan: bool) -> Starts:
    if with_hyperscan and len(words) > _MANY_WORDS:
        return _ScannedKeywords(words)

    def starts(data: bytes, first: int, last: int) -> list[int]:
        window = data[first:last].lower()
        found = set()
        for word in words:
            at = window.find(word)
            while at >= 0:
                found.add(first + at)
                at = window.find(word, at + 1)
        return sorted(found)

    return starts


def _prefix_starts(prefixes: tuple[bytes, ...]) -> Starts:
    def starts(data: bytes, first: int, last: int) -> list[int]:
        found = []
        for prefix in prefixes:
            at = data.find(prefix, first, last)
            while at >= 0:
                found.append(at)
                at = data.find(prefix, at + 1, last)
        return sorted(found) if len(found) > 1 else found

    return starts


class _ScannedKeywords:
    """Case-insensitive keyword search by Hyperscan; a call costs about 2 us."""

    def __init__(self, words: tuple[bytes, ...]):
        import hyperscan

        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[escape_literal(word.decode("utf-8")).encode() for word in words],
            ids=list(range(len(words))),
            elements=len(words),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(words),
        )
        self._lengths = [len(word) for word in words]
        self._scratch = hyperscan.Scratch(self._database)
        self._local = threading.local()

    def __call__(self, data: bytes, first: int, last: int) -> list[int]:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = self._scratch.clone()
        found: list[int] = []
        lengths = self._lengths

        def on_match(word: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append(first + end - lengths[word])

        self._database.scan(data[first:last], match_event_handler=on_match, scratch=scratch)
        return sorted(found)
