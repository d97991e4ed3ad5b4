"""Checks of generated code: echoes of the suffix and control text."""

from __future__ import annotations

import pytest

from transforms.checks import echoes_suffix, edit_similarity, has_control_text, is_exact_match


def test_exact_match_ignores_blanks_at_the_ends_only():
    assert is_exact_match("  x = 1\n", "x = 1")
    assert not is_exact_match("x  = 1", "x = 1")


def test_edit_similarity_is_one_for_equal_texts_and_zero_for_disjoint_ones():
    assert edit_similarity("same", "same") == 1.0
    assert edit_similarity("abc", "xyz") == 0.0
    assert edit_similarity("", "") == 1.0


SUFFIX = "\n    return combine(first, second)\n\nprint(1)\n"


@pytest.mark.parametrize(
    ("generated", "is_echo"),
    [
        ("x = 1", False),
        ("x = 1\n    return combine(first, second)", True),
        ("x = 1\n    return combine(first", True),
        ("x = 1\n    return comb", False),  # nine characters without the indentation: too short to decide
        ("x = 1\nreturn combine(first, second)\ny = 2", True),
        ("x = combine(first, second)", False),
        ("", False),
    ],
)
def test_an_echo_repeats_the_beginning_of_the_suffix(generated, is_echo):
    assert echoes_suffix(generated, "x = 0", SUFFIX) is is_echo


def test_an_echo_that_the_original_has_too_is_none():
    repeated = "    values.append(value)\n"
    assert not echoes_suffix(repeated * 2, repeated * 3, repeated)


def test_control_text_counts_only_where_the_file_has_none_of_it():
    names = ["<|fim_suffix|>", "<eos>"]
    assert has_control_text("a <|fim_suffix|>", "no such thing", names)
    assert not has_control_text("a <eos>", "tokens = ['<eos>']", names)
