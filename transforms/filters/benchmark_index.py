"""Finds benchmark problems in a text by hashed 12-grams of the public sets and of the user's own sets.

codemill ships hashes and item names, but no benchmark text (`benchmark_ngrams.npz`, written by `python -m
transforms.filters.contamination_index`). An item of 8 to 11 tokens is one n-gram of that length, so the text must
contain all of it. N-grams shared by three or more problems are boilerplate, those of numbers, letters and the like are
enumerations; both are excluded from the index. 12 tokens is the minimum that GPT-3 used (Brown et al. 2020,
arXiv:2005.14165, appendix C).

A finding contains its evidence: the benchmark, the item, the number of shared n-grams, and the position in the text.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError
from transforms.filters.gram_tables import GramTable, GramTables, HashBits
from transforms.rows.ngrams import (
    Hashes,
    PlacedTokens,
    TokenBatch,
    ngram_hashes,
    token_batches,
    token_hashes,
    tokens_of,
)

NGRAM_TOKENS = 12
MIN_ITEM_TOKENS = 8
BOILERPLATE_ITEMS = 3
MIN_DISTINCT_TOKENS = 7  # sequences such as "0, 1, 2, 3, 0, 1, ..." are not specific to a problem
MIN_WORDS, MIN_DISTINCT_WORDS = 4, 3  # neither are lists of primes, of letters, or of one word with many numbers
_WORD = re.compile(r"(?![0-9a-f]{2}\Z|0x)(?=.*[^\W\d_])..+")  # no letter, number or two hexadecimal digits
_LISTED = frozenset(
    b"zero one two three four five six seven eight nine ten eleven twelve first second third monday tuesday wednesday "
    b"thursday friday saturday sunday mon tue wed thu fri sat sun january february march april may june july august "
    b"september october november december jan feb mar apr jun jul aug sep oct nov dec alpha beta gamma delta epsilon"
    .decode().split()
)  # fmt: skip
"""Words that are enumerated: no one's text, like the numbers."""
_NO_HEADS = HashBits.of(np.empty(0, np.uint64))
PUBLIC_INDEX = Path(__file__).parent / "benchmark_ngrams.npz"


@dataclass(frozen=True, slots=True)
class Contamination:
    """A benchmark item found in a text.

    Args:
        benchmark, item: Their names, e.g. `HumanEval`, `HumanEval/12`.
        num_ngrams: Number of different n-grams of the text that belong to the item.
        first_token: Index of the first matching token in the text's normalized tokens.
    """

    benchmark: str
    item: str
    num_ngrams: int
    first_token: int


class _Tally:
    """The different n-grams of one text that belong to items, by item."""

    def __init__(self) -> None:
        self._grams: dict[int, set[int]] = {}
        self._first: dict[int, int] = {}

    def add(self, owner: int, gram: int, position: int) -> None:
        self._grams.setdefault(owner, set()).add(gram)
        self._first[owner] = min(self._first.get(owner, position), position)

    def items(self, index: BenchmarkIndex, min_ngrams: int) -> list[Contamination]:
        found = [
            Contamination(*index.items[i], len(grams), self._first[i])
            for i, grams in self._grams.items()
            if len(grams) >= _needed(int(index.sizes[i]), min_ngrams)
        ]
        return sorted(found, key=lambda c: (-c.num_ngrams, c.benchmark, c.item))


@dataclass(frozen=True)
class BenchmarkIndex:
    """Sorted n-gram hashes by n-gram length, each with the item that it belongs to.

    Args:
        by_length: For each n-gram length, sorted hashes and the item index of each.
        items: `(benchmark, item)` by index.
        heads: Their first `MIN_ITEM_TOKENS` tokens.
    """

    by_length: dict[int, tuple[Hashes, np.ndarray]]
    items: tuple[tuple[str, str], ...]
    heads: HashBits = _NO_HEADS

    @functools.cached_property
    def _tables(self) -> GramTables:
        tables = {n: GramTable(*columns) for n, columns in self.by_length.items()}
        return GramTables(tables, MIN_ITEM_TOKENS, self.heads)

    @functools.cached_property
    def sizes(self) -> npt.NDArray[np.intp]:
        """The number of n-grams of each item in the index."""
        sizes = np.zeros(len(self.items), np.intp)
        for _, owners in self.by_length.values():
            sizes += np.bincount(owners, minlength=len(self.items))
        return sizes

    @functools.cached_property
    def _size_by_name(self) -> dict[tuple[str, str], int]:
        return dict(zip(self.items, self.sizes.tolist(), strict=True))

    def is_enough(self, found: Contamination, min_ngrams: int) -> bool:
        """Whether a text contains `min_ngrams` n-grams of an item, or all of an item that has fewer."""
        return found.num_ngrams >= _needed(self._size_by_name[found.benchmark, found.item], min_ngrams)

    def find(self, text: str, *, min_ngrams: int = 1) -> list[Contamination]:
        """Items of which a text contains at least `min_ngrams` different n-grams, or all if it has fewer, in
        descending order of that number."""
        return self.find_all([text], min_ngrams=min_ngrams)[0]

    def find_all(self, texts: Sequence[str], *, min_ngrams: int = 1) -> list[list[Contamination]]:
        """Returns `find(text)` for each text; for many short texts this is several times as fast."""
        return [found for batch in token_batches(texts) for found in self.find_in(batch, min_ngrams=min_ngrams)]

    def find_in(self, batch: TokenBatch | PlacedTokens, *, min_ngrams: int = 1) -> list[list[Contamination]]:
        """The same for texts whose tokens are hashed."""
        bounds, tallies = batch.bounds, dict[int, _Tally]()
        for hit in self._tables.find(batch.hashes):
            text = bisect.bisect_right(bounds, hit.position) - 1
            if hit.position + hit.n <= bounds[text + 1]:  # not across two texts
                tallies.setdefault(text, _Tally()).add(hit.owner, hit.gram, hit.position - bounds[text])
        return [tallies[text].items(self, min_ngrams) if text in tallies else [] for text in range(len(bounds) - 1)]

    def arrays(self) -> dict[str, Any]:
        """The index as arrays of an `npz` file: only hashes and names."""
        made: dict[str, Any] = {f"hashes_{n}": known for n, (known, _) in self.by_length.items()}
        made |= {f"owners_{n}": owners for n, (_, owners) in self.by_length.items()}
        return made | {"items": np.array(["\t".join(item) for item in self.items]), "heads": self.heads.packed}


