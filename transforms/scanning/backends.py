"""Where the triggers of rules end in a text: by Hyperscan, or by keywords where there is none."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Protocol

from model.errors import ConfigError
from transforms.scanning.databases import open_database
from transforms.scanning.folds import FOLDS
from transforms.scanning.rule import RuleSet
from transforms.scanning.rules import FILES

_APART = frozenset({"ipv6"})
"""Rules whose trigger has no literal at all: three times as fast in a database of their own as among others."""


class Backend(Protocol):
    """Finds the ends of triggers: an ascending list per rule index."""

    def ends(self, data: bytes, *, kinds: Collection[str] = FILES) -> dict[int, list[int]]: ...

    def lines_with_ends(self, data: bytes) -> dict[int, set[int]]:
        """For each rule for all files, the numbers, from 0, of the lines where its trigger ends, if each line were a
        text of its own. It may name lines that have none."""
        ...


class HyperscanBackend:
    """One Hyperscan database per fold of the text (`folds.py`) and kind of file, with one scratch space per thread.
    Raises ConfigError naming the rule that Hyperscan can't compile."""

    def __init__(self, rules: RuleSet):
        import hyperscan

        self._databases: list[tuple[bytes, str, Any]] = []
        for (fold, table), files, is_apart in itertools.product(FOLDS.items(), FILES, (False, True)):
            triggers = {
                i: rule
                for i, rule in enumerate(rules.rules)
                if rule.trigger_fold == fold and rule.files == files and (rule.id in _APART) == is_apart
            }
            if triggers:
                self._databases.append((table if fold else b"", files, open_database(triggers)))
        self._scratches = [hyperscan.Scratch(database) for *_, database in self._databases]
        self._by_line = [(table, database) for table, files, database in self._databases if not files]
        general = [(i, rule) for i, rule in enumerate(rules.rules) if not rule.files]
        for fold, table in FOLDS.items():
            edged = {i: rule for i, rule in general if rule.trigger_fold == fold and rule.reads_edges}
            if edged:
                self._by_line.append((table if fold else b"", open_database(edged, by_line=True)))
        self._scratches += [hyperscan.Scratch(database) for _, database in self._by_line]
        self._local = threading.local()

    def _own_scratches(self) -> list[Any]:
        """This thread's scratch spaces: those of the databases, then those of the searches by line."""
        scratches: list[Any] | None = getattr(self._local, "scratches", None)
        if scratches is None:
            scratches = self._local.scratches = [scratch.clone() for scratch in self._scratches]
        return scratches

    def ends(self, data: bytes, *, kinds: Collection[str] = FILES) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        if not data:
            return found
        on_match = _collect_in(found)
        for (table, files, database), scratch in zip(self._databases, self._own_scratches(), strict=False):
            if files and files not in kinds:
                continue
            text = data.translate(table) if table else data
            database.scan(text, match_event_handler=on_match, scratch=scratch)
        return found

    def lines_with_ends(self, data: bytes) -> dict[int, set[int]]:
        found: dict[int, list[int]] = {}
        if not data:
            return {}
        scratches = self._own_scratches()[len(self._databases) :]
        for (table, database), scratch in zip(self._by_line, scratches, strict=True):
            text = data.translate(table) if table else data
            database.scan(text, match_event_handler=_collect_in(found), scratch=scratch)
        return {rule: numbers_of_lines(data, ends) for rule, ends in found.items()}


def _collect_in(found: dict[int, list[int]]) -> Callable[[int, int, int, int, object], None]:
    """A handler of matches that collects their ends by rule."""

    def on_match(rule: int, _start: int, end: int, _flags: int, _context: object) -> None:
        try:
            found[rule].append(end)
        except KeyError:
            found[rule] = [end]

    return on_match


class KeywordBackend:
    """Searches for literal keywords with Aho-Corasick (`ahocorasick_rs`) or, without it, with `bytes.find`. A rule
    without keywords gets no ends, which tells the scanner to run the pattern over the entire text."""

    def __init__(self, rules: RuleSet):
        self._words: dict[str, list[int]] = {}
        for index, rule in enumerate(rules.rules):
            for word in rule.keywords:
                self._words.setdefault(word.lower(), []).append(index)
        self.without_keywords = [i for i, rule in enumerate(rules.rules) if not rule.keywords]
        self._files = [rule.files for rule in rules.rules]
        self._ordered = list(self._words)
        try:
            import ahocorasick_rs
        except ImportError:
            self._automaton = None
        else:
            self._automaton = ahocorasick_rs.BytesAhoCorasick([word.encode() for word in self._ordered])

    def _hits(self, lowered: bytes) -> Iterator[tuple[str, int]]:
        if self._automaton is not None:
            for word, _, end in self._automaton.find_matches_as_indexes(lowered, overlapping=True):
                yield self._ordered[word], end
            return
        for text in self._ordered:
            word_bytes = text.encode()
            at = lowered.find(word_bytes)
            while at >= 0:
                yield text, at + len(word_bytes)
                at = lowered.find(word_bytes, at + 1)

    def ends(self, data: bytes, *, kinds: Collection[str] = FILES) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {index: [] for index in self.without_keywords}
        for word, end in self._hits(data.lower()):
            for index in self._words[word]:
                found.setdefault(index, []).append(end)
        return {i: ends for i, ends in found.items() if not self._files[i] or self._files[i] in kinds}

    def lines_with_ends(self, data: bytes) -> dict[int, set[int]]:
        every_line = set(range(data.count(b"\n") + 1))
        found = self.ends(data, kinds=())
        return {
            rule: every_line if rule in self.without_keywords else numbers_of_lines(data, ends)
            for rule, ends in found.items()
        }


def numbers_of_lines(data: bytes, ends: Iterable[int]) -> set[int]:
    """The numbers of the lines, from 0, in which matches end; a line break belongs to the line that it ends.

    >>> sorted(numbers_of_lines(b"a\\nb\\nc", [1, 2, 5]))
    [0, 2]
    """
    numbers, number, at = set(), 0, 0
    for end in sorted(ends):
        number += data.count(b"\n", at, end - 1)
        at = max(at, end - 1)
        numbers.add(number)
    return numbers


def has_hyperscan(required: bool) -> bool:
    """Whether Hyperscan can be used. Raises ConfigError if it is required and can't."""
    try:
        import hyperscan  # noqa: F401
    except ImportError:
        if required:
            raise ConfigError("hyperscan is not installed: pip install hyperscan, or use the keyword backend") from None
        return False
    return True
