"""Exact and near duplicates: signatures, bands, verified Jaccard similarity, connected components.

    text -> 5-grams of tokens -> MinHash signature (128 permutations) -> 16 bands of 8 values
    texts that share a band are candidate pairs; a pair counts if the Jaccard similarity of its two sets of 5-grams
    (computed, not estimated from the signatures) is at least the threshold; clusters are the connected components;
    one row of each cluster is kept, by the keep rule

With 16 bands of 8 values, a pair with Jaccard similarity 0.7 shares a band with probability 1 - (1 - 0.7^8)^16 = 0.61,
a pair with 0.8 with probability 0.95, and a pair with 0.85 with probability 0.994.

Sources: Broder 1997; Lee et al. 2022 (arXiv:2107.06499); 5-grams and 0.7 as in The Stack (arXiv:2211.15533). MinHash
is computed by `rensa`.

Only signatures and hashes are passed between processes: a MinHash signature is 128 numbers, however long the text, and
the 5-grams for verification are hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from transforms.rows.ngrams import Hashes, distinct, mixed, ngram_hashes, token_hashes

NGRAM_TOKENS = 5
NUM_PERMUTATIONS = 128
NUM_BANDS = 16
DEFAULT_THRESHOLD = 0.7
MAX_VERIFIED_NGRAMS = 4096
"""For longer texts, only this many of the smallest hashes are kept: a bottom-k sketch, whose Jaccard estimate has a
standard error below 0.008."""
DIGEST_BYTES = 16
KeepRule = Literal["first", "longest"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The hashes by which a text is compared with others.

    Args:
        key: The row's name, e.g. its position in the plan; determines which row of a cluster is kept.
        exact: Hash of the unchanged text.
        normal: Hash of the normalized text, see `normal_digest`.
        bands: One 64-bit hash per band; empty for texts of fewer than five tokens.
        ngrams: Sorted hashes of the 5-grams, at most `MAX_VERIFIED_NGRAMS`.
        num_tokens: Length of the text in tokens.
    """

    key: str
    exact: str
    normal: str
    bands: tuple[int, ...]
    ngrams: Hashes
    num_tokens: int


def sign(key: str, text: str) -> Signature:
    """Computes a text's signature. For many texts, `transforms.duplicates.batches` is faster."""
    tokens = token_hashes(text)
    grams = distinct(ngram_hashes(tokens, NGRAM_TOKENS))
    bands: tuple[int, ...] = ()
    if len(grams):
        bands = tuple(band_hashes(minhash(grams, [len(grams)]))[0].tolist())
    return Signature(
        key=key,
        exact=digest(text.encode("utf-8", "surrogatepass")).hex(),
        normal=normal_digest(tokens, text.encode("utf-8", "surrogatepass")).hex(),
        bands=bands,
        ngrams=grams[:MAX_VERIFIED_NGRAMS],
        num_tokens=len(tokens),
    )


def digest(data: Any) -> bytes:
    """16 bytes by which equal texts, or equal tokens, are known: of SHA-256, for which processors have instructions."""
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def normal_digest(tokens: Hashes, data: bytes) -> bytes:
    """The digest by which texts that differ in layout alone are known: of their tokens; of these and
    of all bytes except white space if there are too few tokens to compare 5-grams, since symbols are then most of the
    text (Brainfuck, APL), and since `12 3` isn't `1 23`; of the bytes unchanged if white space is all there is.

    Args:
        tokens: The text's token hashes.
        data: The text in UTF-8.
    """
    if len(tokens) >= NGRAM_TOKENS:
        return digest(tokens.tobytes())
    return digest(tokens.tobytes() + (b"".join(data.lower().split()) or data))


def minhash(grams: Hashes, counts: Sequence[int] | npt.NDArray[np.int64]) -> Hashes:
    """The MinHash values of texts: [texts, permutations].

    Args:
        grams: Each text's 5-grams, one text after the other.
        counts: How many 5-grams each text has, at least one.
    """
    from rensa import RMinHash

    edges = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams, edges, NUM_PERMUTATIONS, 1)
    return np.array(matrix.to_rows(), dtype=np.uint64)


def band_hashes(minima: Hashes) -> Hashes:
    """One hash per text and band: a polynomial over the band's values and its number, mixed."""
    rows = minima.reshape(len(minima) * NUM_BANDS, -1)
    numbers = np.tile(np.arange(NUM_BANDS, dtype=np.uint64), len(minima))
    numbered = np.concatenate((rows, numbers[:, None]), axis=1)
    return mixed(ngram_hashes(numbered.T, numbered.shape[1])[0]).reshape(len(minima), NUM_BANDS)


