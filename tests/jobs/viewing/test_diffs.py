"""Diffs, middles in their place, and values."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.terminal.escapes import shown_lines
from jobs.viewing.blocks import CONTEXT, FAINT, GENERATED, ORIGINAL, Lines, Value
from jobs.viewing.diffs import diff_lines
from jobs.viewing.layout import blocks_of
from jobs.viewing.middle import middle_in_place

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)
CODE = st.text("ab \n", max_size=12)


@given(LINES, LINES)
def test_the_old_and_the_new_text_can_be_read_out_of_their_diff(old, new):
    found = list(diff_lines(old, new))
    assert [line for mark, line in found if mark != GENERATED] == old
    assert [line for mark, line in found if mark != ORIGINAL] == new


@given(CODE, CODE, CODE, CODE)
def test_a_middle_in_its_place_shows_the_file_before_and_after(prefix, original, generated, suffix):
    row = {"prefix": prefix, "original_middle": original, "generated_middle": generated, "suffix": suffix}
    block = next(middle_in_place(row, 100))
    assert isinstance(block, Lines)
    marks = {mark for mark, _ in block.lines}
    before = [line for mark, line in block.lines if mark != GENERATED]
    after = [line for mark, line in block.lines if mark != ORIGINAL]
    assert after == shown_lines(prefix + generated + suffix)
    if original != generated:
        assert before == shown_lines(prefix + original + suffix)
        assert marks - {CONTEXT} or before == after  # a line break at the end of the file is not shown


@given(CODE, CODE, CODE, st.booleans())
def test_a_middle_without_another_to_compare_marks_the_lines_that_it_touches(prefix, middle, suffix, is_known):
    row = {
        "prefix": prefix,
        "generated_middle": middle,
        "suffix": suffix,
        "original_middle": middle if is_known else None,
    }
    block = next(middle_in_place(row, 100))
    assert isinstance(block, Lines)
    assert [line for _, line in block.lines] == shown_lines(prefix + middle + suffix)
    first = prefix.count("\n")
    touched = range(first, first + len(shown_lines(f"{prefix}{middle}".split("\n", first)[-1])) if middle else first)
    assert [number for number, (mark, _) in enumerate(block.lines) if mark == GENERATED] == list(touched)


def test_lines_that_recur_in_a_long_text_do_not_make_a_diff_slow(monkeypatch):
    chosen = []

    class Matcher(difflib.SequenceMatcher):
        def __init__(self, *args, autojunk):
            chosen.append(autojunk)
            super().__init__(*args, autojunk=autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", Matcher)
    for size, is_bounded in ((500, False), (5_000, True)):
        found = list(diff_lines(["}", "x"] * 100, ["}"] * size))
        assert [line for mark, line in found if mark != ORIGINAL] == ["}"] * size
        assert chosen.pop() is is_bounded


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("x\n" * 3, None),
        ("x\n" * 4, "(1 more line)"),
        ("x\n" * 5, "(2 more lines)"),
        ("x" * 100_002, "(2 more characters)"),
    ],
)
def test_what_is_left_out_of_a_value_is_counted(value, more):
    (block,) = blocks_of({"a": value}, 3, ())
    assert isinstance(block, Value)
    assert [line for mark, line in block.lines if mark == FAINT] == ([more] if more else [])
