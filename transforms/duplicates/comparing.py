"""Comparing the texts that share a key: the part of finding clusters that several processes can do at once.

    bucket -> texts that share a key -> pairs not yet in one component -> Jaccard similarity -> edges, each with it

A process reads what the signatures left in the folder (`transforms.duplicates.clusters` lists its files) and returns
edges; it writes nothing. It may see the components of a moment ago: then it compares a pair in vain, but the components
are the same whatever the order in which edges are found.

5-grams are read with `pread` and not mapped, so that a process's memory doesn't grow with the corpus.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.duplicates.batches import KEY
from transforms.duplicates.signatures import jaccard_of, pairs_of_bucket
from transforms.rows.ngrams import Hashes

EDGE = np.dtype([("a", "<u4"), ("b", "<u4"), ("similarity", "<f8")])
"""Two similar texts, `a` the one with the smaller number."""
SPOOL_BITS = 48
"""A text's 5-grams start at `start % 2**48` in the file of number `start >> 48`."""
_GRAM_BYTES = 8
_KEPT_TEXTS = 64
"""Texts whose 5-grams are kept, at most 2 MB: the first one of a group is compared with all others."""


@dataclass(frozen=True, slots=True)
class View:
    """What a process needs to compare texts.

    Args:
        folder: Where the files are.
        num_texts: Number of texts.
        grams_files: The names of the files of 5-grams, by number.
        threshold: Minimum Jaccard similarity of a pair.
    """

    folder: str
    num_texts: int
    grams_files: tuple[str, ...]
    threshold: float = 0.0

    def path(self, name: str) -> str:
        """The path of a file."""
        return os.path.join(self.folder, name)

    def map(self, name: str, dtype: str, mode: Any = "r") -> npt.NDArray[Any]:
        """An array on disk with one value per text."""
        # As a plain array: each access to a `memmap` costs a Python call.
        return np.asarray(np.memmap(self.path(name), dtype, mode, shape=(self.num_texts,)))


def bucket_name(bucket: int) -> str:
    """The file of a hash bucket of keys."""
    return f"bucket-{bucket:03}"


class Comparing:
    """The methods that run in several processes; stateless, so that any process can run any item."""

    def edges(self, item: tuple[View, Sequence[int]]) -> npt.NDArray[Any]:
        """Returns pairs of similar texts (`EDGE`) that connect what the hash buckets `item[1]` have to connect."""
        view, buckets = item
        with Comparer(view) as comparer:
            return np.concatenate([np.empty(0, EDGE), *map(comparer.edges_of, buckets)])

    def similarities(self, item: tuple[View, npt.NDArray[np.uint32]]) -> npt.NDArray[np.float64]:
        """Returns the similarity of each pair of texts in `item[1]`: [pairs, 2]."""
        view, pairs = item
        with Comparer(view) as comparer:
            return np.array([comparer.similarity(a, b) for a, b in pairs.tolist()], np.float64)


class Comparer:
    """Compares texts by what is on disk."""

    def __init__(self, view: View):
        self._view = view
        normal = view.map("normal", "V16").view("<u8")
        self._normal = normal[::2], normal[1::2]
        self._start = view.map("starts", "<u8")
        self._num_grams = view.map("counts", "<u2")
        self._parent = view.map("parents", "<u4")
        self._fds: dict[int, int] = {}
        self._kept: dict[int, Hashes] = {}

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def is_same(self, a: int, b: int) -> bool:
        """Whether two texts have the same tokens."""
        low, high = self._normal
        return bool(low[a] == low[b] and high[a] == high[b])

    def similarity(self, a: int, b: int) -> float:
        """The Jaccard similarity of two texts."""
        return jaccard_of(self._grams_of(a), self._grams_of(b), is_same=self.is_same(a, b))

    def edges_of(self, bucket: int) -> npt.NDArray[Any]:
        """Returns the edges (`EDGE`) of one hash bucket."""
        path = self._view.path(bucket_name(bucket))
        if not os.path.exists(path):
            return np.empty(0, EDGE)
        entries = np.fromfile(path, KEY)
        entries = entries[np.lexsort((entries["text"], entries["key"]))]
        joined = _Joined()
        roots = self._roots_of(entries["text"])
        for start, end in _open_groups(entries["key"], roots):
            self._join_group(entries["text"][start:end].tolist(), roots[start:end].tolist(), joined)
        return np.array(joined.edges, EDGE)

    def _join_group(self, members: list[int], roots: list[int], joined: _Joined) -> None:
        """Connects the similar ones of some texts that share a key."""
        labels = [joined.find(root) for root in roots]
        places = {text: place for place, text in enumerate(members)}
        for a, b in pairs_of_bucket(members):
            left, right = labels[places[a]], labels[places[b]]
            if left == right or (a, b) in joined.different:
                continue
            similarity = 1.0 if self.is_same(a, b) else self.similarity(a, b)
            if similarity >= self._view.threshold:
                root = joined.union(left, right)
                labels = [root if label in (left, right) else label for label in labels]
                joined.edges.append((a, b, similarity))
            else:
                joined.different.add((a, b))

    def _roots_of(self, texts: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """The roots of the texts' components, as far as they are known."""
        roots = self._parent[texts]
        while not np.array_equal(up := self._parent[roots], roots):
            roots = up
        return roots

    def _grams_of(self, text: int) -> Hashes:
        if (grams := self._kept.get(text)) is None:
            if len(self._kept) >= _KEPT_TEXTS:
                self._kept.clear()
            grams = self._kept[text] = self._read(text)
        return grams

    def _read(self, text: int) -> Hashes:
        start, count = int(self._start[text]), int(self._num_grams[text])
        if not count:
            return np.empty(0, np.uint64)
        number = start >> SPOOL_BITS
        if number not in self._fds:
            self._fds[number] = os.open(self._view.path(self._view.grams_files[number]), os.O_RDONLY | os.O_CLOEXEC)
        offset = (start & ((1 << SPOOL_BITS) - 1)) * _GRAM_BYTES
        data = os.pread(self._fds[number], count * _GRAM_BYTES, offset)
        assert len(data) == count * _GRAM_BYTES, "the file of 5-grams was truncated"
        return np.frombuffer(data, "<u8")


class _Joined:
    """What one process has connected in one bucket, above the components that it found there."""

    def __init__(self) -> None:
        self.edges: list[tuple[int, int, float]] = []
        self.different: set[tuple[int, int]] = set()
        self._parent: dict[int, int] = {}

    def find(self, root: int) -> int:
        while (up := self._parent.get(root, root)) != root:
            root = up
        return root

    def union(self, a: int, b: int) -> int:
        """Joins two components, given by their roots; returns the new root."""
        self._parent[max(a, b)] = min(a, b)
        return min(a, b)


def _open_groups(keys: npt.NDArray[np.uint64], roots: npt.NDArray[np.uint32]) -> list[tuple[int, int]]:
    """The ranges of equal keys (sorted) whose texts are not all in one component yet."""
    if not len(keys):
        return []
    is_start = np.concatenate(([True], keys[1:] != keys[:-1]))
    starts = np.flatnonzero(is_start)
    ends = np.append(starts[1:], len(keys))
    is_mixed = np.minimum.reduceat(roots, starts) != np.maximum.reduceat(roots, starts)
    return list(zip(starts[is_mixed].tolist(), ends[is_mixed].tolist(), strict=True))
