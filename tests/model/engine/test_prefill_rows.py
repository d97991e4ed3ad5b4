"""Rows lose nothing, never overflow, have little padding, and keep prompts of similar length together."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from model.engine.prefill_rows import PrefixGroupWindow, RowPlanner, lay_out, prefix_groups

ROWS = (128, 256, 384, 512, 768, 1024, 2048)


def all_rows(lengths: list[int], window: int = 256) -> list[tuple[list[int], int]]:
    """Lengths of the members of each row, and the row's length, until nothing waits."""
    planner, waiting, rows = RowPlanner(ROWS, 1024), list(lengths), []
    while waiting:
        row = planner.next_row(waiting[:window])
        rows.append(([waiting[i] for i in row.members], row.length))
        for i in reversed(row.members):
            del waiting[i]
    return rows


@given(st.lists(st.integers(0, 2048), min_size=1, max_size=60))
def test_every_prompt_is_in_one_row_and_no_row_overflows(lengths):
    rows = all_rows(lengths)
    assert sorted(length for members, _ in rows for length in members) == sorted(lengths)
    assert all(members and sum(members) <= row for members, row in rows)
    assert all(row in ROWS for _, row in rows)


@given(st.lists(st.integers(0, 2048), min_size=1, max_size=60))
def test_the_row_is_the_shortest_that_holds_its_members(lengths):
    for members, row in all_rows(lengths):
        assert row == min(length for length in ROWS if length >= sum(members))


def test_padding_is_small_if_many_wait():
    rng = random.Random(0)
    lengths = [min(2048, max(20, int(rng.lognormvariate(5.7, 0.5)))) for _ in range(2000)]
    rows = all_rows(lengths)
    assert sum(row for _, row in rows) / sum(lengths) < 1.03


def test_consecutive_rows_contain_prompts_of_similar_length():
    rng = random.Random(1)
    lengths = [rng.randint(20, 2000) for _ in range(256)]
    longest = [max(members) for members, _ in all_rows(lengths)]
    steps = sum(abs(a - b) for a, b in itertools.pairwise(longest)) / len(longest)
    shuffled = rng.sample(longest, len(longest))
    steps_shuffled = sum(abs(a - b) for a, b in itertools.pairwise(shuffled)) / len(longest)
    assert steps < steps_shuffled / 3


def test_a_sweep_reaches_every_prompt_though_more_arrive():
    """A long prompt among endless short ones is reached once the sweep has risen to it."""
    planner = RowPlanner(ROWS, 1024)
    rng = random.Random(2)
    waiting = [1900, *(rng.randint(10, 500) for _ in range(100))]
    for _ in range(100):
        row = planner.next_row(waiting)
        for i in reversed(row.members):
            del waiting[i]
        waiting += [rng.randint(10, 500) for _ in row.members]
    assert 1900 not in waiting


# Prompts over two letters often share a prefix.
prompts = st.lists(st.lists(st.integers(0, 1), max_size=30), min_size=1, max_size=12)


@given(prompts, st.integers(0, 8))
def test_each_prompt_can_be_read_back_from_its_place(prompts, min_shared):
    row, places = lay_out(prompts, min_shared=min_shared)
    for prompt, place in zip(prompts, places, strict=True):
        tail_end = place.tail_start + place.length - place.prefix_length
        indices = [
            *range(place.prefix_start, place.prefix_start + place.prefix_length),
            *range(place.tail_start, tail_end),
        ]
        assert [row.tokens[i] for i in indices] == prompt
        assert [row.positions[i] for i in indices] == list(range(len(prompt)))
    assert len(row.tokens) <= sum(map(len, prompts))
    if min_shared == 0:
        assert len(row.tokens) == sum(map(len, prompts))


@given(prompts, st.integers(0, 8))
def test_each_token_attends_to_its_own_prompts_earlier_tokens_alone(prompts, min_shared):
    row, places = lay_out(prompts, min_shared=min_shared)
    length = len(row.tokens)
    sees = [[k for k in range(q + 1) if row.segment[k] in (row.segment[q], row.parent[q])] for q in range(length)]
    for place in places:
        tail = range(place.tail_start, place.tail_start + place.length - place.prefix_length)
        indices = [*range(place.prefix_start, place.prefix_start + place.prefix_length), *tail]
        for nth, index in enumerate(indices):
            assert sees[index] == indices[: nth + 1]
            assert row.begin[index] <= sees[index][0]
    assert list(row.begin) == sorted(row.begin)


