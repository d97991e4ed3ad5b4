"""Hashed n-grams of a program's structure: equal for two programs that differ in names, strings, comments and layout.

    total = 0                  words and marks, without strings and comments
    for x in values:           names that are the program's own -> how far back they were used last, 0 for a new one
        total += x
                               0 = 1 for 0 in 0 : 9 + = 5 - each mark is a token, and so are keywords, numbers,
                               names after a dot, and Python's built-in functions

Encoding a name by the distance to its last use is Baker's parameterized matching (STOC 1993): two texts have the same
tokens exactly if one is the other with its names replaced one to one. Uses that are more than `_REACH` tokens back, or
before the function's beginning, don't count, so that a copy has the same tokens wherever it stands.

The arrays and hashes are those of `transforms.rows.ngrams`. Cost: about 50 MB/s, a
third of it for finding strings.
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
from transforms.rows.ngrams import IS_WORD, Hashes, blocks_of, hash_tokens, mixed
from transforms.scanning.lexical import pieces_between, text_spans

_REACH: Final = 64
_BATCH_BYTES: Final = 1 << 15
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
    kind = _kind_of(language)
    batch: list[bytes] = []
    size = 0
    for text in texts:
        data = b" ".join(pieces_between(text.encode("utf-8", "surrogatepass"), language)).lower()
        if batch and size + len(data) >= _BATCH_BYTES:
            yield kind.encode(batch)
            batch, size = [], 0
        batch.append(data)
        size += len(data) + 1
    if batch:
        yield kind.encode(batch)


def from_first_function(hashes: Hashes) -> Hashes:
    """The tokens from the first word on that begins a function; all if there is none.

    What is written before a function, such as imports, is not part of its copies.
    """
    begins = np.flatnonzero(_function_words().among(hashes))
    return hashes[begins[0] :] if len(begins) else hashes


def token_offset(text: str, language: Language, number: int) -> int:
    """The byte at which a text's token of this number begins."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for start, end in text_spans(bytes(data), language):
        data[start:end] = b" " * (end - start)
    return int(_tokens(bytes(data).lower())[1][number])


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

    def encode(self, texts: Sequence[bytes]) -> StructureBatch:
        starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
        data = b"\n".join(texts)
        hashes, offsets = _tokens(data)
        bounds = np.searchsorted(offsets, starts)
        inner = bounds[:-1][bounds[:-1] < len(hashes)]
        is_name = _MAY_BEGIN_NAME.take(np.frombuffer(data, np.uint8).take(offsets)) & ~self.kept.among(hashes)
        is_name &= ~_follows_dot(hashes, inner)
        begins = np.flatnonzero(_function_words().among(hashes) & ~is_name)  # `func` may be a name
        names = np.flatnonzero(is_name)
        floor = np.zeros(len(hashes), np.intp)
        floor[begins] = begins
        floor[inner] = inner
        distance = names - _last_use(hashes[names], names)
        is_new = (distance > _REACH) | (names - distance < np.maximum.accumulate(floor)[names])
        hashes[names] = _distances().take(np.where(is_new, 0, np.minimum(distance, _REACH)))
        return StructureBatch(hashes, bounds.tolist())


def _tokens(data: bytes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    """The hashes and offsets of words and marks."""
    hashes, offsets, before = [], [], 0
    for block in blocks_of(data):
        block_hashes, block_offsets = hash_tokens(block)
        hashes.append(block_hashes)
        offsets.append(block_offsets + before)
        before += len(block)
    words, at = np.concatenate(hashes), np.concatenate(offsets)
    marks = np.flatnonzero(np.frombuffer(data.translate(_MARK_TABLE), np.bool_))
    mark_values = _marks().take(np.frombuffer(data, np.uint8).take(marks))
    values, where = np.concatenate((words, mark_values)), np.concatenate((at, marks))
    order = np.argsort(where, kind="stable")
    return values.take(order), where.take(order)


def _follows_dot(hashes: Hashes, begins: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Which tokens follow a dot of the same text; `begins` are the texts' first tokens."""
    follows = np.zeros(len(hashes), np.bool_)
    follows[1:] = hashes[:-1] == _marks()[ord(".")]
    follows[begins] = False
    return follows


def _last_use(names: Hashes, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The position at which each name was used last; far before the first for a new one."""
    last = np.full(len(names), -2 * _REACH, np.intp)
    order = np.argsort(names, kind="stable")
    ordered = names.take(order)
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    last[order.take(again + 1)] = positions.take(order.take(again))
    return last


_IS_MARK: Final = ~IS_WORD & (np.arange(256) > 32) & (np.arange(256) < 127)
_IS_MARK[list(_SKIPPED)] = False
_MARK_TABLE: Final = _IS_MARK.tobytes()
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
