from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.filters import gram_tables
from transforms.filters.gram_tables import GramTable, GramTables, HashBits
from transforms.rows.ngrams import ngram_hashes

VALUES = np.random.default_rng(1).integers(0, 2**64, 6, np.uint64)
TOKENS = st.lists(st.integers(0, 5).map(lambda number: int(VALUES[number])), max_size=60)
KNOWN = st.dictionaries(st.integers(2, 6), TOKENS, max_size=4)


def tables_of(known: dict[int, list[int]]) -> GramTables:
    """All n-grams of each text, with 2 tokens as their heads."""
    heads: set[int] = set()
    by_length = {}
    for n, tokens in known.items():
        hashes = np.array(tokens, np.uint64)
        grams = np.unique(ngram_hashes(hashes, n))
        heads |= set(ngram_hashes(hashes[: len(hashes) - n + 2], 2).tolist() if len(grams) else ())
        by_length[n] = GramTable(grams, np.arange(len(grams), dtype=np.uint32) + np.uint32(100 * n))
    return GramTables(by_length, 2, HashBits.of(np.fromiter(heads, np.uint64)))


def by_hand(tables: GramTables, hashes: np.ndarray) -> set[tuple[int, int, int, int]]:
    return {
        (position, int(owner), gram, n)
        for n, (known, owners) in tables.by_length.items()
        for position, gram in enumerate(ngram_hashes(hashes, n).tolist())
        for owner in owners[known == np.uint64(gram)]
    }


@pytest.mark.parametrize("most", [8, 65_536])
@given(KNOWN, TOKENS)
def test_the_ngrams_found_are_those_that_a_look_at_every_position_finds(most, known, tokens):
    tables, hashes = tables_of(known), np.array(tokens, np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram_tables, "MAX_SUMMED_TOKENS", most)  # so that longer texts are searched in parts
        found = list(map(tuple, tables.find(hashes)))
    assert len(found) == len(set(found))
    assert set(found) == by_hand(tables, hashes)


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_every_known_hash_may_be_known_also_of_tables_that_were_packed_and_merged(some, more):
    first, second = (HashBits.of(np.array(hashes, np.uint64)) for hashes in (some, more))
    merged = HashBits.from_packed(first.packed) | second
    assert merged.places(np.array(some + more, np.uint64)).tolist() == list(range(len(some + more)))
    assert not len(HashBits.of(np.empty(0, np.uint64)).places(np.array(some, np.uint64)))
