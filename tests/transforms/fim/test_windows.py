"""Windows are whole lines around the hole, within the budget, and never cut in silence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import RecordError
from transforms.fim.windows import fit_window


class CharEncoder:
    """One token per character; counts what it was asked to encode."""

    splits_at_newlines = True

    def __init__(self):
        self.chars = 0

    def encode(self, text):
        self.chars += len(text)
        return [ord(char) for char in text]


def test_what_fits_is_not_cut():
    window = fit_window(CharEncoder(), "ab\ncd\nef", 3, 5, 6)
    assert (window.prefix_start, window.suffix_end, window.is_windowed) == (0, 8, False)


def test_each_side_keeps_the_lines_nearest_the_hole():
    text = "".join(f"{n:03d}\n" for n in range(100))
    start = text.index("050")
    window = fit_window(CharEncoder(), text, start, start + 3, 30)
    assert text[window.prefix_start : start] == "045\n046\n047\n048\n049\n"
    assert text[start + 3 : window.suffix_end] == "\n051\n052\n"
    assert window.is_windowed


def test_a_side_gets_what_the_other_cannot_use():
    text = "x\n" * 50
    at_start = fit_window(CharEncoder(), text, 0, 1, 21)
    at_end = fit_window(CharEncoder(), text, len(text) - 2, len(text), 20)
    assert (at_start.suffix_end, at_end.prefix_start) == (22, len(text) - 22)


def test_a_hole_whose_own_line_is_too_long_is_refused_with_its_length():
    with pytest.raises(RecordError, match=r"at least 100 tokens of context, the limit is 50") as raised:
        fit_window(CharEncoder(), "a" * 60 + "HOLE" + "b" * 40, 60, 64, 50)
    assert raised.value.reason == "prompt_too_long"


def test_a_long_line_far_from_the_hole_ends_the_window():
    text = "a" * 500 + "\nhole\nb\n"
    window = fit_window(CharEncoder(), text, 501, 505, 50)
    assert (window.prefix_start, window.suffix_end) == (501, len(text))


def test_a_large_file_is_not_encoded_whole():
    encoder = CharEncoder()
    text = "some line of code\n" * 100_000
    fit_window(encoder, text, 900_000, 900_001, 100)
    assert encoder.chars < 2_000


class FourCharEncoder(CharEncoder):
    """One token for four characters of a line, as code has them."""

    def encode(self, text):
        self.chars += len(text)
        return [len(piece) for piece in re.findall(r"\n|[^\n]{1,4}", text)]


def test_no_line_is_encoded_twice_but_the_farthest():
    encoder = FourCharEncoder()
    text = "some line of code\n" * 1000
    window = fit_window(encoder, text, 9_000, 9_001, 900)
    assert encoder.chars < (window.suffix_end - window.prefix_start) + 5 * len("some line of code\n")


def test_what_one_side_leaves_over_is_too_little_for_another_line():
    text = "".join(f"{'x' * (n % 7)}\n" for n in range(200))
    for start in range(100, 400, 7):
        window = fit_window(CharEncoder(), text, start, start + 1, 60)
        left = 60 - len(window.prefix_ids) - len(window.suffix_ids)
        next_line = text[text.rfind("\n", 0, window.prefix_start - 1) + 1 : window.prefix_start]
        assert left < len(next_line) + 7


def test_a_hopelessly_long_line_is_not_encoded():
    encoder = CharEncoder()
    window = fit_window(encoder, "a" * 2_000_000 + "\nhole\n", 2_000_001, 2_000_005, 100)
    assert encoder.chars < 200
    assert window.prefix_start == 2_000_001


TEXTS = st.lists(st.sampled_from(["a", "\n", "\r\n", "\r", "é", "\U0001f600", "    ", "\n\n\n"]), max_size=60).map(
    "".join
)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, data=st.data(), budget=st.integers(1, 60))
def test_a_window_fits_its_budget_and_begins_and_ends_at_line_breaks(small_tokenizer, text, data, budget):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    try:
        window = fit_window(small_tokenizer, text, start, end, budget)
    except RecordError as error:
        assert error.reason == "prompt_too_long"
        return
    end_of_line = "\n" if "\n" in text else "\r"
    assert len(window.prefix_ids) + len(window.suffix_ids) <= budget
    assert window.prefix_ids == small_tokenizer.encode(text[window.prefix_start : start])
    assert window.suffix_ids == small_tokenizer.encode(text[end : window.suffix_end])
    assert small_tokenizer.decode(window.prefix_ids) == text[window.prefix_start : start]
    assert small_tokenizer.decode(window.suffix_ids) == text[end : window.suffix_end]
    assert window.prefix_start == 0 or text[window.prefix_start - 1] == end_of_line
    assert window.suffix_end == len(text) or text[window.suffix_end - 1] == end_of_line
    assert window.is_windowed == (window.prefix_start > 0 or window.suffix_end < len(text))
