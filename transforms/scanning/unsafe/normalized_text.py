"""A text as terms are compared: compatibility forms replaced (NFKC, which includes full width), in lower case, without
invisible characters, and the way back to positions in the original.

    original     k i <zero-width space> l l       ｋｉｌｌ
    normalized   k i l l                          kill
    pieces       (0, 0, same) (2, 3, same)        (0, 0, 1 of 1) (1, 1, 1 of 1) ...

ASCII text is its own normalized form (`terms.FOLD` treats case), as is other text that has nothing to replace, which
one pass in C tells; so only texts with such characters cost more.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from typing import NamedTuple

from transforms.scanning.unsafe.terms import IGNORED

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
        self._is_same = text.isascii() or not _differs(text, folds_case)
        self.text = text if self._is_same else self._normalized(text, folds_case)
        self.data = self.text.encode("utf-8", "surrogatepass")

    def _normalized(self, text: str, folds_case: bool) -> str:
        parts: list[str] = []
        length = done = 0

        def add(part: str, original: int, original_length: int) -> None:
            nonlocal length
            if part:
                self._pieces.append(_Piece(length, original, original_length))
            parts.append(part)
            length += len(part)

        for match in _to_replace(text, folds_case).finditer(text):
            add(text[done : match.start()], done, 0)
            add(_plain(match[0], folds_case), match.start(), len(match[0]))
            done = match.end()
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


def _differs(text: str, folds_case: bool) -> bool:
    if not unicodedata.is_normalized("NFKC", text) or IGNORED.search(text):
        return True
    return folds_case and text.casefold() != text


def _plain(text: str, folds_case: bool) -> str:
    plain = IGNORED.sub("", unicodedata.normalize("NFKC", text))
    return plain.casefold() if folds_case else plain


def _to_replace(text: str, folds_case: bool) -> re.Pattern[str]:
    """An expression of the characters of a text that are replaced, and of characters with combining marks."""
    others = [char for char in set(text) if not char.isascii()]
    changed = sorted(char for char in others if _plain(char, folds_case) != char)
    alone = f"[{''.join(map(re.escape, changed))}]" if changed else "(?!)"
    if not re.search(_MARKS, "".join(others)):
        return re.compile(alone)  # at once, where the other one looks at each character
    return re.compile(f"{alone}{_MARKS}*|(?s:.){_MARKS}+")