def test_prompts_of_one_file_share_its_start():
    file = list(range(100))
    row, places = lay_out([file[:60], [7, 7], file, [*file[:60], 5, 5]], min_shared=32)
    assert len(row.tokens) == 60 + 40 + 2 + 2
    assert [place.prefix_length for place in places] == [60, 0, 60, 60]


@given(prompts, st.integers(0, 8), st.integers(30, 60))
def test_groups_hold_every_prompt_once_with_their_length(prompts, min_shared, target):
    found = prefix_groups(prompts, min_shared=min_shared, target=target)
    assert sorted(i for group in found for i in group.members) == list(range(len(prompts)))
    for group in found:
        members = [prompts[i] for i in group.members]
        assert len(lay_out(members, min_shared=min_shared)[0].tokens) == group.length <= max(target, 30)


@given(prompts, st.integers(1, 8), st.integers(5, 20))
def test_a_group_is_longer_than_the_target_only_in_a_row_that_one_of_its_prompts_needs(prompts, min_shared, target):
    for group in prefix_groups(prompts, min_shared=min_shared, target=target, row_lengths=(8, 16, 32)):
        longest = max(len(prompts[i]) for i in group.members)
        assert group.length <= max(target, next(row for row in (8, 16, 32) if row >= longest))


def test_prompts_beyond_the_target_share_a_row_as_examples_in_front_of_questions_do():
    shots = list(range(1000, 1400))
    asked = [[*shots, *range(20 * number, 20 * number + 20)] for number in range(6)]
    groups = prefix_groups(asked, min_shared=32, target=256, row_lengths=(128, 256, 512))
    assert [(len(group.members), group.shared, group.length) for group in groups] == [(5, 400, 500), (1, 0, 420)]
    assert all(len(group.members) == 1 for group in prefix_groups(asked, min_shared=32, target=256))


@given(prompts, st.integers(1, 8))
def test_groups_laid_out_together_take_no_more_than_apart(prompts, min_shared):
    apart = prefix_groups(prompts, min_shared=min_shared, target=40)
    assert len(lay_out(prompts, min_shared=min_shared)[0].tokens) <= sum(group.length for group in apart)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=14), st.integers(1, 4))
def test_unread_tokens_at_the_end_do_not_count(prompts, min_shared):
    found = prefix_groups(prompts, min_shared=min_shared, unread=1)
    assert sorted(i for group in found for i in group.members) == list(range(len(prompts)))
    for group in found:
        read = [prompts[i][:-1] for i in group.members]
        assert len({tuple(prompt[: group.shared]) for prompt in read}) == 1
        assert group.length == sum(map(len, read)) - (len(read) - 1) * group.shared
        assert len(lay_out(read, min_shared=min_shared)[0].tokens) <= group.length


@given(st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=14), st.integers(1, 4))
def test_one_last_token_in_common_changes_no_group(prompts, min_shared):
    ended = [[*prompt, -1] for prompt in prompts]
    assert prefix_groups(ended, min_shared=min_shared, unread=1) == prefix_groups(prompts, min_shared=min_shared)


@given(
    st.lists(st.lists(st.integers(0, 1), max_size=12).map(tuple), min_size=1, max_size=24),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_a_window_kept_from_row_to_row_has_the_groups_of_a_new_one(prompts, min_shared, rng):
    kept = PrefixGroupWindow(min_shared=min_shared, target=30, unread=1)
    waiting: dict[int, tuple[int, ...]] = {}
    for key, prompt in enumerate(prompts):
        waiting[key % 16] = prompt  # keys are used again
        if rng.random() < 0.5:
            del waiting[rng.choice(list(waiting))]
        found = kept.update(waiting)
        fresh = prefix_groups(list(waiting.values()), min_shared=min_shared, target=30, unread=1)
        assert sorted(i for group in found for i in group.members) == sorted(waiting)
        assert sorted(group[1:] for group in found) == sorted(group[1:] for group in fresh)
