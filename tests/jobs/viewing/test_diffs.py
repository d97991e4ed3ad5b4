"""Diffs, and middles in their place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.terminal.escapes import shown_lines
from jobs.viewing.blocks import CONTEXT, GENERATED, ORIGINAL, Lines
from jobs.viewing.diffs import diff_lines
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
