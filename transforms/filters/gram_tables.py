"""Looks up the hashed n-grams of many tokens among known ones of several lengths.

    tokens    a b c d e f g h i j k l m ...
    heads     may any known n-gram begin here?     two tables of bits, for all lengths at once
    grams     is the n-gram from here known?       at the few positions left, for all lengths at once

All known n-grams begin with as many tokens as the shortest has, their head. Nearly no position of an ordinary text has
the head of one, so the n-grams of each length needn't be hashed at every position. Cost: 1 ns a byte of text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.rows.ngrams import MAX_SUMMED_TOKENS, Hashes, TokenSums

_BITS: Final = 18
"""A table of so many bits of a hash stays in the cache."""
_SIZE: Final = 1 << _BITS
_LAST: Final = np.uint64(_SIZE - 1)
_SHIFT: Final = np.uint64(64 - _BITS)


class Hit(NamedTuple):
    """A known n-gram in a text: the number of its first token, its item, its hash, and its length in tokens."""

    position: int
    owner: int
    gram: int
    n: int


class HashBits:
    """Which hashes may be among some known ones: tables of their first and of their last bits. Of other hashes, few
    are in both.

    Args:
        bits: Two rows, one for the first and one for the last bits.
    """

    def __init__(self, bits: npt.NDArray[np.bool_]):
        self.bits = bits

    @classmethod
    def of(cls, known: Hashes) -> HashBits:
        """The tables for some hashes."""
        bits = np.zeros((2, _SIZE), np.bool_)
        bits[0, known >> _SHIFT] = True
        bits[1, known & _LAST] = True
        return cls(bits)

    @classmethod
    def from_packed(cls, packed: npt.NDArray[np.uint8]) -> HashBits:
        """The inverse of `packed`."""
        return cls(np.unpackbits(packed, axis=1, count=_SIZE).view(np.bool_))

    @property
    def packed(self) -> npt.NDArray[np.uint8]:
        """The tables, eight bits in a byte."""
        return np.packbits(self.bits, axis=1)

    def __or__(self, other: HashBits) -> HashBits:
        return HashBits(self.bits | other.bits)

    def places(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        """Where known hashes may be among some, ascending: all places of known ones, and few others."""
        found = np.flatnonzero(self.bits[0].take((hashes >> _SHIFT).view(np.int64)))
        return found[self.bits[1].take((hashes.take(found) & _LAST).view(np.int64))]


class GramTable(NamedTuple):
    """Sorted n-gram hashes of one length, and the number of the item that each belongs to."""

    known: Hashes
    owners: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class GramTables:
    """Known n-grams.

    Args:
        by_length: Those of each length, in tokens.
        head_tokens: The number of tokens of their heads.
        heads: The heads of all of them.
    """

    by_length: Mapping[int, GramTable]
    head_tokens: int
    heads: HashBits

    @functools.cached_property
    def _lengths(self) -> npt.NDArray[np.int64]:
        return np.array(sorted(self.by_length), np.int64)

    @functools.cached_property
    def _known(self) -> tuple[Hashes, npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """The hashes of all lengths, sorted, their owners and their lengths."""
        tables = [self.by_length[n] for n in self._lengths.tolist()]
        known = np.concatenate([table.known for table in tables])
        order = np.argsort(known, kind="stable")
        lengths = self._lengths.repeat([len(table.known) for table in tables])
        return known[order], np.concatenate([table.owners for table in tables])[order], lengths[order]

    @functools.cached_property
    def _may_be_known(self) -> HashBits:
        return HashBits.of(self._known[0])

    def find(self, hashes: Hashes) -> Iterator[Hit]:
        """Yields the known n-grams among the tokens of a text."""
        if not self.by_length:
            return
        step = MAX_SUMMED_TOKENS - int(self._lengths[-1]) + 1
        for first in range(0, len(hashes), step):
            yield from self._find_in(hashes[first : first + MAX_SUMMED_TOKENS], first, step)

    def _find_in(self, hashes: Hashes, offset: int, step: int) -> Iterator[Hit]:
        """Those that begin at one of the first `step` tokens of a part of a text; the part begins at token `offset`."""
        sums = TokenSums(hashes)
        starts = self.heads.places(sums.ngrams(self.head_tokens))
        starts = starts[: np.searchsorted(starts, step)]
        grams = sums.ngrams_at(starts, self._lengths).ravel()
        places = self._may_be_known.places(grams)
        if not len(places):
            return
        asked, (known, owners, lengths) = grams.take(places), self._known
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        rows, columns = np.divmod(places, len(starts))
        begins, n = starts.take(columns), self._lengths.take(rows)
        is_known = (known.take(at) == asked) & (lengths.take(at) == n) & (begins + n <= len(hashes))
        for index in np.flatnonzero(is_known).tolist():
            yield Hit(offset + int(begins[index]), int(owners[at[index]]), int(asked[index]), int(n[index]))
