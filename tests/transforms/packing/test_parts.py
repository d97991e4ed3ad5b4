"""Files of packed rows are told apart although the input has them several times."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transforms.packing.parts import Copies

LENGTH = 9
cuts = st.lists(st.integers(1, LENGTH - 1), unique=True).map(lambda inner: [0, *sorted(inner), LENGTH])


def piece(start: int, end: int, *, path: str = "a.py", role: str = "file") -> dict[str, object]:
    return {"repo_name": "r", "path": path, "content_sha256": "0", "role": role, "start": start, "end": end}


def pieces_of(ends: list[int]) -> list[dict[str, object]]:
    return [piece(*span) for span in pairwise(ends)]


def number_of(parts: list[dict[str, object]]) -> int:
    copies = Copies()
    return len(frozenset().union(*(copies.of([part]) for part in parts)))


@given(st.lists(cuts, max_size=4))
def test_each_copy_of_a_file_counts_once_however_it_is_cut(copies):
    assert number_of([part for ends in copies for part in pieces_of(ends)]) == len(copies)


@given(cuts, cuts)
def test_a_copy_without_its_first_piece_still_counts(first, second):
    rest = pieces_of(first)[1:]
    assert number_of([*rest, *pieces_of(second)]) == bool(rest) + 1


def test_context_is_no_file_and_other_paths_are_others():
    parts = [piece(0, 0, role="copy"), piece(0, 5), piece(0, 5, path="b.py"), piece(5, LENGTH)]
    assert Copies().of(parts) == {("r", "a.py", "0", 1), ("r", "b.py", "0", 1)}
