"""Clusters of duplicates among more texts than fit in memory, by signatures and hash buckets on disk.

    add       signatures of some texts (`transforms.duplicates.batches`): about each to arrays, its 17 keys (16 bands,
              the normalized text) to hash buckets by the keys' leading bits; its 5-grams are in a file already
    pairs     each bucket is sorted separately: texts that share a key are compared, and joined into one component if
              they are similar enough (`transforms.duplicates.comparing`)
    finish    each component of two or more texts keeps one text, by the keep rule; the others refer to it

Signing texts and comparing them can be spread over processes; this one alone writes the arrays, the buckets and the
components. The result equals that of `signatures.find_duplicates` over the same texts, which a test enforces. It
does not depend on the order of the texts, on how they are split into batches, or on which process does what.

    exact normal tokens starts counts parents     arrays, one value per text; so are
    partners similarities                         an edge's other text, and how similar it is
    bucket-000 ... bucket-255                     keys with their texts
    grams-...                                     5-grams, one file per process that signs

Memory: one bucket (a 256th of 204 bytes per text) per process, plus the arrays' pages that the system caches.
Disk: 282 bytes per text and 8 per distinct 5-gram, at most 32 KB per text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from transforms.duplicates.batches import SignedTexts
from transforms.duplicates.comparing import SPOOL_BITS, Comparing, View, bucket_name
from transforms.duplicates.signatures import KeepRule

NUM_BUCKETS = 256
_BUCKET_BITS = np.uint64(56)
_SPOOL_KEYS = 17 * 4096
_CHUNK_TEXTS = 1 << 18
_TASK_BUCKETS = 4
_TASK_PAIRS = 512
MAX_TEXTS = (1 << 32) - 1

Spread = Callable[[str, Iterable[Any]], Iterator[tuple[int, Any]]]
"""`spread(method, items)`: yields position and result of `Comparing().method(item)` for each item, in any order."""


def in_this_process(method: str, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Runs the items one after the other."""
    function = getattr(Comparing(), method)
    for position, item in enumerate(items):
        yield position, function(item)


@dataclass(frozen=True, slots=True)
class Member:
    """A text in a cluster of two or more.

    Args:
        number: The text's number, as passed to `add`.
        kept: The number of the cluster's kept text; its own number if it is kept itself.
        kind: "kept", "exact" or "near".
        similarity: Similarity to the kept text; 1.0 for the kept text itself.
        cluster_size: Number of texts in the cluster.
    """

    number: int
    kept: int
    kind: Literal["kept", "exact", "near"]
    similarity: float
    cluster_size: int


