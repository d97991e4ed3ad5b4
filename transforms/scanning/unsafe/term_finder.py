"""Finds terms in a text, however they are spaced, cased and spelled.

    fold the normalized text (`terms.FOLD`), search it for all shapes at once (Hyperscan, or `bytes.find`)
        at each hit: the letters of the text, digits read as letters -> normalized term -> its hash is in the list?
        the hit starts and ends at a boundary of words or humps (`killAll`), a plural's ending aside
    runs of single letters with separators (`b a d`, `b.a.d`) are read as one word and searched as well

Words of a term may be joined, or separated by blanks, `_` or `-`. Cost: a translation of the text and one pass
for literals, 1 to 2 ns a byte; a hit costs microseconds, and common words that have a term's shape are cached.
"""

from __future__ import annotations

import itertools
import re
import string
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from transforms.scanning.backends import numbers_of_lines
from transforms.scanning.databases import compile_expressions
from transforms.scanning.trigger import escape_literal
from transforms.scanning.unsafe.normalized_text import NormalizedText
from transforms.scanning.unsafe.terms import FOLD, READ_AS, SEPARATORS, UNSPACED, TermList, term_hash

_GAP_CHARS = 2
_MAX_VARIANTS = 32
_MAX_REMEMBERED = 8192
_SURROUNDINGS = 80
_MAX_HUMPS_CHARS = 60
_SPACED = bytes.maketrans(
    bytes(range(256)),
    bytes(
        97 if chr(b).isascii() and chr(b).isalpha() else 32 if chr(b) in " ._*-" else 10 if b == 10 else 48
        for b in range(256)
    ),
)
_FOUR = b"a a a a"
_FOUR_FOLDED = b"[ *]".join([b"[%s]" % bytes(sorted({FOLD[letter] for letter in string.ascii_letters.encode()}))] * 4)
"""Four letters with separators in the folded text, where some of them are digits or signs."""
_SPACED_RUN = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z](?:[ ._*-][A-Za-z0-9@$!]){3,200}(?![A-Za-z0-9])")
_PLURAL = re.compile(r"(?:e?s|'s)(?![a-z0-9])", re.IGNORECASE)
_HUMPS = re.compile(r"[A-Za-z_]+")
_SIGNS = frozenset(READ_AS)
_MARKS = frozenset("!@$")


class TermHit(NamedTuple):
    """A term in a text: its list, and its span in the original text, in characters."""

    terms: TermList
    start: int
    end: int


class _Shape(NamedTuple):
    terms: TermList
    text: str
    words: tuple[int, ...]  # lengths in characters
    num_bytes: int
    compact: bytes  # without spaces


