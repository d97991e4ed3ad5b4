"""Signatures of many texts at once: the form in which they are computed, passed between processes, and stored.

    texts -> token hashes -> 5-grams, sorted and distinct -> one matrix of MinHash values -> bands
             (`token_batches`)       of each text            of all texts

A batch gives each text the hashes that `transforms.duplicates.signatures.sign` gives it, which a test enforces. Python
works a few times per text instead of forty times, so tiny texts cost a fifth.

Cost: about 70 MB/s; memory: about ten times `_BATCH_BYTES`, and 230 bytes per text of the result.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.duplicates.signatures import (
    DIGEST_BYTES,
    MAX_VERIFIED_NGRAMS,
    NGRAM_TOKENS,
    NUM_BANDS,
    band_hashes,
    digest,
    minhash,
    normal_digest,
)
from transforms.rows.ngrams import Hashes, ngram_hashes, token_batches

_BATCH_BYTES = 1 << 20
KEY = np.dtype([("key", "<u8"), ("text", "<u4")])
"""By one of its keys, a text meets those it is compared with."""
ABOUT = np.dtype(
    [
        ("number", "<u4"),
        ("exact", "V16"),
        ("normal", "V16"),
        ("num_tokens", "<u4"),
        ("num_grams", "<u2"),
        ("start", "<u8"),
    ]
)
"""A text: its number, hashes of the unchanged and of the normalized text, and where its 5-grams are in their file."""


@dataclass(frozen=True, slots=True)
class SignedTexts:
    """The signatures of some texts.

    Args:
        about: One record of `ABOUT` per text.
        keys: Records of `KEY`: 16 bands and the normalized text, or the latter alone for fewer than five tokens.
        grams_file: Name of the file with the texts' 5-grams.
    """

    about: npt.NDArray[Any]
    keys: npt.NDArray[Any]
    grams_file: str


class GramsFile:
    """A file of hashed 5-grams that one process appends to. The file is created when something is written.

    Args:
        folder: The folder of the file.
    """

    def __init__(self, folder: str):
        self.name = f"grams-{os.getpid()}-{secrets.token_hex(4)}"
        self._path = os.path.join(folder, self.name)
        self._fd: int | None = None
        self._num_written = 0

    def write(self, grams: Hashes) -> int:
        """Appends hashes; returns how many are before them."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        start, left = self._num_written, np.ascontiguousarray(grams, "<u8").view(np.uint8).data
        while len(left):
            left = left[os.write(self._fd, left) :]
        self._num_written += len(grams)
        return start

    def close(self) -> None:
        """Closes the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def sign_texts(
    numbers: Sequence[int], texts: Sequence[bytes], grams_file: GramsFile, *, min_tokens: int = 0
) -> SignedTexts:
    """Computes the signatures of texts, and writes their 5-grams to a file.

    Args:
        numbers: The number of each text.
        texts: The texts, in UTF-8.
        grams_file: Where the 5-grams go.
        min_tokens: Texts with fewer tokens are left out.
    """
    abouts, keys = [np.empty(0, ABOUT)], [np.empty(0, KEY)]
    for first, last in _batches(texts):
        about, grams, some_keys = _sign_batch(np.array(numbers[first:last], np.uint32), texts[first:last])
        about["start"] += grams_file.write(grams)
        abouts.append(about)
        keys.append(some_keys)
    about, all_keys = np.concatenate(abouts), np.concatenate(keys)
    if min_tokens:
        about = about[about["num_tokens"] >= min_tokens]
        all_keys = all_keys[np.isin(all_keys["text"], about["number"])]
    return SignedTexts(about, all_keys, grams_file.name)


def _batches(texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yields ranges of texts of about `_BATCH_BYTES` each, so that a batch stays in the processor's cache."""
    first = size = 0
    for last, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _BATCH_BYTES or last == len(texts):
            yield first, last
            first, size = last, 0


def _sign_batch(
    numbers: npt.NDArray[np.uint32], texts: Sequence[bytes]
) -> tuple[npt.NDArray[Any], Hashes, npt.NDArray[Any]]:
    """Returns the texts' records, the 5-grams to store, and the keys."""
    tokens, edges = _tokens_of(texts)
    grams, counts = _distinct_grams(tokens, edges)
    about = np.zeros(len(texts), ABOUT)
    about["number"] = numbers
    about["exact"] = np.frombuffer(b"".join(map(digest, texts)), f"V{DIGEST_BYTES}")
    parts = zip(itertools.pairwise(edges.tolist()), texts, strict=True)
    normal = (normal_digest(tokens[begin:end], text) for (begin, end), text in parts)
    about["normal"] = np.frombuffer(b"".join(normal), f"V{DIGEST_BYTES}")
    about["num_tokens"] = np.diff(edges)
    about["num_grams"] = np.minimum(counts, MAX_VERIFIED_NGRAMS)
    about["start"][1:] = np.cumsum(about["num_grams"][:-1], dtype=np.uint64)
    return about, _stored(grams, counts), _keys(about, grams, counts)


def _stored(grams: Hashes, counts: npt.NDArray[np.int64]) -> Hashes:
    """The smallest 5-grams of each text, at most `MAX_VERIFIED_NGRAMS`."""
    if counts.max() <= MAX_VERIFIED_NGRAMS:
        return grams
    begins = (np.cumsum(counts) - counts).tolist()
    sizes = np.minimum(counts, MAX_VERIFIED_NGRAMS).tolist()
    return np.concatenate([grams[begin : begin + size] for begin, size in zip(begins, sizes, strict=True)])


def _tokens_of(texts: Sequence[bytes]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The token hashes of all texts, and where those of each text begin and end."""
    batches = list(token_batches(texts))
    counts = np.concatenate([np.diff(batch.bounds) for batch in batches])
    return np.concatenate([batch.hashes for batch in batches]), np.concatenate(([0], np.cumsum(counts)))


def _distinct_grams(tokens: Hashes, edges: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Each text's sorted distinct 5-grams, one text after the other, and their numbers."""
    grams = ngram_hashes(tokens, NGRAM_TOKENS)  # those that span two texts are skipped
    begins = edges[:-1]
    ends = np.maximum(begins, edges[1:] - (NGRAM_TOKENS - 1))
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        grams[begin:end].sort()
    steps = np.zeros(len(grams) + 1, np.int8)
    has_any = ends > begins
    steps[begins[has_any]] += 1
    steps[ends[has_any]] -= 1
    is_kept = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
    is_kept[1:] &= (grams[1:] != grams[:-1]) | steps[1:-1].astype(bool)
    totals = np.concatenate(([0], np.cumsum(is_kept)))
    return grams[is_kept], totals[np.minimum(ends, len(grams))] - totals[np.minimum(begins, len(grams))]


def _keys(about: npt.NDArray[Any], grams: Hashes, counts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    normal = np.empty(len(about), KEY)
    # Read as a number, the leading digits first, as in the signature's hexadecimal form.
    normal["key"] = np.ascontiguousarray(about["normal"]).view(">u8")[::2]
    normal["text"] = about["number"]
    with_grams = np.flatnonzero(counts)
    if not len(with_grams):
        return normal
    bands = np.empty((len(with_grams), NUM_BANDS), KEY)
    bands["key"] = band_hashes(minhash(grams, counts[with_grams]))
    bands["text"] = about["number"][with_grams, None]
    return np.concatenate((normal, bands.ravel()))
