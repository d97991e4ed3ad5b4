"""Row groups end where the rows alone say, and none is larger than it may be."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.grouping.cutting import Repository, blocks_of, cut, most_bytes

SIZES = st.lists(st.integers(0, 20_000_000), max_size=60)


def repositories(sizes):
    return [Repository("entries", number, 1, size) for number, size in enumerate(sizes)]


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES)
def test_blocks_have_all_repositories_in_order_and_large_ones_alone(sizes):
    found = repositories(sizes)
    blocks = list(blocks_of(found))
    assert [one for block in blocks for one in block.repositories] == found
    for block in blocks:
        assert len(block.repositories) == 1 or block.num_bytes <= most_bytes()
        assert len(block.repositories) == 1 or not any(one.is_large for one in block.repositories)


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES)
def test_a_large_repository_is_cut_into_all_its_files(sizes):
    counts = cut(sizes)
    assert sum(counts) == len(sizes) and all(counts)
    place = 0
    for count in counts:
        assert count == 1 or sum(sizes[place : place + count]) <= most_bytes()
        place += count


def test_row_groups_are_filled():
    assert cut([1_000_000] * 10) == [4, 4, 2]