class TermFinder:
    """Finds the terms of several lists. Thread-safe.

    Args:
        lists: The lists.
        has_hyperscan: Whether shapes are searched for by Hyperscan.
    """

    def __init__(self, lists: Sequence[TermList], has_hyperscan: bool):
        self._shapes = [
            _Shape(
                terms, shape, tuple(map(len, shape.split(" "))), len(shape.encode()), shape.encode().replace(b" ", b"")
            )
            for terms in lists
            for shape in terms.shapes
        ]
        self._folds_case = any(not shape.text.isascii() for shape in self._shapes)
        self._unless = {terms.name: re.compile(terms.unless) for terms in lists if terms.unless}
        self._patterns: dict[int, re.Pattern[bytes]] = {}
        self._verdicts: dict[tuple[int, bytes], bool] = {}
        self._search = (
            _hyperscan_search([*(_expression(shape.text).encode() for shape in self._shapes), _FOUR_FOLDED])
            if has_hyperscan
            else _plain_search([*(_bytes_pattern(shape.text) for shape in self._shapes), b"(?=(%s))" % _FOUR_FOLDED])
        )

    def lines_with_shapes(self, text: str) -> set[int]:
        """The numbers of the lines, from 0, that have the shape of a term."""
        data = NormalizedText(text, folds_case=self._folds_case).data
        return numbers_of_lines(data, [end for end, _ in self._search(data.translate(FOLD))])

    def find(self, text: str) -> list[TermHit]:
        """All terms, whatever their context, by position. Of overlapping ones of a list, the longest."""
        view = NormalizedText(text, folds_case=self._folds_case)
        folded = view.data.translate(FOLD)
        hits = self._search(folded)
        if not hits:
            return []
        ends = [end for end, index in hits if index == len(self._shapes) and _are_letters(view.data, end)]
        found = [*self._confirmed(hits, folded, view), *self._spaced(ends, view)]
        return _longest(found) if found else []

    def is_benign(self, hit: TermHit, text: str) -> bool:
        """Whether a term's surroundings make it benign."""
        unless = self._unless.get(hit.terms.name)
        if unless is None:
            return False
        before, after = text[max(0, hit.start - _SURROUNDINGS) : hit.start], text[hit.end : hit.end + _SURROUNDINGS]
        return unless.search(f"{before}\0{after}".lower()) is not None

    def _confirmed(self, hits: Sequence[tuple[int, int]], folded: bytes, view: NormalizedText) -> Iterator[TermHit]:
        data = view.data
        byte = char = 0  # an offset in both
        for end, index in hits:
            start = self._start(index, folded, end) if index < len(self._shapes) else None
            if start is None or not self._is_term(index, data[start:end]):
                continue
            if start < byte:
                byte = char = 0
            first = char + len(data[byte:start].decode("utf-8", "surrogatepass"))
            last = first + len(data[start:end].decode("utf-8", "surrogatepass"))
            byte, char = start, first
            if _has_boundaries(view.text, first, last):
                yield _hit(self._shapes[index].terms, view, first, last)

    def _start(self, index: int, folded: bytes, end: int) -> int | None:
        shape = self._shapes[index]
        if len(shape.words) == 1:
            return end - shape.num_bytes
        match = self._pattern(index).search(folded, max(0, end - shape.num_bytes - _GAP_CHARS * len(shape.words)), end)
        return None if match is None else match.start()

    def _pattern(self, index: int) -> re.Pattern[bytes]:
        pattern = self._patterns.get(index)
        if pattern is None:
            pattern = self._patterns[index] = re.compile(_bytes_pattern(self._shapes[index].text) + rb"\Z")
        return pattern

    def _is_term(self, index: int, written: bytes) -> bool:
        key = (index, written)
        known = self._verdicts.get(key)
        if known is None:
            shape = self._shapes[index]
            text = written.decode("utf-8", "surrogatepass")
            letters = "".join(char for char in text if char not in SEPARATORS).casefold()
            known = any(term_hash(term) in shape.terms.hashes for term in _readings(letters, shape.words))
            if len(self._verdicts) < _MAX_REMEMBERED:
                self._verdicts[key] = known
        return known

    def _spaced(self, ends: Sequence[int], view: NormalizedText) -> Iterator[TermHit]:
        """Terms in runs of single letters with separators."""
        done = byte = char = 0
        for end in ends:
            start = end - len(_FOUR)
            run = _SPACED_RUN.match(view.data, start) if start >= done else None
            if run is None:
                continue
            done = run.end()
            char, byte = char + len(view.data[byte:start].decode("utf-8", "surrogatepass")), start
            letters = run[0][::2]
            folded = letters.translate(FOLD)
            for index, shape in enumerate(self._shapes):
                at = folded.find(shape.compact)
                if at >= 0 and self._is_term(index, letters[at : at + len(shape.compact)]):
                    first = char + 2 * at
                    yield _hit(shape.terms, view, first, first + 2 * len(shape.compact) - 1)


def _bytes_pattern(shape: str) -> bytes:
    words = shape.encode("utf-8", "surrogatepass").split(b" ")
    return (b"[ ]{0,%d}" % _GAP_CHARS).join(map(re.escape, words))