def jaccard(a: Signature, b: Signature) -> float:
    """Jaccard similarity of two texts' 5-grams; for long texts, estimated from their smallest hashes (bottom-k, Cohen
    and Kaplan 2007).

    >>> jaccard(sign("a", "a b c d e f"), sign("b", "a b c d e f"))
    1.0
    """
    return jaccard_of(a.ngrams, b.ngrams, is_same=a.normal == b.normal)


def jaccard_of(a: Hashes, b: Hashes, *, is_same: bool) -> float:
    """Like `jaccard`, for sorted hashes. If either is empty, the result is 1.0 if `is_same` (the normalized texts are
    equal), else 0.0."""
    if not len(a) or not len(b):
        return float(is_same)
    both = np.concatenate([a, b])
    both.sort(kind="stable")  # merges two sorted runs in one pass
    is_shared = both[1:] == both[:-1]
    if len(a) == MAX_VERIFIED_NGRAMS or len(b) == MAX_VERIFIED_NGRAMS:
        is_first = np.concatenate(([True], ~is_shared))
        is_shared = is_shared[: int(np.flatnonzero(is_first)[:MAX_VERIFIED_NGRAMS][-1]) + 1]
        return float(is_shared.sum()) / min(int(is_first.sum()), MAX_VERIFIED_NGRAMS)
    shared = int(is_shared.sum())
    return shared / (len(both) - shared)


def pairs_of_bucket(members: Sequence[int], max_bucket: int = 200) -> Iterator[tuple[int, int]]:
    """Yields pairs of texts that share a key. In a bucket of more than `max_bucket` texts, each text is paired only
    with the first 8: such a bucket is a cluster anyway, and these pairs keep its components connected."""
    for right, number in enumerate(members):
        for left in members[: right if len(members) <= max_bucket else min(right, 8)]:
            yield left, number


def candidate_pairs(signatures: Sequence[Signature]) -> Iterator[tuple[int, int]]:
    """Yields pairs of positions that share a band or the normalized text, each pair once."""
    buckets: dict[tuple[int, int | str], list[int]] = {}
    for position, signature in enumerate(signatures):
        buckets.setdefault((-1, signature.normal), []).append(position)
        for number, band in enumerate(signature.bands):
            buckets.setdefault((number, band), []).append(position)
    seen: set[tuple[int, int]] = set()
    for members in buckets.values():
        for pair in pairs_of_bucket(members):
            if pair not in seen:
                seen.add(pair)
                yield pair


class Components:
    """Union-find with path halving (Tarjan 1975); the smallest position is the root."""

    def __init__(self, size: int):
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        """Returns the root of an item's component."""
        while self._parent[item] != item:
            self._parent[item] = item = self._parent[self._parent[item]]
        return item

    def union(self, a: int, b: int) -> None:
        """Joins the components of two items."""
        a, b = self.find(a), self.find(b)
        self._parent[max(a, b)] = min(a, b)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row to remove as a duplicate: `kept` is the key of the row kept instead, `kind` is exact or near."""

    key: str
    kept: str
    kind: Literal["exact", "near"]
    similarity: float


def find_duplicates(
    signatures: Iterable[Signature], *, threshold: float = DEFAULT_THRESHOLD, keep: KeepRule = "first"
) -> dict[str, Duplicate]:
    """Finds the rows to remove, by key.

    Args:
        signatures: The signatures of all rows, in any order, with unique keys.
        threshold: Minimum Jaccard similarity of a pair.
        keep: "first" keeps the smallest key of a cluster, "longest" the row with the most tokens (ties: the smallest
            key).
    """
    ordered = sorted(signatures, key=lambda s: s.key)
    components = Components(len(ordered))
    for left, right in candidate_pairs(ordered):
        if components.find(left) == components.find(right):
            continue
        if ordered[left].normal == ordered[right].normal or jaccard(ordered[left], ordered[right]) >= threshold:
            components.union(left, right)
    clusters: dict[int, list[Signature]] = {}
    for position, signature in enumerate(ordered):
        clusters.setdefault(components.find(position), []).append(signature)
    found: dict[str, Duplicate] = {}
    for members in clusters.values():
        chosen = members[0] if keep == "first" else min(members, key=lambda s: (-s.num_tokens, s.key))
        for member in members:
            if member is not chosen:
                found[member.key] = _duplicate(member, chosen)
    return found


def _duplicate(member: Signature, chosen: Signature) -> Duplicate:
    if member.exact == chosen.exact:
        return Duplicate(member.key, chosen.key, "exact", 1.0)
    return Duplicate(member.key, chosen.key, "near", round(jaccard(member, chosen), 4))
