"""Hashed n-grams of a program's structure: equal for two programs that differ in names, strings, comments and layout.

    total = 0                  words and marks, without strings and comments
    for x in values:           names that are the program's own -> how far back they were used last, 0 for a new one
        total += x
                               0 = 1 for 0 in 0 : 9 + = 5 - each mark is a token, and so are keywords, numbers,
                               names after a dot, and Python's built-in functions

Encoding a name by the distance to its last use is Baker's parameterized matching (STOC 1993): two texts have the same
tokens exactly if one is the other with its names replaced one to one. Uses that are more than `_REACH` tokens back, or
before the function's beginning, don't count, so that a copy has the same tokens wherever it stands.

The words' hashes are those of `transforms.rows.ngrams`, of the entire text: a string or comment begins and ends between
two words, so the words outside have been hashed already. Cost: 10 ns a byte, half of it for finding strings.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.languages.syntax import keywords
from transforms.languages.table import Language
from transforms.rows.ngrams import IS_WORD, Hashes, PlacedTokens, hash_tokens, mixed, placed_tokens
from transforms.scanning.lexical import run_lengths

_REACH: Final = 64
_SKIPPED: Final = b"\\;`"
"""Marks that are not tokens: an optional end of a statement, and what joins lines."""
_FUNCTION_WORDS: Final = (b"def", b"fn", b"func", b"fun", b"function")
"""A function begins here; names that were used before it are new to it."""
_PYTHON_WORDS: Final = (
    "False None True and as assert async await break class continue def del elif else except finally for from global "
    "if import in is lambda nonlocal not or pass raise return try while with yield "
    "abs all any bin bool bytearray bytes callable chr complex dict dir divmod enumerate eval filter float format "
    "frozenset getattr hasattr hash hex id input int isinstance issubclass iter len list map max min next object oct "
    "open ord pow print property range repr reversed round set setattr slice sorted str sum super tuple type vars zip "
    "self cls Any Callable Dict Iterable Iterator List Mapping Optional Sequence Set Tuple Union"
)
"""Not those of the Python that runs: the hashes of the public benchmarks are made with these."""


class StructureBatch(NamedTuple):
    """The tokens of several texts, one text after another.

    Args:
        hashes: One 64-bit hash per token.
        bounds: Text `i` has the tokens from `bounds[i]` to `bounds[i + 1]`.
    """

    hashes: Hashes
    bounds: Sequence[int]


def structure_batches(texts: Iterable[str], language: Language) -> Iterator[StructureBatch]:
    """The tokens of many texts in one language. Short texts that follow each other come in one batch."""
    return (structure_of(batch, language) for batch in placed_tokens(texts))


def structure_of(batch: PlacedTokens, language: Language) -> StructureBatch:
    """The tokens of texts whose words are hashed."""
    tokens = _tokens(batch, language)
    bounds = np.searchsorted(tokens.offsets, batch.offsets)
    return StructureBatch(_kind_of(language).encode(tokens, bounds), bounds.tolist())


def from_first_function(hashes: Hashes) -> Hashes:
    """The tokens from the first word on that begins a function; all if there is none.

    What is written before a function, such as imports, is not part of its copies.
    """
    begins = np.flatnonzero(_function_words().among(hashes))
    return hashes[begins[0] :] if len(begins) else hashes


def token_offset(text: str, language: Language, number: int) -> int:
    """The byte at which a text's token of this number begins."""
    (batch,) = placed_tokens([text])
    return int(_tokens(batch, language).offsets[number])


