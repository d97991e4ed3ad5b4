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
@given(sizes=SIZES)
def test_blocks_have_all_repositories_in_order_and_large_ones_alone(sizes):
    found = repositories(sizes)
    blocks = list(blocks_of(found))
    assert [one for block in blocks for one in block.repositories] == found
    for block in blocks:
        assert len(block.repositories) == 1 or num_bytes(block) <= GROUP_MB * 1_000_000
        assert len(block.repositories) == 1 or not any(one.is_large for one in block.repositories)


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
        is_last = not after or file[0].is_large or after[0].is_large
        assert len(file) == ordering.FILE_GROUPS or (is_last and 0 < len(file) < ordering.FILE_GROUPS)
