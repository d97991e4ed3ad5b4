"""Hashed n-grams of code tokens, used to find contamination, verbatim copies and near duplicates.

Tokens are runs of ASCII letters (in lower case), digits, underscores and non-ASCII bytes of the text's UTF-8.
Punctuation, layout and comment markers are ignored, so reformatting doesn't hide a match. Tokens are hashed without
creating a Python object for each:

    text      if x == Y1:      bytes, ASCII in lower case
    words     11.1....11.      which bytes belong to tokens, so where tokens start and end
    sums      prefix sums of value[byte] * P^position, modulo 2^64
    token     (sum at its end - sum at its start) * P^-start, mixed: independent of its position

An n-gram's hash is a polynomial over its tokens' hashes. Everything is numpy over blocks that end between tokens, at
100 MB/s and more.
"""

from __future__ import annotations

import functools
import hashlib
import string
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_POWER = 0x5851F42D4C957F2D  # odd, so it has an inverse modulo 2^64 (Knuth's MMIX multiplier)
_BLOCK_BYTES = 1 << 16
"""Small enough for the cache. A token that is longer than a block is split at the block's end."""
_GAP = b"\n"  # between two texts in one block; part of no token
_WORD_BYTES = (string.ascii_letters + string.digits + "_").encode() + bytes(range(128, 256))
_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[list(_WORD_BYTES)] = True


@functools.cache
def _tables() -> tuple[Hashes, Hashes, Hashes]:
    """A 64-bit value for each byte in either case, the powers of `_POWER`, and the powers of its inverse."""
    folded = bytes(range(256)).lower()  # looking a letter up in upper case finds the value of the lower one
    values = [hashlib.blake2b(bytes([byte]), digest_size=8, key=b"codemill tokens 1").digest() for byte in folded]
    with np.errstate(over="ignore"):
        forth = np.cumprod(np.full(_BLOCK_BYTES, _POWER, np.uint64), dtype=np.uint64)
        back = np.cumprod(np.full(_BLOCK_BYTES, pow(_POWER, -1, 1 << 64), np.uint64), dtype=np.uint64)
    return np.frombuffer(b"".join(values), dtype="<u8").astype(np.uint64), forth, back


def tokens_of(text: str) -> list[str]:
    """A text's normalized tokens, for messages and tests; hashing does not use them.

    >>> tokens_of("Def f(x):\\n  return x+1")
    ['def', 'f', 'x', 'return', 'x', '1']
    """
    data = text.encode("utf-8", "surrogatepass").lower()
    spaced = data.translate(bytes(byte if _IS_WORD[byte] else 32 for byte in range(256)))
    return [token.decode("utf-8", "surrogatepass") for token in spaced.split()]


def token_hashes(text: str) -> Hashes:
    """One 64-bit hash per token, in order."""
    return _long_text_hashes(text.encode("utf-8", "surrogatepass"))


def batch_token_hashes(texts: Sequence[bytes]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The token hashes of many texts at once, which for short texts is many times as fast as one by one.

    Args:
        texts: The texts in UTF-8.

    Returns:
        The hashes of all texts in order, and where each text's begin and end: those of text `i` are
        `hashes[edges[i] : edges[i + 1]]`.
    """
    parts: list[Hashes] = [np.empty(0, np.uint64)]
    counts: list[npt.NDArray[np.int64]] = [np.zeros(1, np.int64)]
    first = 0
    while first < len(texts):
        last, size = first + 1, len(texts[first])
        while last < len(texts) and size + 1 + len(texts[last]) <= _BLOCK_BYTES:
            size, last = size + 1 + len(texts[last]), last + 1
        if last == first + 1:
            parts.append(_long_text_hashes(texts[first]))
            counts.append(np.array([len(parts[-1])], np.int64))
        else:
            starts, hashes = _block_tokens(np.frombuffer(_GAP.join(texts[first:last]), np.uint8))
            parts.append(hashes)
            ends = np.cumsum([len(text) + 1 for text in texts[first:last]])
            counts.append(np.diff(np.searchsorted(starts, ends), prepend=0))
        first = last
    return np.concatenate(parts), np.cumsum(np.concatenate(counts))


def _long_text_hashes(data: bytes) -> Hashes:
    parts = [_block_tokens(block)[1] for block in _blocks(data)]
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def _blocks(data: bytes) -> list[npt.NDArray[np.uint8]]:
    """Splits bytes into blocks of at most `_BLOCK_BYTES`, each ending after its last byte that is not part of a token,
    if there is one."""
    whole = np.frombuffer(data, dtype=np.uint8)
    blocks, start = [], 0
    while len(whole) - start > _BLOCK_BYTES:
        block = whole[start : start + _BLOCK_BYTES]
        gaps = np.flatnonzero(~_IS_WORD[block[::-1]])
        end = start + (_BLOCK_BYTES - int(gaps[0]) if len(gaps) else _BLOCK_BYTES)
        blocks.append(whole[start:end])
        start = end
    return [*blocks, whole[start:]]


def _block_tokens(block: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], Hashes]:
    """Where each token of a block starts, and its hash."""
    values, forth, back = _tables()
    is_word = _IS_WORD[block]
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    if len(is_word) and is_word[0]:
        edges = np.concatenate(([0], edges))
    if len(edges) % 2:
        edges = np.append(edges, len(block))
    starts, ends = edges[::2], edges[1::2]
    with np.errstate(over="ignore"):
        sums = np.empty(len(block) + 1, dtype=np.uint64)
        sums[0] = 0
        np.cumsum(values[block] * forth[: len(block)], out=sums[1:])
        return starts, mixed((sums[ends] - sums[starts]) * back[starts])


def mixed(hashes: Hashes) -> Hashes:
    """Spreads a polynomial's entropy over all bits (the finalizer of SplitMix64, Steele et al. 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def ngram_hashes(hashes: Hashes, n: int) -> Hashes:
    """Hashes of all n-grams, in order: `max(0, len(hashes) - n + 1)` of them."""
    count = len(hashes) - n + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        total = hashes[:count].copy()
        for k in range(1, n):
            total *= _BASE
            total += hashes[k : k + count]
    return total


def distinct(hashes: Hashes) -> Hashes:
    """The distinct hashes, sorted. Sorting is faster here than `numpy.unique`, which builds a hash table first."""
    ordered = np.sort(hashes)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def text_ngrams(text: str, n: int) -> Hashes:
    """Hashes of all n-grams of a text."""
    return ngram_hashes(token_hashes(text), n)