class _Words:
    """A set of words, by their hashes. The leading bits of a hash tell the one word that it may be."""

    def __init__(self, words: Iterable[bytes]):
        hashes = np.unique(hash_tokens(b" ".join(words))[0])
        bits = next(n for n in range(8, 64) if len(np.unique(hashes >> np.uint64(64 - n))) == len(hashes))
        self._shift = np.uint64(64 - bits)
        self._words = np.zeros(1 << bits, np.uint64)
        self._words[hashes >> self._shift] = hashes

    def among(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which of some hashes are those of words."""
        return np.asarray(self._words.take((hashes >> self._shift).view(np.int64)) == hashes)


@dataclass(frozen=True)
class _Kind:
    """How programs in a language are encoded. `kept`: its words that no one renames."""

    kept: _Words

    def encode(self, tokens: _Tokens, bounds: npt.NDArray[np.intp]) -> Hashes:
        """Replaces names by how far back they were used last; text `i` has the tokens from `bounds[i]` on."""
        hashes, inner = tokens.hashes, bounds[:-1][bounds[:-1] < len(tokens.hashes)]
        is_name = _MAY_BEGIN_NAME.take(tokens.first_bytes) & ~self.kept.among(hashes)
        is_name &= ~_follows_dot(hashes, inner)
        begins = np.flatnonzero(_function_words().among(hashes) & ~is_name)  # `func` may be a name
        names = np.flatnonzero(is_name)
        floor = np.zeros(len(hashes), np.intp)
        floor[begins] = begins
        floor[inner] = inner
        distance = names - _last_use(hashes.take(names), names)
        is_new = (distance > _REACH) | (names - distance < np.maximum.accumulate(floor).take(names))
        hashes[names] = _distances().take(np.where(is_new, 0, np.minimum(distance, _REACH)))
        return hashes


class _Tokens(NamedTuple):
    """The words and marks of texts outside of strings and comments: hashes, offsets, and the first byte of each."""

    hashes: Hashes
    offsets: npt.NDArray[np.intp]
    first_bytes: npt.NDArray[np.uint8]


def _tokens(batch: PlacedTokens, language: Language) -> _Tokens:
    lengths: list[int] = []
    for text in batch.texts:
        lengths += run_lengths(text, language)
        lengths.append(1)  # the line break between two texts
    lengths.pop()
    in_turn = np.zeros(len(lengths), np.uint8)
    in_turn[::2] = 255
    kinds = np.frombuffer(batch.data.translate(_KINDS), np.uint8) & in_turn.repeat(lengths)
    begins = np.empty(len(kinds), np.bool_)  # a mark, or the first byte of a word
    begins[:1] = kinds[:1]
    np.greater(kinds[1:], kinds[:-1] & _WORD, out=begins[1:])
    offsets = np.flatnonzero(begins)
    first_bytes = np.frombuffer(batch.data, np.uint8).take(offsets)
    hashes = _marks().take(first_bytes)
    hashes[IS_WORD.take(first_bytes)] = batch.hashes[begins.take(batch.starts)]
    return _Tokens(hashes, offsets, first_bytes)


def _follows_dot(hashes: Hashes, begins: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Which tokens follow a dot of the same text; `begins` are the texts' first tokens."""
    follows = np.zeros(len(hashes), np.bool_)
    follows[1:] = hashes[:-1] == _marks()[ord(".")]
    follows[begins] = False
    return follows


def _last_use(names: Hashes, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The position at which each name was used last; far before the first for a new one.

    The last bits of each hash are replaced by the name's number, so that sorting brings equal names together in their
    order: six times as fast as sorting numbers by hashes.
    """
    last = np.full(len(names), -2 * _REACH, np.intp)
    numbers = np.uint64((1 << len(names).bit_length()) - 1)
    ordered = (names & ~numbers) | np.arange(len(names), dtype=np.uint64)
    ordered.sort()
    order = (ordered & numbers).view(np.int64)
    uses = names.take(order)
    again = np.flatnonzero(uses[1:] == uses[:-1])
    last[order.take(again + 1)] = positions.take(order.take(again))
    return last


_IS_MARK: Final = ~IS_WORD & (np.arange(256) > 32) & (np.arange(256) < 127)
_IS_MARK[list(_SKIPPED)] = False
_WORD: Final = np.uint8(1)
_KINDS: Final = (IS_WORD + 2 * _IS_MARK).astype(np.uint8).tobytes()
"""The kind of each byte: 1 for what words have, 2 for marks, else 0."""
_MAY_BEGIN_NAME: Final = IS_WORD & ((np.arange(256) < 48) | (np.arange(256) > 57))


@functools.cache
def _marks() -> Hashes:
    """A hash for each mark."""
    return mixed(np.arange(256, dtype=np.uint64) + np.uint64(1 << 32))


@functools.cache
def _distances() -> Hashes:
    """A hash for each distance to a name's last use."""
    return mixed(np.arange(_REACH + 1, dtype=np.uint64) + np.uint64(1 << 33))


@functools.cache
def _kind_of(language: Language) -> _Kind:
    words = _PYTHON_WORDS.split() if language.name == "Python" else keywords(language.reader)
    return _Kind(_Words(word.lower().encode() for word in words))


@functools.cache
def _function_words() -> _Words:
    return _Words(_FUNCTION_WORDS)
