"""A plan as ranges of units: nothing is left out, and row groups stay together where they are not too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.plan.ranges import PlannedUnits, Span, cut_spans, fit_to_groups, position_of
from jobs.plan.units import read_plan
from tests.jobs import toy

GROUPS = st.lists(st.integers(1, 12), max_size=30)


def starts_of(groups: list[int]) -> bytes:
    return b"".join(b"\x01" + b"\x00" * (size - 1) for size in groups)


@given(GROUPS, st.integers(1, 8))
def test_ranges_follow_each_other_and_hold_every_unit_once(groups: list[int], length: int) -> None:
    spans = cut_spans(starts_of(groups), length)
    assert [position for span in spans for position in range(span.begin, span.end)] == list(range(sum(groups)))
    assert all(len(span) for span in spans)


@given(GROUPS, st.integers(1, 8))
def test_a_range_ends_with_a_row_group_unless_the_group_is_too_long(groups: list[int], length: int) -> None:
    starts = starts_of(groups)
    for span in cut_spans(starts, length):
        if span.end < len(starts) and not starts[span.end]:
            following = starts.find(1, span.end)
            assert (following if following > 0 else len(starts)) > span.begin + 4 * length
        assert len(span) <= 4 * length


def test_a_small_plan_has_a_range_for_each_row_group_and_a_large_one_some_thousands() -> None:
    assert cut_spans(starts_of([4, 4, 1])) == [Span(0, 4), Span(4, 8), Span(8, 9)]
    assert len(cut_spans(starts_of([1] * 400_000))) == 6250


def test_a_part_of_free_units_ends_with_a_row_group_or_where_it_was_to_end() -> None:
    starts = starts_of([4, 4, 20])
    assert fit_to_groups(starts, 0, 3, 28, longest=6) == 4
    assert fit_to_groups(starts, 0, 3, 3, longest=6) == 3
    assert fit_to_groups(starts, 8, 3, 28, longest=6) == 11


def test_units_are_found_by_their_positions(tmp_path) -> None:
    job_dir = toy.make_job(str(tmp_path), [["a", "b"], ["c"]], unit_rows=1)
    planned, units = PlannedUnits(job_dir), list(read_plan(job_dir))
    assert planned.units([2, 0]) == [units[2], units[0]]
    assert [position_of(unit.unit_id) for unit in units] == [0, 1, 2]
    assert planned.ids(Span(1, 3)) == [units[1].unit_id, units[2].unit_id]
    assert planned.starts == bytearray(b"\x01\x00\x01")
