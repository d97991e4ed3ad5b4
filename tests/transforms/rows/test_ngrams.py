from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows import ngrams
from transforms.rows.ngrams import TokenSums, ngram_hashes, placed_tokens, token_batches, token_hashes, tokens_of

TEXTS = st.lists(st.text(st.sampled_from("aB_0 \n-.é中\ud800"), max_size=40), max_size=12)


def split(texts: list[str]) -> list[list[int]]:
    found = []
    for batch in token_batches(texts):
        pairs = zip(batch.bounds, batch.bounds[1:], strict=False)
        found += [batch.hashes[first:last].tolist() for first, last in pairs]
    return found


@given(TEXTS)
def test_texts_hashed_together_have_the_hashes_of_each_alone(texts):
    assert split(texts) == [token_hashes(text).tolist() for text in texts]


@given(TEXTS, st.integers(2, 60))
def test_batches_may_end_after_any_text(texts, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "_BATCH_BYTES", size)
        assert split(texts) == [token_hashes(text).tolist() for text in texts]


@pytest.mark.parametrize("length", [32_766, 32_767, 32_768, 65_535, 65_536, 65_537, 140_000])
def test_long_tokens_are_split_alike_alone_and_among_others(length):
    texts = ["a b", "x" * length, " " + "y" * length + " z", "c"]
    assert split(texts) == [token_hashes(text).tolist() for text in texts]


@given(st.text(st.sampled_from("aB_0 \n-.é"), max_size=60))
def test_equal_tokens_have_equal_hashes_and_others_differ(text):
    tokens, hashes = tokens_of(text), token_hashes(text).tolist()
    assert len(hashes) == len(tokens)
    assert len(set(hashes)) == len(set(tokens)) == len(set(zip(tokens, hashes, strict=True)))


@given(TEXTS)
def test_each_token_is_where_its_batch_says(texts):
    for batch in placed_tokens(texts):
        for number, text in enumerate(batch.texts):
            first, last = batch.bounds[number], batch.bounds[number + 1]
            places = [batch.data[start : batch.offsets[number] + len(text)] for start in batch.starts[first:last]]
            tokens = [
                token.encode("utf-8", "surrogatepass") for token in tokens_of(text.decode("utf-8", "surrogatepass"))
            ]
            assert all(place.startswith(token) for place, token in zip(places, tokens, strict=True))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.lists(st.integers(1, 20), max_size=4, unique=True))
def test_prefix_sums_give_the_hashes_of_all_ngrams(values, lengths):
    hashes = np.array(values, dtype=np.uint64)
    sums = TokenSums(hashes)
    assert [sums.ngrams(n).tolist() for n in lengths] == [ngram_hashes(hashes, n).tolist() for n in lengths]
    some = sums.ngrams_at(np.arange(len(hashes)), np.array(lengths, np.int64))
    assert [row[: max(0, len(hashes) - n + 1)].tolist() for row, n in zip(some, lengths, strict=True)] == [
        ngram_hashes(hashes, n).tolist() for n in lengths
    ]