def _needed(size: int, min_ngrams: int) -> int:
    """How many n-grams of an item with `size` of them are enough."""
    return min(size, min_ngrams)


def build_index(texts: list[tuple[str, str, str]]) -> BenchmarkIndex:
    """Builds an index from `(benchmark, item, text)`; several texts may belong to one item."""
    items = sorted({(benchmark, item) for benchmark, item, _ in texts})
    number = {item: index for index, item in enumerate(items)}
    grams: dict[int, dict[int, set[int]]] = {}
    heads: dict[int, int] = {}
    for benchmark, item, text in texts:
        hashes = token_hashes(text)
        n = min(NGRAM_TOKENS, len(hashes))
        if n < MIN_ITEM_TOKENS:
            continue
        tokens, head_at = tokens_of(text), ngram_hashes(hashes, MIN_ITEM_TOKENS).tolist()
        for at, value in enumerate(ngram_hashes(hashes, n).tolist()):
            if _is_enumeration(tokens[at : at + n]):
                continue
            heads[value] = head_at[at]
            grams.setdefault(n, {}).setdefault(value, set()).add(number[benchmark, item])
    by_length = {}
    for n, owners_of in sorted(grams.items()):
        telling = sorted(
            (value, min(owners)) for value, owners in owners_of.items() if _problems(owners, items) < BOILERPLATE_ITEMS
        )
        by_length[n] = (
            np.array([value for value, _ in telling], dtype=np.uint64),
            np.array([owner for _, owner in telling], dtype=np.uint32),
        )
    telling_heads = {heads[value] for known, _ in by_length.values() for value in known.tolist()}
    return BenchmarkIndex(by_length, tuple(items), HashBits.of(np.fromiter(telling_heads, np.uint64)))


def _is_enumeration(tokens: Sequence[str]) -> bool:
    """Whether an n-gram lists numbers, letters or the like, so that any text may contain it.

    >>> _is_enumeration("0 1 2 3 4 5 6 7 8 9 a b".split())
    True
    >>> _is_enumeration("def add a b return the sum of a and b".split())
    False
    """
    if len(set(tokens)) < MIN_DISTINCT_TOKENS:
        return True
    words = [token for token in tokens if _WORD.fullmatch(token) and token not in _LISTED]
    return len(words) < MIN_WORDS or len(set(words)) < MIN_DISTINCT_WORDS


def _problems(owners: set[int], items: list[tuple[str, str]]) -> int:
    """Number of different problems that share an n-gram; all languages and splits of one problem count once."""
    return len({problem_of(items[owner][1]) for owner in owners})


def problem_of(item: str) -> str:
    """The name that all splits and languages of one problem share: what stands before the `#`."""
    return item.partition("#")[0]


@contextlib.contextmanager
def reading_index(path: Path) -> Iterator[Any]:
    """The arrays of an index file. Raises ConfigError if it or one of them can't be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"benchmark index {path}: {error}") from None


def load_index(path: Path = PUBLIC_INDEX) -> BenchmarkIndex:
    """Reads an index. Raises ConfigError."""
    with reading_index(path) as arrays:
        lengths = sorted(int(name[7:]) for name in arrays.files if name.startswith("hashes_"))
        by_length = {n: (arrays[f"hashes_{n}"], arrays[f"owners_{n}"]) for n in lengths}
        items = tuple((line.partition("\t")[0], line.partition("\t")[2]) for line in arrays["items"].tolist())
        heads = HashBits.from_packed(arrays["heads"])
    return BenchmarkIndex(by_length, items, heads)


def merge_indexes(*indexes: BenchmarkIndex) -> BenchmarkIndex:
    """Merges several indexes, such as the public one and a user's own."""
    items: list[tuple[str, str]] = []
    parts: dict[int, list[tuple[Hashes, np.ndarray]]] = {}
    for index in indexes:
        for n, (known, owners) in index.by_length.items():
            parts.setdefault(n, []).append((known, owners + np.uint32(len(items))))
        items += index.items
    by_length = {}
    for n, pairs in parts.items():
        known, owners = np.concatenate([k for k, _ in pairs]), np.concatenate([o for _, o in pairs])
        order = np.argsort(known, kind="stable")
        by_length[n] = (known[order], owners[order])
    heads = functools.reduce(operator.or_, (index.heads for index in indexes), _NO_HEADS)
    return BenchmarkIndex(by_length, tuple(items), heads)
