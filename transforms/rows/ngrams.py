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
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_POWER = 0x5851F42D4C957F2D  # odd, so it has an inverse modulo 2^64 (Knuth's MMIX multiplier)
_BLOCK_BYTES = 1 << 16
"""Small enough for the cache. A token that is longer than a block is split at the block's end."""
_BATCH_BYTES = 1 << 17
"""Short texts are hashed together up to this size: each of some twenty array operations costs a microsecond however few
bytes it is over."""
MAX_SUMMED_TOKENS = 1 << 16
"""More would need larger tables of powers in every process."""
_WORD_BYTES = (string.ascii_letters + string.digits + "_").encode() + bytes(range(128, 256))
IS_WORD = np.zeros(256, dtype=bool)
IS_WORD[list(_WORD_BYTES)] = True
_WORD_TABLE = IS_WORD.tobytes()


@functools.cache
def _tables() -> tuple[Hashes, Hashes, Hashes]:
    """A 64-bit value for each byte, the powers of `_POWER`, and the powers of its inverse."""
    values = [hashlib.blake2b(bytes([byte]), digest_size=8, key=b"codemill tokens 1").digest() for byte in range(256)]
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
    spaced = data.translate(bytes(byte if IS_WORD[byte] else 32 for byte in range(256)))
    return [token.decode("utf-8", "surrogatepass") for token in spaced.split()]


class TokenBatch(NamedTuple):
    """The tokens of several texts, one text after another.

    Args:
        hashes: One hash per token.
        bounds: Text `i` has the tokens from `bounds[i]` to `bounds[i + 1]`.
    """

    hashes: Hashes
    bounds: Sequence[int]


class PlacedTokens(NamedTuple):
    """The same tokens with their places.

    Args:
        hashes, bounds: As in `TokenBatch`.
        starts: The offset in `data` at which each token begins.
        texts: The texts' UTF-8, ASCII in lower case.
        data: The texts with a line break between two.
        offsets: Text `i` begins at `offsets[i]`; the last one is behind the data.
    """

    hashes: Hashes
    bounds: Sequence[int]
    starts: npt.NDArray[np.intp]
    texts: Sequence[bytes]
    data: bytes
    offsets: npt.NDArray[np.int64]


def token_hashes(text: str) -> Hashes:
    """One 64-bit hash per token, in order."""
    return _hashes_of_bytes(_normalized(text))


def token_batches(texts: Iterable[str | bytes]) -> Iterator[TokenBatch]:
    """Hashes of the tokens of many texts, the same as `token_hashes` of each. Short texts that follow each other come
    in one batch. Bytes are a text's UTF-8."""
    return (TokenBatch(batch.hashes, batch.bounds) for batch in placed_tokens(texts))


def placed_tokens(texts: Iterable[str | bytes]) -> Iterator[PlacedTokens]:
    """The same with the tokens' places."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        data = _normalized(text)
        if batch and (size + len(data) >= _BATCH_BYTES or max(size, len(data)) >= _BLOCK_BYTES):
            yield _placed(batch)
            batch, size = [], 0
        batch.append(data)
        size += len(data) + 1
    if batch:
        yield _placed(batch)


def _normalized(text: str | bytes) -> bytes:
    return (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).lower()


def _hashes_of_bytes(data: bytes) -> Hashes:
    return _hashes_and_starts(data)[0]


def _hashes_and_starts(data: bytes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    parts, before = [], 0
    for block in blocks_of(data):
        hashes, starts = hash_tokens(block)
        parts.append((hashes, starts + before if before else starts))
        before += len(block)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([hashes for hashes, _ in parts]), np.concatenate([starts for _, starts in parts])


def _placed(texts: list[bytes]) -> PlacedTokens:
    data = b"\n".join(texts)  # a line break ends a token
    hashes, starts = _hashes_and_starts(data)
    offsets = np.cumsum([0, *(len(text) + 1 for text in texts)])
    return PlacedTokens(hashes, np.searchsorted(starts, offsets).tolist(), starts, texts, data, offsets)


def blocks_of(data: bytes) -> list[bytes]:
    """Splits bytes into blocks of at most `_BLOCK_BYTES`, each ending after its last byte that is not part of a token,
    if there is one."""
    blocks, start = [], 0
    while len(data) - start > _BLOCK_BYTES:
        block = data[start : start + _BLOCK_BYTES]
        end = block.translate(_WORD_TABLE).rfind(0) + 1 or _BLOCK_BYTES
        blocks.append(block[:end])
        start += end
    return [*blocks, data[start:] if start else data]


def hash_tokens(block: bytes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    """The hash of each token of a block of at most 64 KiB in lower case, and the offset at which it starts."""
    values, forth, back = _tables()
    is_word = np.frombuffer(b"\0" + block.translate(_WORD_TABLE) + b"\0", dtype=np.bool_)
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    starts, ends = edges[::2], edges[1::2]
    with np.errstate(over="ignore"):
        terms = values.take(np.frombuffer(block, dtype=np.uint8))
        terms *= forth[: len(block)]
        sums = np.zeros(len(block) + 1, dtype=np.uint64)
        np.cumsum(terms, out=sums[1:])
        return mixed((sums.take(ends) - sums.take(starts)) * back.take(starts)), starts


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


class TokenSums:
    """Prefix sums of `hash[i] / BASE^i`, from which an n-gram's hash follows by two operations, whatever its n.

    Args:
        hashes: At most `MAX_SUMMED_TOKENS` tokens.
    """

    def __init__(self, hashes: Hashes):
        self._forth, back = _base_powers()
        self._sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            np.cumsum(hashes * back[: len(hashes)], out=self._sums[1:])

    def ngrams(self, n: int) -> Hashes:
        """The same as `ngram_hashes(hashes, n)`."""
        count = max(0, len(self._sums) - n)
        with np.errstate(over="ignore"):
            return (self._sums[n : n + count] - self._sums[:count]) * self._forth[n - 1 : n - 1 + count]

    def ngrams_at(self, positions: npt.NDArray[np.intp], lengths: npt.NDArray[np.int64]) -> Hashes:
        """A row for each length: the n-grams that begin at some positions. Those that would end behind the last token
        have any value."""
        ends = np.minimum(positions + lengths[:, None], len(self._sums) - 1)
        with np.errstate(over="ignore"):
            return (self._sums.take(ends) - self._sums.take(positions)) * self._forth.take(np.maximum(ends, 1) - 1)


@functools.cache
def _base_powers() -> tuple[Hashes, Hashes]:
    """The powers of `_BASE` and of its inverse modulo 2^64, from 0."""
    base = int(_BASE)
    with np.errstate(over="ignore"):
        forth, back = (
            np.cumprod(np.array([1] + [factor] * (MAX_SUMMED_TOKENS - 1), np.uint64), dtype=np.uint64)
            for factor in (base, pow(base, -1, 1 << 64))
        )
    return forth, back


def distinct(hashes: Hashes) -> Hashes:
    """The distinct hashes, sorted. Sorting is faster here than `numpy.unique`, which builds a hash table first."""
    ordered = np.sort(hashes)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def text_ngrams(text: str, n: int) -> Hashes:
    """Hashes of all n-grams of a text."""
    return ngram_hashes(token_hashes(text), n)
