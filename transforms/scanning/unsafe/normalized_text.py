"""A text as terms are compared: compatibility forms replaced (NFKC, which includes full width), in lower case, without
invisible characters, and the way back to positions in the original.

    original     k i <zero-width space> l l       ｋｉｌｌ
    normalized   k i l l                          kill
    pieces       (0, 0, same) (2, 3, same)        (0, 0, 1 of 1) (1, 1, 1 of 1) ...

ASCII text is its own normalized form (`terms.FOLD` treats case), as is other text that has nothing to replace, which
its different characters tell; so only texts with such characters cost more.
"""

from __future__ import annotations

import bisect
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from transforms.scanning.unsafe.terms import IGNORED

_ASCII = bytes(range(128))
_MARKS = "[\u0300-\u036f\u3099\u309a]"


class _Piece(NamedTuple):
    start: int
    original: int
    original_length: int  # 0 if the piece is the same in both, character by character


class NormalizedText:
    """Normalized text with positions. `data` is its UTF-8 encoding.

    Args:
        text: The original.
        folds_case: Whether letters of other scripts are put in lower case, too.
    """

    def __init__(self, text: str, *, folds_case: bool):
        self._pieces: list[_Piece] = []
        data = text.encode("utf-8", "surrogatepass")
        spans = _replaced(text, data, folds_case) if len(data) > len(text) else ()
        self._is_same = not spans
        self.text = self._normalized(text, spans, folds_case) if spans else text
        self.data = data if self._is_same else self.text.encode("utf-8", "surrogatepass")

    def _normalized(self, text: str, spans: Iterable[tuple[int, int]], folds_case: bool) -> str:
        parts: list[str] = []
        length = done = 0

        def add(part: str, original: int, original_length: int) -> None:
            nonlocal length
            if part:
                self._pieces.append(_Piece(length, original, original_length))
            parts.append(part)
            length += len(part)

        for start, end in spans:
            add(text[done:start], done, 0)
            add(_plain(text[start:end], folds_case), start, end - start)
            done = end
        add(text[done:], done, 0)
        return "".join(parts)

    def original(self, position: int) -> tuple[int, int]:
        """The span in the original, in characters, of the normalized character at `position`."""
        if self._is_same:
            return position, position + 1
        piece = self._pieces[bisect.bisect_right(self._pieces, position, key=lambda piece: piece.start) - 1]
        if piece.original_length:
            return piece.original, piece.original + piece.original_length
        at = piece.original + position - piece.start
        return at, at + 1


def _replaced(text: str, data: bytes, folds_case: bool) -> Sequence[tuple[int, int]]:
    """The spans of a text that are replaced, in order. Each of its different characters is looked at once.

    Args:
        text: The text.
        data: Its UTF-8 encoding.
        folds_case: Whether letters of other scripts are put in lower case, too.
    """
    others = set(data.translate(None, _ASCII).decode("utf-8", "surrogatepass"))
    suspects = [char for char in others if _may_change(char, folds_case)]
    if not any(map(_composes, suspects)):
        return sorted((place, place + 1) for char in suspects for place in _places(text, char))
    if not _differs(text, folds_case):
        return ()
    changed = "".join(sorted(char for char in others if _plain(char, folds_case) != char))
    return list(_spans(text, changed))


def _spans(text: str, changed: str) -> Iterator[tuple[int, int]]:
    """The spans of characters that are replaced alone, and of characters with the combining marks that follow.

    Args:
        text: The text.
        changed: The characters that are replaced alone, in order.
    """
    listed = _class_of(changed)
    alone = f"[{listed}]" if changed else "(?!)"
    exact = re.compile(f"{alone}{_MARKS}*|(?s:.){_MARKS}+")
    # It would try each character, so it is tried only where a run of marks and such characters is, and right before.
    for run in re.finditer(f"[{listed}{_MARKS[1:-1]}]+", text):
        for match in exact.finditer(text, max(0, run.start() - 1), run.end()):
            yield match.span()


def _class_of(chars: str) -> str:
    """The inside of an expression's class of characters in order. Beyond U+FFFF `re` looks at one after another, so
    those that follow each other become ranges."""
    parts: list[list[str]] = []
    for char in chars:
        if parts and ord(char) == ord(parts[-1][-1]) + 1:
            parts[-1] = [parts[-1][0], char]
        else:
            parts.append([char])
    return "".join("-".join(map(re.escape, part)) for part in parts)


def _places(text: str, char: str) -> Iterator[int]:
    place = text.find(char)
    while place >= 0:
        yield place
        place = text.find(char, place + 1)


def _composes(char: str) -> bool:
    """Whether a character may become one with the one before it; glyph selectors of emoji are marks that don't."""
    return not IGNORED.match(char) and (unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff")


@functools.lru_cache(maxsize=4096)
def _may_change(char: str, folds_case: bool) -> bool:
    return _composes(char) or _plain(char, folds_case) != char


def _differs(text: str, folds_case: bool) -> bool:
    if not unicodedata.is_normalized("NFKC", text) or IGNORED.search(text):
        return True
    return folds_case and text.casefold() != text


def _plain(text: str, folds_case: bool) -> str:
    plain = IGNORED.sub("", unicodedata.normalize("NFKC", text))
    return plain.casefold() if folds_case else plain
