"""Hashed n-grams of code tokens: the common ground of contamination, verbatim copies and near duplicates.

Tokens are words and numbers in lower case; punctuation, layout and comments' marks don't count, so reformatting hides
nothing. A token's hash is 64
bits of BLAKE2b, an n-gram's a polynomial over them modulo 2^64: all of a text's n-grams in one vectorised pass, about
10 MB/s.
"""

from __future__ import annotations

import functools
import hashlib
import re

import numpy as np
import numpy.typing as npt

_TOKEN = re.compile(r"[A-Za-z0-9_]+|[^\x00-\x7f]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
Hashes = npt.NDArray[np.uint64]


@functools.lru_cache(maxsize=1 << 18)
def _token_hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def tokens_of(text: str) -> list[str]:
    """A text's normalised tokens.

    >>> tokens_of("Def f(x):\\n  return x+1")
    ['def', 'f', 'x', 'return', 'x', '1']
    """
    return _TOKEN.findall(text.lower())


def token_hashes(tokens: list[str]) -> Hashes:
    """One 64-bit hash a token."""
    return np.fromiter(map(_token_hash, tokens), dtype=np.uint64, count=len(tokens))


def ngram_hashes(hashes: Hashes, n: int) -> Hashes:
    """Hashes of all n-grams, in order: `len(hashes) - n + 1` of them, or none."""
    count = len(hashes) - n + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        total = np.zeros(count, dtype=np.uint64)
        for k in range(n):
            total = total * _BASE + hashes[k : k + count]
    return total


def text_ngrams(text: str, n: int) -> Hashes:
    """Hashes of all n-grams of a text."""
    return ngram_hashes(token_hashes(tokens_of(text)), n)
