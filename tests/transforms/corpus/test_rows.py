"""How files become row groups: full ones are encoded at once, few rows wait for others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.entries import File, Refused
from transforms.corpus.origin import GroupLimits, Origin
from transforms.corpus.rows import parts_of
from transforms.rows.row_groups import EncodedGroup

ORIGIN = Origin("repo", "source", {})
LIMITS = GroupLimits(rows=8, num_bytes=100)


def parts(sizes: list[int]) -> list[tuple[bool, int, int]]:
    """Of files with so many bytes, -1 for a refusal: whether each part is encoded, its kept rows, its files."""
    entries = [File(f"{n}.py", b"x" * size) if size >= 0 else Refused(f"{n}", "link") for n, size in enumerate(sizes)]
    found = parts_of(iter(entries), ORIGIN, 0, lambda path: (), LIMITS)
    return [(isinstance(part.kept, EncodedGroup), part.kept.num_rows, part.num_files) for part in found]


def test_so_few_files_that_their_group_would_be_small_stay_a_table():
    assert parts([1]) == [(False, 1, 1)]
    assert parts([1, -1]) == [(False, 1, 2)]
    assert parts([1, 1]) == [(True, 2, 2)]
    assert parts([25]) == [(True, 1, 1)]


def test_files_without_rows_are_no_row_group():
    assert parts([-1, -1]) == [(False, 0, 2)]
    assert parts([]) == []


def test_what_is_behind_a_full_group_is_one_however_small():
    assert parts([1] * 9) == [(True, 8, 8), (True, 1, 1)]
    assert parts([60, 60]) == [(True, 1, 1), (True, 1, 1)]


@given(st.lists(st.integers(-1, 120), max_size=40))
def test_no_file_is_lost_and_no_group_is_too_large(sizes):
    found = parts(sizes)
    assert sum(files for _, _, files in found) == len(sizes)
    assert sum(rows for _, rows, _ in found) == sum(size >= 0 for size in sizes)
    assert all(rows <= LIMITS.rows for _, rows, _ in found)
    kept = iter(size for size in sizes if size >= 0)
    groups = [[next(kept) for _ in range(rows)] for _, rows, _ in found]
    assert all(len(group) <= 1 or sum(group) <= LIMITS.num_bytes for group in groups)
