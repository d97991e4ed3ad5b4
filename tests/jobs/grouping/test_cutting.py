"""Row groups end where the rows alone say, none is larger than it may be, and they become smaller at the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.grouping.cutting import GROUP_MB, LEAST_MB, SHARE, Repository, blocks_of, cut, most_bytes

SIZES = st.lists(st.integers(0, 20_000_000), max_size=60)
MOST, LEAST = GROUP_MB * 1_000_000, LEAST_MB * 1_000_000


def repositories(sizes):
    return [Repository("entries", number, 1, size) for number, size in enumerate(sizes)]


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES, is_known=st.booleans())
def test_blocks_have_all_repositories_in_order_and_large_ones_alone(sizes, is_known):
    found = repositories(sizes)
    total = sum(sizes) if is_known else None
    blocks = list(blocks_of(found, total))
    assert [one for block in blocks for one in block.repositories] == found
    left = total
    for block in blocks:
        assert block.left == left
        assert len(block.repositories) == 1 or block.num_bytes <= most_bytes(left)
        assert len(block.repositories) == 1 or not any(one.is_large for one in block.repositories)
        left = None if left is None else left - block.num_bytes


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES, more=st.none() | st.integers(0, 500_000_000))
def test_a_large_repository_is_cut_into_all_its_files(sizes, more):
    left = None if more is None else sum(sizes) + more
    counts = cut(sizes, left)
    assert sum(counts) == len(sizes) and all(counts)
    place = 0
    for count in counts:
        size = sum(sizes[place : place + count])
        assert count == 1 or size <= most_bytes(left)
        left = None if left is None else left - size
        place += count


def test_the_last_row_groups_are_small():
    sizes = [500_000] * 400
    counts = cut(sizes, sum(sizes))
    assert counts[0] * sizes[0] == MOST
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] * sizes[0] == LEAST
    assert set(cut(sizes, None)[:-1]) == {MOST // sizes[0]}


def test_a_row_group_takes_a_share_of_what_is_left():
    assert most_bytes(None) == most_bytes(10**12) == MOST
    assert most_bytes(0) == LEAST
    assert most_bytes(SHARE * 3_000_000) == 3_000_000
