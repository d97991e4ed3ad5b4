from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.embedded.copying import copy_middle

NEWLINE = 0


def test_the_longest_run_that_occurs_elsewhere_is_continued():
    # `1 2` occurs twice: after a 9 it continues with 3, after an 8 with 4.
    assert copy_middle([9, 1, 2, 3, NEWLINE, 8, 1, 2, 4, NEWLINE, 8, 1, 2], [NEWLINE], {NEWLINE}, max_tokens=9) == [4]


def test_of_equally_long_runs_the_commonest_continuation_is_taken():
    prefix = [1, 5, NEWLINE, 1, 6, NEWLINE, 1, 5, NEWLINE, 7, 1]
    assert copy_middle(prefix, [NEWLINE], {NEWLINE}, max_tokens=9) == [5]


def test_it_copies_from_after_the_hole_too():
    assert copy_middle([3, 1], [NEWLINE, 2, 1, 4, NEWLINE], {NEWLINE}, max_tokens=9) == [4]


def test_it_ends_at_the_requested_number_of_lines():
    prefix = [1, 5, NEWLINE, 6, NEWLINE, 7, 1]
    assert copy_middle(prefix, [9], {NEWLINE}, max_tokens=9, num_stops=2) == [5, NEWLINE, 6]


def test_it_never_copies_across_the_hole():
    assert copy_middle([1, 2], [3, 4], {NEWLINE}, max_tokens=9) == []


def test_an_empty_file_gives_nothing():
    assert copy_middle([], [], {NEWLINE}, max_tokens=9) == []


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)), st.integers(1, 8))
def test_it_copies_tokens_of_the_file_and_no_more_than_requested(prefix: list[int], suffix: list[int], limit: int):
    written = copy_middle(prefix, suffix, {NEWLINE}, max_tokens=limit)
    assert len(written) <= limit and set(written) <= {*prefix, *suffix} - {NEWLINE}
