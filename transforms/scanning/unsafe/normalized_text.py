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

_OTHER = re.compile("[\x00-\x7f]?[^\x00-\x7f]+")
_CLUSTER = re.compile("(?s:.[\u0300-\u036f\u3099\u309a]*)")


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

        for match in _OTHER.finditer(text):
            if not _differs(match[0], folds_case):
                continue
            add(text[done : match.start()], done, 0)
            for cluster in _CLUSTER.finditer(match[0]):
                plain = IGNORED.sub("", unicodedata.normalize("NFKC", cluster[0]))
                at = match.start() + cluster.start()
                add(plain.casefold() if folds_case else plain, at, len(cluster[0]))
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
