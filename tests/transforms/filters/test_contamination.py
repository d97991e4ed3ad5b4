from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.filters.contamination import BenchmarkIndex, build_index, merge_indexes
from transforms.rows.ngrams import tokens_of

WORDS = [f"w{number}" for number in range(40)]
ITEMS = [
    ("set", "long", " ".join(WORDS[:20])),
    ("set", "short", " ".join(WORDS[20:28])),
    ("set", "other", " ".join(WORDS[10:16] + WORDS[30:40])),
]
INDEX = build_index(ITEMS)
PIECES = st.lists(st.integers(0, 39).flatmap(lambda at: st.integers(1, 20).map(lambda n: " ".join(WORDS[at : at + n]))))
TEXTS = st.lists(PIECES.map("\n".join), max_size=6)


def found_by_hand(text: str) -> dict[str, tuple[int, int]]:
    """The number of an item's n-grams in a text, and where the first one is."""
    tokens, found = tokens_of(text), {}
    for _, name, item in ITEMS:
        words = tokens_of(item)
        n = min(12, len(words))
        grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
        at = [i for i in range(len(tokens) - n + 1) if tuple(tokens[i : i + n]) in grams]
        if at:
            found[name] = (len(at), at[0])
    return found


@given(TEXTS)
def test_texts_searched_together_have_the_items_that_counting_finds(texts):
    found = [{c.item: (c.num_ngrams, c.first_token) for c in items} for items in INDEX.find_all(texts)]
    assert found == [found_by_hand(text) for text in texts]


@pytest.mark.parametrize("at", range(1, 8))
def test_an_item_that_is_cut_in_two_texts_is_in_neither(at):
    words = WORDS[20:28]
    assert INDEX.find_all([" ".join(words[:at]), " ".join(words[at:])]) == [[], []]
    assert [len(found) for found in INDEX.find_all(["", " ".join(words), ""])] == [0, 1, 0]


def test_an_index_without_items_finds_nothing():
    assert BenchmarkIndex({}, ()).find_all(["a b c", ""]) == [[], []]
    assert merge_indexes(BenchmarkIndex({}, ()), INDEX).find(ITEMS[1][2]) == INDEX.find(ITEMS[1][2])
