"""The tokens of a text, encoded once, from which those of its parts and the counts of its lines are taken.

    text     |--------- block ---------|--------- block ---------|      encoded one by one, on first use
    part                  |···============================···|          = from blocks, · encoded again

A part's ids are the ids that it has when it is encoded alone. They can be taken from its text's ids from one *cut* to
another: a line feed that follows another character, since no piece has a line feed after another character
(`Tokenizer.splits_at_newlines`). Only what is left of the two lines at its ends is encoded again. A line that is longer
than a block is cut into blocks all the same; its ids then are as valid, but not those of the line encoded alone.

Cost: one encoding of the text, up to the last character asked for; about 20 bytes per token, and 4 per character of a
block that isn't ASCII.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.tokenizer import Tokenizer, first_cut

BLOCK_CHARS: Final = 32_768

Ids = npt.NDArray[np.int32]


class TextTokens:
    """The tokens of one text.

    Args:
        tokenizer: The vocabulary.
        text: The text.
    """

    def __init__(self, tokenizer: Tokenizer, text: str):
        self.text = text
        self._tokenizer = tokenizer
        self._blocks: list[_Block] = []
        self._starts: list[int] = []  # of the blocks
        self._end = 0  # of the last block

    def encode(self, start: int, end: int) -> Ids:
        """The ids of the characters `[start, end)`.

        Raises:
            RecordError: `lone_surrogate`.
        """
        first, last = (self._cut_from(start), self._cut_to(end)) if self._tokenizer.splits_at_newlines else (end, start)
        if first >= last:
            return self._tokenizer.encode_array(self.text[start:end])
        parts = [self._tokenizer.encode_array(self.text[start:first])] if start < first else []
        for block in self._blocks[bisect_right(self._starts, first) - 1 : bisect_left(self._starts, last)]:
            parts.append(block.ids[block.token_at(max(first, block.start)) : block.token_at(min(last, block.end))])
        if last < end:
            parts.append(self._tokenizer.encode_array(self.text[last:end]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def counts(self, ends: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """For each of these characters, in order: the tokens of the text that begin before it."""
        places: npt.NDArray[np.int64] = np.asarray(ends, np.int64)
        if not len(places):
            return places
        self._read(int(places[-1]))
        found = []
        done = 0
        for block in self._blocks[max(0, bisect_left(self._starts, places[0]) - 1) :]:
            inside = int(np.searchsorted(places, block.end, side="right"))
            if inside > done:
                found.append(block.before + block.tokens_at(places[done:inside]))
                done = inside
        return np.concatenate(found)

    def _cut_from(self, place: int) -> int:
        """The first cut at `place` or after it."""
        self._read(place)
        if place == 0 or place == len(self.text):
            return place
        following = bisect_left(self._starts, place)
        limit = self._starts[following] if following < len(self._starts) else self._end
        found = first_cut(self.text, place, limit)
        return limit if found < 0 else found

    def _cut_to(self, place: int) -> int:
        """The last cut at `place` or before it."""
        self._read(place)
        if place == 0 or place == len(self.text):
            return place
        limit = self._starts[bisect_right(self._starts, place) - 1]
        if self.text[place] != "\n":
            place = self.text.rfind("\n", limit, place)
        while place > limit and self.text[place - 1] == "\n":
            place -= 1
        return max(place, limit)

    def _read(self, end: int) -> None:
        """Encodes blocks until they reach `end`."""
        while self._end < end:
            block = _Block(self._tokenizer, self.text, self._end, self._block_end(self._end), self._total)
            self._blocks.append(block)
            self._starts.append(block.start)
            self._end = block.end

    @property
    def _total(self) -> int:
        return self._blocks[-1].before + len(self._blocks[-1].ids) if self._blocks else 0

    def _block_end(self, start: int) -> int:
        least, most = start + BLOCK_CHARS, start + 2 * BLOCK_CHARS
        if most >= len(self.text):
            return len(self.text)
        found = first_cut(self.text, least, most)
        if found < 0:
            found = self.text.rfind(" ", least, most)
        return most if found < 0 else found


class _Block:
    """The tokens of the characters `[start, end)`, and how many tokens there are before them."""

    def __init__(self, tokenizer: Tokenizer, text: str, start: int, end: int, before: int):
        self.start, self.end, self.before = start, end, before
        part = text[start:end]
        self.ids = tokenizer.encode_array(part)
        lengths = _lengths(tokenizer)[self.ids]
        # The byte at which each token begins.
        self._begins: npt.NDArray[np.int32] = np.cumsum(lengths, dtype=np.int32) - lengths
        self._bytes: npt.NDArray[np.int32] | None = None  # the byte at which each character begins, and the end
        if not part.isascii():
            data = np.frombuffer(part.encode(), np.uint8)
            begins = np.flatnonzero((data & 0xC0) != 0x80)
            self._bytes = np.append(begins, len(data)).astype(np.int32)

    def token_at(self, place: int) -> int:
        """The tokens of the block that begin before a character."""
        return int(self.tokens_at([place])[0])

    def tokens_at(self, places: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The tokens of the block that begin before each of these characters."""
        at: npt.NDArray[Any] = np.asarray(places, np.int64) - self.start
        if self._bytes is not None:
            at = self._bytes[at]
        return np.searchsorted(self._begins, at, side="left")


@functools.lru_cache(maxsize=2)
def _lengths(tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
    """The bytes of text that each id stands for."""
    return np.array(tokenizer.piece_lengths, np.int32)
