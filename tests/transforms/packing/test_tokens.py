"""A part's ids are the ids of the part encoded alone, and no character is encoded twice but at its ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.packing import tokens
from transforms.packing.tokens import TextTokens

PIECES = [
    "\n",
    "\n\n\n",
    "    ",
    "x = 1\n",
    "é\U0001f600",
    "\u2581",
    "<|fim_middle|>",
    "\r\n",
    "value_",
    "\t",
    "\ufeff",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, block=st.integers(1, 40), data=st.data())
def test_a_part_has_the_ids_that_it_has_alone(small_tokenizer, text, block, data):
    assert small_tokenizer.splits_at_newlines
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "BLOCK_CHARS", block)
        found = TextTokens(small_tokenizer, text)
        for _ in range(4):
            start = data.draw(st.integers(0, len(text)))
            end = data.draw(st.integers(start, len(text)))
            ids = found.encode(start, end).tolist()
            assert small_tokenizer.decode(ids) == text[start:end]
            if max(map(len, text.split("\n"))) < block:  # a longer line may be cut
                assert ids == small_tokenizer.encode(text[start:end])


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, block=st.integers(1, 40))
def test_counts_are_those_of_the_text_up_to_each_line(small_tokenizer, text, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "BLOCK_CHARS", block)
        found = TextTokens(small_tokenizer, text)
        ends = [place + 1 for place, char in enumerate(text) if char == "\n"] + [len(text)]
        counts = found.counts(ends).tolist()
        assert counts == sorted(counts) and counts[-1] == len(found.encode(0, len(text)))
        for end, count in zip(ends, counts, strict=True):
            assert len(small_tokenizer.encode(text[:end])) - 3 <= count


def test_the_lines_of_a_file_are_encoded_once(small_tokenizer, monkeypatch):
    text = "".join(f"value_{number} = compute({number})\n" for number in range(4000))
    encoded = []
    encode = type(small_tokenizer).encode
    monkeypatch.setattr(
        type(small_tokenizer), "encode", lambda self, part: encoded.append(len(part)) or encode(self, part)
    )
    found = TextTokens(small_tokenizer, text)
    for start in range(0, len(text) - 1000, 1000):
        found.encode(start, start + 1000)
        found.counts([start + 500])
    assert sum(encoded) < 1.2 * len(text)