class Clusters:
    """Collects signatures and finds the clusters of their texts.

    Args:
        folder: An empty folder on a local disk, in which the 5-grams' files are as well.
        num_texts: Upper bound of the numbers, which are 0 to `num_texts` - 1. Not all of them need to be added.
    """

    def __init__(self, folder: str, num_texts: int):
        assert num_texts <= MAX_TEXTS, f"{num_texts} texts; the limit for one job is {MAX_TEXTS}"
        self._view = View(folder, max(1, num_texts), ())
        self._exact = self._new("exact", "V16")
        self._normal = self._new("normal", "V16")
        self._num_tokens = self._new("tokens", "<u4")
        self._gram_start = self._new("starts", "<u8")
        self._num_grams = self._new("counts", "<u2")
        self._parent = self._new("parents", "<u4")
        self._parent[:] = np.arange(len(self._parent), dtype=np.uint32)
        self._partner = self._new("partners", "<u4")  # not the number of any smaller text: none yet
        self._partner[:] = self._parent
        self._similarity = self._new("similarities", "<f8")
        self._spools: dict[str, int] = {}
        self._keys: list[npt.NDArray[Any]] = []

    def add(self, signed: SignedTexts) -> None:
        """Adds texts under their numbers."""
        about = signed.about
        spool = self._spools.setdefault(signed.grams_file, len(self._spools))
        numbers = about["number"]
        self._exact[numbers], self._normal[numbers] = about["exact"], about["normal"]
        self._num_tokens[numbers], self._num_grams[numbers] = about["num_tokens"], about["num_grams"]
        self._gram_start[numbers] = about["start"] + np.uint64(spool << SPOOL_BITS)
        self._keys.append(signed.keys)
        if sum(map(len, self._keys)) >= _SPOOL_KEYS:
            self._flush()

    def members(
        self, *, threshold: float, keep: KeepRule, spread: Spread = in_this_process, settled: int = 0
    ) -> Iterator[Member]:
        """Yields the members of all clusters of two or more texts, by number, after the last `add`.

        A cluster with a text whose number is below `settled` keeps the first of these, whatever the rule.
        """
        self._flush()
        view = View(self._view.folder, self._view.num_texts, tuple(self._spools), threshold)
        tasks = ((view, range(first, first + _TASK_BUCKETS)) for first in range(0, NUM_BUCKETS, _TASK_BUCKETS))
        for _, edges in spread("edges", tasks):
            for a, b, _ in edges.tolist():
                self._join(a, b)
            self._note(edges)
        roots, sizes = self._roots()
        chosen = self._chosen(roots, sizes, keep, settled)
        for first in range(0, len(roots), _CHUNK_TEXTS):
            numbers = first + np.flatnonzero(sizes[roots[first : first + _CHUNK_TEXTS]] > 1)
            yield from self._members_of(numbers, chosen[roots[numbers]], sizes[roots[numbers]], view, spread)

    def _members_of(
        self,
        numbers: npt.NDArray[np.int64],
        kept: npt.NDArray[np.uint32],
        sizes: npt.NDArray[np.uint32],
        view: View,
        spread: Spread,
    ) -> Iterator[Member]:
        is_exact = self._exact[numbers] == self._exact[kept]
        similarities = np.where(is_exact, 1.0, self._similarity[numbers])
        is_open = ~is_exact & (self._partner[numbers] != kept)
        pairs = np.stack((numbers[is_open].astype(np.uint32), kept[is_open]), axis=1)
        tasks = ((view, pairs[first : first + _TASK_PAIRS]) for first in range(0, len(pairs), _TASK_PAIRS))
        near = np.empty(len(pairs), np.float64)
        for position, found in spread("similarities", tasks):
            near[position * _TASK_PAIRS : position * _TASK_PAIRS + len(found)] = found
        similarities[is_open] = near
        columns = (column.tolist() for column in (numbers, kept, is_exact, similarities, sizes))
        for number, of, same, similarity, size in zip(*columns, strict=True):
            if number == of:
                yield Member(number, of, "kept", 1.0, size)
            else:
                yield Member(number, of, "exact" if same else "near", round(similarity, 4), size)

    def _note(self, edges: npt.NDArray[Any]) -> None:
        """Notes the edge of each text to the smallest other one: as a rule the one that is kept."""
        edges = edges[np.argsort(edges["a"])[::-1]]
        edges = edges[edges["a"] < self._partner[edges["b"]]]
        self._partner[edges["b"]], self._similarity[edges["b"]] = edges["a"], edges["similarity"]

    def _find(self, number: int) -> int:
        parent = self._parent
        while (up := int(parent[number])) != number:
            parent[number] = parent[up]
            number = int(parent[number])
        return number

    def _join(self, a: int, b: int) -> None:
        a, b = self._find(a), self._find(b)
        self._parent[max(a, b)] = min(a, b)

    def _roots(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """The smallest number in each text's component, and the components' sizes, indexed by that number."""
        roots, sizes = self._parent, self._new("sizes", "<u4")
        for first in range(0, len(self._parent), _CHUNK_TEXTS):
            part = roots[first : first + _CHUNK_TEXTS]
            while not np.array_equal(up := roots[part], part):  # parents have smaller numbers: earlier chunks are done
                part[:] = up
            np.add.at(sizes, part, 1)
        return roots, sizes

    def _chosen(
        self, roots: npt.NDArray[np.uint32], sizes: npt.NDArray[np.uint32], keep: KeepRule, settled: int
    ) -> npt.NDArray[np.uint32]:
        """The kept text of each component, indexed by root: the first, or the one with the most tokens (ties: the
        first); the first if it is settled."""
        chosen = self._new("chosen", "<u4")
        chosen[:] = np.arange(len(self._parent), dtype=np.uint32)  # the root is the component's first text
        if keep == "first":
            return chosen
        for first in range(0, len(self._parent), _CHUNK_TEXTS):
            part = roots[first : first + _CHUNK_TEXTS]
            numbers = (first + np.flatnonzero((sizes[part] > 1) & (part >= settled))).astype(np.uint32)
            ours, tokens = roots[numbers], self._num_tokens[numbers]
            order = np.lexsort((numbers, -tokens.astype(np.int64), ours))
            is_best = np.concatenate(([True], ours[order][1:] != ours[order][:-1])) if len(order) else order == 0
            best = order[is_best]
            longer = tokens[best] > self._num_tokens[chosen[ours[best]]]
            chosen[ours[best][longer]] = numbers[best][longer]
        return chosen

    def _flush(self) -> None:
        """Writes the keys that were collected to their buckets."""
        if not self._keys:
            return
        keys = np.concatenate(self._keys)
        self._keys.clear()
        buckets = (keys["key"] >> _BUCKET_BITS).astype(np.uint8)
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(NUM_BUCKETS + 1))
        for bucket in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
            with open(self._view.path(bucket_name(bucket)), "ab") as file:
                file.write(keys[order[edges[bucket] : edges[bucket + 1]]].tobytes())

    def _new(self, name: str, dtype: str) -> npt.NDArray[Any]:
        return self._view.map(name, dtype, "w+")