def _hit(terms: TermList, view: NormalizedText, first: int, last: int) -> TermHit:
    return TermHit(terms, view.original(first)[0], view.original(last - 1)[1])


def _readings(letters: str, words: tuple[int, ...]) -> Iterator[str]:
    """The normalized terms that a run of letters may stand for, its words as long as a shape's."""
    num_signs = sum(char in _SIGNS for char in letters)
    options = [(char, *READ_AS.get(char, "")) if num_signs else (char,) for char in letters]
    is_quoted_sign = letters[:1] in _MARKS or letters[-1:] in _MARKS  # `$pic` is a variable, `what!` an exclamation
    if is_quoted_sign or 2 * num_signs > len(letters) or (num_signs > 1 and len(letters) < 6):
        options = [(char,) for char in letters]
    for chosen in itertools.islice(itertools.product(*options), _MAX_VARIANTS):
        term, at, parts = "".join(chosen), 0, []
        for length in words:
            parts.append(term[at : at + length])
            at += length
        yield " ".join(parts)


def _has_boundaries(text: str, first: int, last: int) -> bool:
    before, after = text[first - 1 : first], text[last : last + 2]
    starts_word = not before.isalnum() or bool(UNSPACED.match(text[first]))
    ends_word = not after[:1].isalnum() or bool(UNSPACED.match(text[last - 1])) or bool(_PLURAL.match(text, last))
    if starts_word and ends_word:
        return True
    starts_hump = starts_word or (before.islower() and text[first].isupper())
    ends_hump = ends_word or (after[:1].isupper() and (text[last - 1].islower() or after[1:].islower()))
    return starts_hump and ends_hump and _is_name(text, first, last)


def _is_name(text: str, first: int, last: int) -> bool:
    """Whether the word around a span is one of humps, and no random letters, such as encoded data."""
    while first > 0 and (text[first - 1].isalnum() or text[first - 1] in "+/_") and last - first <= _MAX_HUMPS_CHARS:
        first -= 1
    while last < len(text) and (text[last].isalnum() or text[last] in "+/_=") and last - first <= _MAX_HUMPS_CHARS:
        last += 1
    word = text[first:last].rstrip("=")
    num_capitals = sum(char.isupper() for char in word)
    return last - first <= _MAX_HUMPS_CHARS and _HUMPS.fullmatch(word) is not None and 3 * num_capitals <= len(word)


def _longest(hits: list[TermHit]) -> list[TermHit]:
    kept: list[TermHit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not any(hit.terms is other.terms and hit.start < other.end for other in kept[-4:]):
            kept.append(hit)
    return kept


def _expression(shape: str) -> str:
    return f"[ ]{{0,{_GAP_CHARS}}}".join(map(escape_literal, shape.split(" ")))


def _hyperscan_search(expressions: list[bytes]) -> Callable[[bytes], list[tuple[int, int]]]:
    import hyperscan

    database = compile_expressions(expressions, list(range(len(expressions))))
    scratch, local = hyperscan.Scratch(database), threading.local()

    def search(folded: bytes) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        if not folded:
            return found
        own = getattr(local, "scratch", None)
        if own is None:
            own = local.scratch = scratch.clone()

        def on_match(index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((end, index))

        database.scan(folded, match_event_handler=on_match, scratch=own)
        return sorted(found)

    return search


def _are_letters(data: bytes, end: int) -> bool:
    """Whether four letters with separators end here."""
    return data[end - len(_FOUR) : end].translate(_SPACED) == _FOUR


def _plain_search(expressions: Sequence[bytes]) -> Callable[[bytes], list[tuple[int, int]]]:
    patterns = list(map(re.compile, expressions))

    def search(folded: bytes) -> list[tuple[int, int]]:
        return sorted(
            (match.end(match.re.groups), i) for i, pattern in enumerate(patterns) for match in pattern.finditer(folded)
        )

    return search
