"""Sums over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.finalize.timeline import Timeline

TIMES = st.lists(st.tuples(st.floats(1e9, 1e9 + 1e6), st.integers(0, 50), st.integers(0, 9)), max_size=60)


@given(TIMES)
def test_all_rows_and_tokens_are_in_a_bounded_number_of_bins(done):
    timeline = Timeline()
    for time_s, rows, tokens in done:
        timeline.add(time_s, rows, tokens)
    found = timeline.summary() or {"rows": [], "tokens_out": [], "bin_s": 1}
    assert sum(found["rows"]) == sum(rows for _, rows, _ in done)
    assert sum(found["tokens_out"]) == sum(tokens for *_, tokens in done)
    assert len(found["rows"]) <= 121
    if done:
        span = max(time_s for time_s, *_ in done) - min(time_s for time_s, *_ in done)
        assert len(found["rows"]) * found["bin_s"] >= span


def test_an_unknown_time_is_left_out():
    timeline = Timeline()
    timeline.add(0.0, 5, 5)
    assert timeline.summary() == {}
