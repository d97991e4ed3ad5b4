"""Clusters of duplicates among more texts than fit in memory, by signatures and hash buckets on disk.

    add       text -> signature: its 5-grams to a file, its 17 keys (16 bands, the normalized text) to hash buckets by
              the keys' leading bits
    pairs     each bucket is sorted separately: texts that share a key are compared, and joined into one component if
              they are similar enough
    finish    each component of two or more texts keeps one text, by the keep rule; the others refer to it

The result equals that of `signatures.find_duplicates` over the same texts, which a test enforces. It does not depend on
the order of the texts or on how they are split into chunks.

Memory: one bucket (a 256th of 204 bytes per text), plus the file pages that the operating system caches.
Disk: 270 bytes per text and 8 per distinct 5-gram, at most 32 KB per text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from transforms.duplicates.signatures import KeepRule, jaccard_of, pairs_of_bucket, sign

NUM_BUCKETS = 256
_BUCKET_BITS = np.uint64(56)
_SPOOL_TEXTS = 4096
_CHUNK_TEXTS = 1 << 18
_KEY = np.dtype([("key", "<u8"), ("text", "<u4")])
MAX_TEXTS = (1 << 32) - 1


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
    """Collects texts and finds their clusters.

    Args:
        folder: An empty folder on a local disk.
        num_texts: Upper bound of the numbers, which are 0 to `num_texts` - 1. Not all of them need to be added.
    """

    def __init__(self, folder: str, num_texts: int):
        assert num_texts <= MAX_TEXTS, f"{num_texts} texts; the limit for one job is {MAX_TEXTS}"
        self._folder, self._num_texts = folder, max(1, num_texts)
        self._exact = self._map("exact", "V16")
        self._normal = self._map("normal", "V16")
        self._num_tokens = self._map("tokens", "<u4")
        self._gram_start = self._map("starts", "<u8")
        self._num_grams = self._map("counts", "<u2")
        self._parent = self._map("parents", "<u4")
        self._parent[:] = np.arange(self._num_texts, dtype=np.uint32)
        self._grams_file: BinaryIO = open(self._path("grams"), "wb")  # noqa: SIM115 (closed by `members`)
        self._num_written = 0
        self._spool: list[npt.NDArray[Any]] = []

    def add(self, number: int, text: str) -> None:
        """Adds a text under its number."""
        signature = sign(str(number), text)
        self._exact[number] = bytes.fromhex(signature.exact)
        self._normal[number] = bytes.fromhex(signature.normal)
        self._num_tokens[number] = signature.num_tokens
        self._gram_start[number], self._num_grams[number] = self._num_written, len(signature.ngrams)
        self._grams_file.write(signature.ngrams.astype("<u8").tobytes())
        self._num_written += len(signature.ngrams)
        keys = np.empty(len(signature.bands) + 1, dtype=_KEY)
        keys["key"] = [*signature.bands, int(signature.normal[:16], 16)]
        keys["text"] = number
        self._spool.append(keys)
        if len(self._spool) >= _SPOOL_TEXTS:
            self._flush()

    def members(self, *, threshold: float, keep: KeepRule) -> Iterator[Member]:
        """Yields the members of all clusters of two or more texts, by number. Call it once, after the last `add`."""
        self._flush()
        self._grams_file.close()
        size = self._num_written
        grams = np.memmap(self._path("grams"), "<u8", "r", shape=(size,)) if size else np.empty(0, np.uint64)
        for bucket in range(NUM_BUCKETS):
            self._join_bucket(bucket, grams, threshold)
        roots, sizes = self._roots()
        chosen = self._chosen(roots, sizes, keep)
        for first in range(0, self._num_texts, _CHUNK_TEXTS):
            ours = roots[first : first + _CHUNK_TEXTS]
            for number in (first + np.flatnonzero(sizes[ours] > 1)).tolist():
                root = int(roots[number])
                yield self._member(number, int(chosen[root]), int(sizes[root]), grams)

    def _member(self, number: int, kept: int, size: int, grams: npt.NDArray[np.uint64]) -> Member:
        if number == kept:
            return Member(number, kept, "kept", 1.0, size)
        if self._exact[number] == self._exact[kept]:
            return Member(number, kept, "exact", 1.0, size)
        return Member(number, kept, "near", round(self._similarity(number, kept, grams), 4), size)

    def _similarity(self, a: int, b: int, grams: npt.NDArray[np.uint64]) -> float:
        first, second = self._grams_of(a, grams), self._grams_of(b, grams)
        return jaccard_of(first, second, is_same=bool(self._normal[a] == self._normal[b]))

    def _grams_of(self, number: int, grams: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        start = int(self._gram_start[number])
        return np.asarray(grams[start : start + int(self._num_grams[number])])

    def _join_bucket(self, bucket: int, grams: npt.NDArray[np.uint64], threshold: float) -> None:
        """Compares the texts that share a key in one bucket, and joins those that are similar enough."""
        path = self._path(f"bucket-{bucket:03}")
        if not os.path.exists(path):
            return
        entries = np.fromfile(path, _KEY)
        entries = entries[np.lexsort((entries["text"], entries["key"]))]
        edges = np.flatnonzero(entries["key"][1:] != entries["key"][:-1]) + 1
        starts, ends = np.concatenate(([0], edges)), np.concatenate((edges, [len(entries)]))
        different: set[tuple[int, int]] = set()
        for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
            for a, b in pairs_of_bucket(entries["text"][start:end].tolist()):
                if (a, b) in different or self._find(a) == self._find(b):
                    continue
                if self._normal[a] == self._normal[b] or self._similarity(a, b, grams) >= threshold:
                    self._join(a, b)
                else:
                    different.add((a, b))

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
        roots, sizes = self._parent, self._map("sizes", "<u4")
        for first in range(0, self._num_texts, _CHUNK_TEXTS):
            part = roots[first : first + _CHUNK_TEXTS]
            while not np.array_equal(up := roots[part], part):  # parents have smaller numbers: earlier chunks are done
                part[:] = up
            np.add.at(sizes, part, 1)
        return roots, sizes

    def _chosen(
        self, roots: npt.NDArray[np.uint32], sizes: npt.NDArray[np.uint32], keep: KeepRule
    ) -> npt.NDArray[np.uint32]:
        """The kept text of each component, indexed by root: the first, or the one with the most tokens (ties: the
        first)."""
        chosen = self._map("chosen", "<u4")
        chosen[:] = np.arange(self._num_texts, dtype=np.uint32)  # the root is the component's first text
        if keep == "first":
            return chosen
        for first in range(0, self._num_texts, _CHUNK_TEXTS):
            part = roots[first : first + _CHUNK_TEXTS]
            numbers = (first + np.flatnonzero(sizes[part] > 1)).astype(np.uint32)
            ours, tokens = roots[numbers], self._num_tokens[numbers]
            order = np.lexsort((numbers, -tokens.astype(np.int64), ours))
            is_best = np.concatenate(([True], ours[order][1:] != ours[order][:-1])) if len(order) else order == 0
            best = order[is_best]
            longer = tokens[best] > self._num_tokens[chosen[ours[best]]]
            chosen[ours[best][longer]] = numbers[best][longer]
        return chosen

    def _flush(self) -> None:
        if not self._spool:
            return
        keys = np.concatenate(self._spool)
        self._spool.clear()
        buckets = (keys["key"] >> _BUCKET_BITS).astype(np.intp)
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(NUM_BUCKETS + 1))
        for bucket in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
            with open(self._path(f"bucket-{bucket:03}"), "ab") as file:
                file.write(keys[order[edges[bucket] : edges[bucket + 1]]].tobytes())

    def _map(self, name: str, dtype: str) -> npt.NDArray[Any]:
        return np.memmap(self._path(name), dtype, "w+", shape=(self._num_texts,))

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)
