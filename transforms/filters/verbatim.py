"""Middles that stand word for word in another file of the corpus: memorised code is not new code.

    1. generated middles -> 20-grams of tokens -> an index (middle by n-gram)
    2. every file of the corpus -> its 20-grams -> hits in the index, but for the middle's own source file
    3. a middle with a hit is flagged with that file's path and licence, and its longest run of matching tokens

The index holds middles, which are few; the corpus streams past, so memory does not grow with it. 20 tokens: shorter
runs are idiom.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from transforms.filters.ngrams import text_ngrams

COPY_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A middle found elsewhere. `num_tokens` is the longest run that both share."""

    middle: int
    uri: str
    path: str
    licences: tuple[str, ...]
    num_tokens: int


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file of the corpus: `source_id` tells a middle's own source from other files (its content hash)."""

    source_id: str
    text: str
    path: str = ""
    uri: str = ""
    licences: tuple[str, ...] = ()


class VerbatimIndex:
    """The n-grams of generated middles.

    Args:
        middles: `(source_id, middle)`: the content hash of the file that a middle was written into, and its text.
    """

    def __init__(self, middles: Iterable[tuple[str, str]], n: int = COPY_TOKENS):
        self._n = n
        self._sources: list[str] = []
        hashes, owners = [], []
        for number, (source, middle) in enumerate(middles):
            self._sources.append(source)
            grams = text_ngrams(middle, n)
            hashes.append(grams)
            owners.append(np.full(len(grams), number, dtype=np.int64))
        self._hashes = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        self._owners = np.concatenate(owners) if owners else np.empty(0, np.int64)
        order = np.argsort(self._hashes, kind="stable")
        self._hashes, self._owners = self._hashes[order], self._owners[order]

    def copies_in(self, file: CorpusFile) -> Iterator[Copy]:
        """The middles that stand in a file other than their own."""
        grams = text_ngrams(file.text, self._n)
        if not len(grams) or not len(self._hashes):
            return
        left = np.searchsorted(self._hashes, grams, "left")
        right = np.searchsorted(self._hashes, grams, "right")
        positions: dict[int, list[int]] = {}
        for position in np.flatnonzero(right > left):
            for owner in set(self._owners[left[position] : right[position]].tolist()):
                if self._sources[owner] != file.source_id:
                    positions.setdefault(owner, []).append(int(position))
        for owner, where in sorted(positions.items()):
            yield Copy(owner, file.uri, file.path, file.licences, _longest_run(where) + self._n - 1)


def _longest_run(positions: list[int]) -> int:
    best = run = 1
    for before, after in itertools.pairwise(positions):
        run = run + 1 if after == before + 1 else 1
        best = max(best, run)
    return best
