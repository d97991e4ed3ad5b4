from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates import batches
from transforms.duplicates.batches import GramsFile, sign_texts
from transforms.duplicates.signatures import MAX_VERIFIED_NGRAMS, sign

TEXTS = st.text(alphabet="aB1_ \n.é", max_size=60) | st.sampled_from(["", "a b c d", "a b c d e", "x" * 70_000])


def check_against_one_by_one(folder, texts: list[str]) -> None:
    """Compares a batch with `sign` of each text."""
    file = GramsFile(str(folder))
    signed = sign_texts(range(7, 7 + len(texts)), [text.encode() for text in texts], file)
    file.close()
    path = os.path.join(folder, file.name)
    grams = np.fromfile(path, "<u8") if os.path.exists(path) else np.empty(0, "<u8")
    keys: dict[int, list[int]] = {}
    for key, text in signed.keys.tolist():
        keys.setdefault(text, []).append(key)
    assert signed.about["number"].tolist() == list(range(7, 7 + len(texts)))
    for about, text in zip(signed.about, texts, strict=True):
        one = sign("", text)
        start = int(about["start"])
        assert bytes(about["exact"]).hex() == one.exact and bytes(about["normal"]).hex() == one.normal
        assert about["num_tokens"] == one.num_tokens
        assert np.array_equal(grams[start : start + int(about["num_grams"])], one.ngrams)
        assert sorted(keys[about["number"]]) == sorted([*one.bands, int(one.normal[:16], 16)])


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=12), st.sampled_from([1, 50, 1 << 20]))
def test_a_batch_signs_each_text_as_if_it_were_alone(tmp_path_factory, texts, batch_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_BATCH_BYTES", batch_bytes)
        check_against_one_by_one(tmp_path_factory.mktemp("batch"), texts)


def test_only_the_smallest_grams_of_a_long_text_are_stored(tmp_path):
    long = " ".join(f"w{number}" for number in range(MAX_VERIFIED_NGRAMS + 500))
    check_against_one_by_one(tmp_path, ["a b c d e f", long, "f e d c b a", long + " more"])


def test_texts_with_too_few_tokens_are_left_out(tmp_path):
    file = GramsFile(str(tmp_path))
    signed = sign_texts([3, 4, 5], [b"a b c d e f", b"a b", b"g h i j k l m"], file, min_tokens=3)
    file.close()
    assert signed.about["number"].tolist() == [3, 5]
    assert set(signed.keys["text"].tolist()) == {3, 5} and len(signed.keys) == 2 * 17
