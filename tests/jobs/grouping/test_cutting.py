"""Row groups end where the rows alone say, and none is larger than it may be."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.grouping import ordering
from jobs.grouping.cutting import GROUP_MB, Repository, blocks_of, cut

SIZES = st.lists(st.integers(0, 20_000_000), max_size=60)


def repositories(sizes):
    return [Repository("entries", number, 1, size) for number, size in enumerate(sizes)]


def num_bytes(block):
    return sum(repository.num_bytes for repository in block.repositories)


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES, full=st.none() | st.integers(1, 4_000_000))
def test_blocks_have_all_repositories_small_ones_in_order_and_those_that_fill_a_block_alone(sizes, full):
    found = repositories(sizes)
    blocks = list(blocks_of(found, full))
    assert sorted(one for block in blocks for one in block.repositories) == found
    shared = [one for block in blocks for one in block.repositories if one.num_bytes < (full or GROUP_MB * 1_000_000)]
    assert shared == sorted(shared)
    for block in blocks:
        assert len(block.repositories) == 1 or num_bytes(block) <= GROUP_MB * 1_000_000
        assert len(block.repositories) == 1 or all(one in shared for one in block.repositories)


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(0, 2_000_000), max_size=60), full=st.integers(1, 2_000_000))
def test_a_block_is_closed_as_soon_as_it_is_full(sizes, full):
    blocks = list(blocks_of(repositories(sizes), full))
    assert all(num_bytes(block) >= full for block in blocks[:-1])
    assert all(num_bytes(block) - block.repositories[-1].num_bytes < full for block in blocks)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.booleans()), max_size=60), st.integers(1, 2_000_000))
def test_repositories_that_are_apart_share_no_block_with_others(described, full):
    found = [Repository("entries", number, 1, *what) for number, what in enumerate(described)]
    blocks = list(blocks_of(found, full))
    assert sorted(one for block in blocks for one in block.repositories) == found
    assert all(len({one.is_apart for one in block.repositories}) == 1 for block in blocks)


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES)
def test_a_large_repository_is_cut_into_all_its_files(sizes):
    counts = cut(sizes)
    assert sum(counts) == len(sizes) and all(counts)
    place = 0
    for count in counts:
        assert count == 1 or sum(sizes[place : place + count]) <= GROUP_MB * 1_000_000
        place += count


def test_row_groups_are_filled():
    assert cut([1_000_000] * 10) == [4, 4, 2]


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES)
def test_grouped_files_have_several_row_groups_of_small_repositories_and_large_ones_alone(sizes):
    blocks = list(blocks_of(repositories(sizes)))
    files = list(ordering._batched(blocks))
    assert [block for file in files for block in file] == blocks
    for file, after in itertools.pairwise([*files, ()]):
        assert len(file) == 1 or not any(block.is_large for block in file)
        most = ordering.FILE_GROUPS * GROUP_MB * 1_000_000
        assert len(file) == 1 or sum(map(num_bytes, file)) <= most
        is_last = not after or file[0].is_large or after[0].is_large
        assert is_last or sum(map(num_bytes, [*file, after[0]])) > most
