from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates.batches import ABOUT, KEY, SignedTexts
from transforms.duplicates.short_keys import ShortKeys, sharing

key = st.integers(0, (1 << 64) - 1)
texts = st.dictionaries(st.integers(0, 30), st.one_of(st.just([7]), st.lists(key, min_size=17, max_size=17)))


def signed(keys: dict[int, list[int]]) -> SignedTexts:
    pairs = [(one, number) for number, some in keys.items() for one in some]
    return SignedTexts(np.empty(0, ABOUT), np.array(pairs, KEY), "")


@settings(max_examples=40, deadline=None)
@given(texts, st.lists(key, max_size=5), st.data())
def test_a_text_is_found_by_any_of_its_keys_and_no_other_text_is(tmp_path_factory, keys, others, data):
    short = ShortKeys(str(tmp_path_factory.mktemp("keys")), 31)
    short.add(signed(keys))
    numbers = np.arange(31)
    assert short.has(numbers).nonzero()[0].tolist() == sorted(keys)
    stored = short.of(numbers)
    low = {number: {one & 0xFFFFFFFF for one in some} for number, some in keys.items()}
    assert set(short.distinct().tolist()) == set().union(*low.values())
    known = [one for some in keys.values() for one in some]
    asked = [*others, *(data.draw(st.lists(st.sampled_from(known), max_size=3)) if known else [])]
    wanted = np.unique(np.array([one & 0xFFFFFFFF for one in asked], np.uint32))
    expected = [number for number in sorted(low) if low[number] & set(wanted.tolist())]
    assert sharing(stored, wanted).tolist() == expected
    start = data.draw(st.integers(0, 31))  # a part of a column has an offset
    assert (sharing(stored.slice(start), wanted) + start).tolist() == [n for n in expected if n >= start]


def test_nothing_shares_a_key_with_nothing():
    assert sharing(pa.array([], pa.binary()), np.array([1], np.uint32)).tolist() == []
    assert sharing(pa.array([b"\1\0\0\0"]), np.empty(0, np.uint32)).tolist() == []
