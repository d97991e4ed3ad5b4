"""Which waiting prompts share a prefill row, and how they lie in it: little padding, shared beginnings once, and
neighbours in length decode together.

A decode step reads the prompt cache as far as the longest prompt in any slot reaches, so prompts of
similar length should be in the slots at the same time. The planner therefore sweeps over the lengths like
an elevator, up and then down, and takes runs of neighbours in the sorted order:

    lengths sorted    90 95 [ 210 214 220 231 ] 402 ...      sweep at 210, going up
    row lengths       128 256 384 512 768 1024               4 of them: 875 of 1024, 2: 424 of 512,
                                                             3: 644 of 768; then what fits fills the rest

Of the runs that fit a row, the one with the least padding is taken, and the space that is left goes to the longest
prompts that fit it. Cost: one sort of the window per row.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# A longer run is preferred where it pads at most so much more than the best: fewer, larger calls.
_NEAR_BEST = 1.01
_LARGEST_FAMILY = 16


@dataclass(frozen=True, slots=True)
class Row:
    """A prefill row: which prompts (indices into the lengths given) and how long a row."""

    members: tuple[int, ...]
    length: int


class RowPlanner:
    """Chooses row after row; remembers only where its sweep stands.

    Args:
        row_lengths: Lengths that are compiled for, ascending. A prompt longer than all but the last still fits that.
        target: Rows are filled up to this length; longer ones serve longer prompts alone.
    """

    def __init__(self, row_lengths: Sequence[int], target: int):
        self._row_lengths = sorted(row_lengths)
        self._target = target
        self._position = 0
        self._is_rising = True

    def next_row(self, lengths: Sequence[int]) -> Row:
        """Takes at least one of `lengths`, all of them at most the longest row."""
        order = sorted(range(len(lengths)), key=lambda i: (lengths[i], -i if self._is_rising else i))
        sorted_lengths = [lengths[i] for i in order]
        start = self._start(sorted_lengths)
        run, room = self._best_run(sorted_lengths, start)
        taken = set(run)
        rest = [i for i in range(len(order)) if i not in taken]
        members = [*run, *_fill([sorted_lengths[i] for i in rest], rest, room)]
        self._position = sorted_lengths[run[-1]]
        total = sum(sorted_lengths[i] for i in members)
        return Row(members=tuple(sorted(order[i] for i in members)), length=self._row_length(total))

    def _start(self, sorted_lengths: list[int]) -> int:
        """Where the sweep goes on; it turns at either end."""
        if self._is_rising:
            start = bisect_left(sorted_lengths, self._position)
            if start < len(sorted_lengths):
                return start
            self._is_rising = False
            return len(sorted_lengths) - 1
        start = bisect_right(sorted_lengths, self._position) - 1
        if start >= 0:
            return start
        self._is_rising = True
        return 0

    def _best_run(self, sorted_lengths: list[int], start: int) -> tuple[list[int], int]:
        """The run of neighbours from `start` with the least padding, and the room that it leaves in its row."""
        step = 1 if self._is_rising else -1
        limit = max(self._target, self._row_length(sorted_lengths[start]))
        total, count, best_count, best_waste, best_room = 0, 0, 0, float("inf"), 0
        i = start
        while 0 <= i < len(sorted_lengths) and total + sorted_lengths[i] <= limit:
            total, count = total + sorted_lengths[i], count + 1
            row = self._row_length(total)
            waste = row / max(total, 1)
            if waste <= best_waste * _NEAR_BEST:
                best_count, best_waste, best_room = count, min(waste, best_waste), row - total
            i += step
        return [start + step * n for n in range(best_count)], best_room

    def _row_length(self, total: int) -> int:
        return next(length for length in self._row_lengths if length >= total)


def _fill(sorted_lengths: list[int], indices: list[int], room: int) -> list[int]:
    """Greedily the longest that still fits, until none does."""
    chosen = []
    end = bisect_right(sorted_lengths, room)
    while end > 0:
        end -= 1
        chosen.append(indices[end])
        room -= sorted_lengths[end]
        end = min(end, bisect_right(sorted_lengths, room))
    return chosen


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a row a prompt lies: [prefix_start, +prefix_length), then from tail_start on.

    Args:
        prefix_start: Where the beginning that it shares with others lies.
        prefix_length: Its length; 0 if it shares none.
        tail_start: Where the rest lies.
        length: Tokens in all.
    """

    prefix_start: int
    prefix_length: int
    tail_start: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A row on the host: int32 arrays as in `model.engine.attention.PromptRow`, without its padding."""

    tokens: list[int]
    positions: list[int]
    segment: list[int]
    parent: list[int]
    begin: list[int]


def lay_out(prompts: Sequence[Sequence[int]], *, min_shared: int) -> tuple[Layout, list[Place]]:
    """Lays prompts out in one row; those that begin alike share that beginning.

    Args:
        prompts: Token ids.
        min_shared: Shorter common beginnings are not worth sharing; 0 never shares.

    Returns:
        The row, and each prompt's place in it.
    """
    row = Layout([], [], [], [], [])
    places: list[Place | None] = [None] * len(prompts)
    num_segments = 0
    for family in families(prompts, min_shared=min_shared):
        shared = family.shared
        parent, prefix_start = num_segments, len(row.tokens)
        if shared:
            _append(row, prompts[family.members[0]][:shared], 0, parent, parent, prefix_start)
            num_segments += 1
        for member in family.members:
            prompt = prompts[member]
            places[member] = Place(prefix_start, shared, len(row.tokens), len(prompt))
            own_parent = parent if shared else num_segments
            _append(row, prompt[shared:], shared, num_segments, own_parent, prefix_start)
            num_segments += 1
    assert all(place is not None for place in places)
    return row, [place for place in places if place is not None]


@dataclass(frozen=True, slots=True)
class Family:
    """Prompts that go into a row together because they begin alike, or one alone.

    Args:
        members: Indices of the prompts.
        shared: How many tokens they share.
        length: Tokens that they take in a row.
    """

    members: tuple[int, ...]
    shared: int
    length: int


def families(
    prompts: Sequence[Sequence[int]], *, min_shared: int, target: int = sys.maxsize, unread: int = 0
) -> list[Family]:
    """Parts prompts into families that begin alike, so that most tokens are saved.

    In lexical order a family is a run, and what a run shares is the least that two neighbours in it share; so the
    best partition comes from dynamic programming over the order, with runs of at most 16. Most prompts share nothing
    with their neighbours: each is a family, and only runs between them are partitioned.

    Args:
        prompts: Token ids; tuples are not copied.
        min_shared: Shorter common beginnings are not worth sharing; 0 never shares.
        target: Most tokens that a family of several may take.
        unread: How many tokens at each prompt's end are not meant. They still decide the order, so prompts that end
            in different ones may find less to share where one of them is the beginning of others.
    """
    lengths = [len(prompt) - unread for prompt in prompts]
    if min_shared == 0:
        return [Family((i,), 0, length) for i, length in enumerate(lengths)]
    order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    common = [
        min(_common(prompts[a], prompts[b], min_shared), lengths[a], lengths[b]) for a, b in itertools.pairwise(order)
    ]
    found: list[Family] = []
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and common[end - 1] >= min_shared:
            continue
        if end - begin == 1:
            found.append(Family((order[begin],), 0, lengths[order[begin]]))
        else:
            run = order[begin:end]
            found += _partition(run, common[begin : end - 1], [lengths[i] for i in run], target)
        begin = end
    return found


def _partition(order: Sequence[int], common: Sequence[int], lengths: Sequence[int], target: int) -> list[Family]:
    """The best partition of prompts of which each shares enough with the next: its `common`."""
    saved = [0] * (len(order) + 1)  # by the best partition of the first n
    cuts = [0] * (len(order) + 1)  # where its last family begins
    for end in range(1, len(order) + 1):
        saved[end], cuts[end] = saved[end - 1], end - 1
        shared, total = sys.maxsize, lengths[end - 1]
        for begin in range(end - 2, max(-1, end - 1 - _LARGEST_FAMILY), -1):
            shared, total = min(shared, common[begin]), total + lengths[begin]
            saves = (end - 1 - begin) * shared
            if total - saves <= target and saved[begin] + saves > saved[end]:
                saved[end], cuts[end] = saved[begin] + saves, begin
    found = []
    end = len(order)
    while end > 0:
        begin = cuts[end]
        shared = min(common[begin : end - 1], default=0)
        length = sum(lengths[begin:end]) - (end - begin - 1) * shared
        found.append(Family(tuple(order[begin:end]), shared, length))
        end = begin
    return found[::-1]


def _append(row: Layout, tokens: Sequence[int], position: int, segment: int, parent: int, begin: int) -> None:
    row.tokens.extend(tokens)
    row.positions.extend(range(position, position + len(tokens)))
    row.segment.extend([segment] * len(tokens))
    row.parent.extend([parent] * len(tokens))
    row.begin.extend([begin] * len(tokens))


def _common(first: Sequence[int], second: Sequence[int], least: int) -> int:
    """Length of the common beginning, 0 where it is under `least`: most are, and one comparison tells.

    By bisection over slices, since a comparison of slices runs in C.
    """
    if first[:least] != second[:least]:
        return 0
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low if low >= least else 0
