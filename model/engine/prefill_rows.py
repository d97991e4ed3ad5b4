"""Prompt batching: which waiting prompts share a prefill row, and how they are laid out in it.

The goals are little padding, shared prefixes prefilled once, and prompts of similar length decoded together: a decode
step reads the prompt cache up to the longest prompt in any slot, so prompts of similar length should be in the slots
at the same time. The planner therefore sweeps over the lengths like an elevator, up and then down, and takes runs of
adjacent prompts in the sorted order:

    lengths sorted    90 95 [ 210 214 220 231 ] 402 ...      sweep at 210, going up
    row lengths       128 256 384 512 768 1024               4 of them: 875 of 1024, 2: 424 of 512,
                                                             3: 644 of 768; then what fits fills the rest

Of the runs that fit a row, it takes the one with the least padding. The remaining space goes to the longest prompts
that fit into it. Cost: one sort of the window per row.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# A longer run is preferred if its row/tokens ratio is at most this factor times the best: fewer, larger calls.
_NEAR_BEST = 1.01
# Most prompts that share one prefix.
LARGEST_GROUP = 16


@dataclass(frozen=True, slots=True)
class Row:
    """A prefill row: its prompts (indices into the given lengths) and its length."""

    members: tuple[int, ...]
    length: int


class RowPlanner:
    """Chooses one row after another; its only state is the position of its sweep.

    Args:
        row_lengths: Compiled row lengths, ascending. A prompt that is too long for all others fits the last one.
        target: Rows are filled up to this length; longer rows each hold one longer prompt, or some that share most of
            it.
    """

    def __init__(self, row_lengths: Sequence[int], target: int):
        self._row_lengths = sorted(row_lengths)
        self._target = target
        self._position = 0
        self._is_rising = True

    def next_row(self, lengths: Sequence[int]) -> Row:
        """Takes at least one of `lengths`, none of which exceeds the longest row."""
        # Among prompts of equal length, the sweep meets the oldest last.
        indices = range(len(lengths))
        order = sorted(reversed(indices) if self._is_rising else indices, key=lengths.__getitem__)
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
        """Index at which the sweep continues; it turns around at either end."""
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
        """The run of adjacent prompts from `start` with the least padding, and the room that it leaves in its row."""
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
    """Repeatedly takes the longest prompt that still fits, until none does."""
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
    """Location of a prompt in a row: [prefix_start, +prefix_length), then from tail_start on.

    Args:
        prefix_start: Start of its shared prefix.
        prefix_length: Length of the shared prefix; 0 if there is none.
        tail_start: Start of the rest.
        length: Total tokens of the prompt.
    """

    prefix_start: int
    prefix_length: int
    tail_start: int
    length: int

    def indices(self, begin: int, end: int) -> np.ndarray:
        """Indices in the row of the prompt's tokens from `begin` to before `end`."""
        tokens = np.arange(begin, end, dtype=np.int32)
        in_tail = tokens >= self.prefix_length
        return tokens + np.where(in_tail, self.tail_start - self.prefix_length, self.prefix_start).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Layout:
    """A row on the host: int32 arrays as in `model.engine.programs.rows.PromptRow`, without padding."""

    tokens: np.ndarray
    positions: np.ndarray
    segment: np.ndarray
    parent: np.ndarray
    begin: np.ndarray

    @staticmethod
    def of(runs: Sequence[_Run]) -> Layout:
        """Concatenates runs of tokens into one row."""
        lengths = [len(run.tokens) for run in runs]

        def of_each_token(values: Sequence[int]) -> np.ndarray:
            return np.repeat(np.array(values, np.int32), lengths)

        ends = np.cumsum([0, *lengths], dtype=np.int32)
        to_position = of_each_token([run.position - int(end) for run, end in zip(runs, ends[:-1], strict=True)])
        return Layout(
            tokens=np.fromiter(itertools.chain.from_iterable(run.tokens for run in runs), np.int32, int(ends[-1])),
            positions=np.arange(ends[-1], dtype=np.int32) + to_position,
            segment=of_each_token([run.segment for run in runs]),
            parent=of_each_token([run.parent for run in runs]),
            begin=of_each_token([run.begin for run in runs]),
        )


class _Run(NamedTuple):
    """Consecutive tokens of one segment: the first token's position, and the values that all of them have."""

    tokens: Sequence[int]
    position: int
    segment: int
    parent: int
    begin: int


def lay_out(prompts: Sequence[Sequence[int]], *, min_shared: int) -> tuple[Layout, list[Place]]:
    """Lays prompts out in one row; prompts with the same prefix share it.

    Args:
        prompts: Token ids.
        min_shared: Minimum length of a shared prefix; 0 disables sharing.

    Returns:
        The row, and each prompt's place in it.
    """
    runs: list[_Run] = []
    used = 0
    places: list[Place | None] = [None] * len(prompts)
    for group in prefix_groups(prompts, min_shared=min_shared):
        shared = group.shared
        parent, prefix_start = len(runs), used  # a run is a segment
        if shared:
            runs.append(_Run(prompts[group.members[0]][:shared], 0, parent, parent, prefix_start))
            used += shared
        for member in group.members:
            prompt = prompts[member]
            places[member] = Place(prefix_start, shared, used, len(prompt))
            runs.append(_Run(prompt[shared:], shared, len(runs), parent if shared else len(runs), prefix_start))
            used += len(prompt) - shared
    assert all(place is not None for place in places)
    return Layout.of(runs), [place for place in places if place is not None]


class PrefixGroup(NamedTuple):
    """Prompts that go into a row together because they share a prefix, or a single prompt.

    Args:
        members: Indices of the prompts.
        shared: Length of the shared prefix in tokens.
        length: Tokens that the group takes in a row.
    """

    members: tuple[int, ...]
    shared: int
    length: int


def prefix_groups(
    prompts: Sequence[Sequence[int]],
    *,
    min_shared: int,
    target: int = sys.maxsize,
    row_lengths: Sequence[int] = (),
    unread: int = 0,
) -> list[PrefixGroup]:
    """Partitions prompts into groups with a shared prefix, so that the most tokens are saved.

    Most prompts share too little with any other and form a group of one. Among prompts with the same first `min_shared`
    tokens, a group is a run in lexicographic order, and its shared prefix is the shortest one of two adjacent prompts
    in it. The best partition is therefore found by dynamic programming over that order, with runs of at most 16.

    Args:
        prompts: Token ids; tuples are not copied.
        min_shared: Minimum length of a shared prefix; 0 disables sharing.
        target: Maximum tokens of a group of several prompts, unless one of them needs a longer row by itself.
        row_lengths: Compiled row lengths, ascending: what such a row has room for.
        unread: Number of tokens at each prompt's end that are ignored. They still affect the order, so prompts with
            different last tokens may find less to share if one of them is a prefix of others.
    """
    lengths = [len(prompt) - unread for prompt in prompts]
    if min_shared == 0:
        return [PrefixGroup((i,), 0, length) for i, length in enumerate(lengths)]
    by_start: dict[tuple[int, ...], list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_start.setdefault(tuple(prompt[:min_shared]), []).append(i)
    found: list[PrefixGroup] = []
    for same_start in by_start.values():
        if len(same_start) == 1:
            found.append(PrefixGroup((same_start[0],), 0, lengths[same_start[0]]))
        else:
            found += _groups_of_common_start(prompts, lengths, same_start, min_shared, target, row_lengths)
    return found


class PrefixGroupWindow:
    """The prefix groups of the waiting prompts, updated from row to row: only changed ones are computed again.

    Args:
        min_shared, target, row_lengths, unread: As in `prefix_groups`.
    """

    def __init__(self, *, min_shared: int, target: int = sys.maxsize, row_lengths: Sequence[int] = (), unread: int = 0):
        self._min_shared, self._target, self._row_lengths, self._unread = min_shared, target, row_lengths, unread
        self._prompts: dict[int, tuple[int, ...]] = {}  # by key, as all below
        self._same_start: dict[tuple[int, ...], list[int]] = {}  # by their first min_shared tokens
        self._found: dict[tuple[int, ...], list[PrefixGroup]] = {}

    def update(self, window: Mapping[int, tuple[int, ...]]) -> list[PrefixGroup]:
        """Prefix groups of the prompts that wait now; their members are the window's keys.

        A key may be reused for another prompt later: a prompt counts as unchanged only if it is the same tuple object.
        """
        changed: dict[tuple[int, ...], None] = {}
        for key in [key for key, prompt in self._prompts.items() if window.get(key) is not prompt]:
            start = self._start_of(key)
            self._same_start[start].remove(key)
            changed[start] = None
            del self._prompts[key]
        for key in [key for key in window if key not in self._prompts]:
            self._prompts[key] = window[key]
            start = self._start_of(key)
            self._same_start.setdefault(start, []).append(key)
            changed[start] = None
        for start in changed:
            self._find(start)
        return [group for found in self._found.values() for group in found]

    def _start_of(self, key: int) -> tuple[int, ...]:
        return self._prompts[key][: self._min_shared] or (key,)  # without sharing, each prompt is a group of its own

    def _find(self, start: tuple[int, ...]) -> None:
        keys = self._same_start[start]
        if not keys:
            del self._same_start[start]
            self._found.pop(start, None)
            return
        found = prefix_groups(
            [self._prompts[key] for key in keys],
            min_shared=self._min_shared,
            target=self._target,
            row_lengths=self._row_lengths,
            unread=self._unread,
        )
        self._found[start] = [group._replace(members=tuple(keys[i] for i in group.members)) for group in found]


def _groups_of_common_start(
    prompts: Sequence[Sequence[int]],
    lengths: Sequence[int],
    same_start: Sequence[int],
    min_shared: int,
    target: int,
    row_lengths: Sequence[int],
) -> list[PrefixGroup]:
    """Prefix groups among prompts with the same first tokens."""
    order = sorted(same_start, key=lambda i: tuple(prompts[i]))
    common = [
        min(_common_length(prompts[a], prompts[b], min_shared), lengths[a], lengths[b])
        for a, b in itertools.pairwise(order)
    ]
    found: list[PrefixGroup] = []
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and common[end - 1] >= min_shared:
            continue
        if end - begin == 1:  # can't share: without its ignored tokens, a prompt may be shorter than min_shared
            found.append(PrefixGroup((order[begin],), 0, lengths[order[begin]]))
        else:
            run = order[begin:end]
            limits = [max(target, _row_for(lengths[i], row_lengths)) for i in run]
            found += _partition(run, common[begin : end - 1], [lengths[i] for i in run], limits)
        begin = end
    return found


def _row_for(length: int, row_lengths: Sequence[int]) -> int:
    """The shortest row that holds so many tokens; as many, if none does."""
    return next((row for row in row_lengths if row >= length), length)


def _partition(
    order: Sequence[int], common: Sequence[int], lengths: Sequence[int], limits: Sequence[int]
) -> list[PrefixGroup]:
    """The best partition of prompts in order, each of which shares enough with the next (`common`, in tokens).

    A group may have as many tokens as the largest of its members' limits.
    """
    saved = [0] * (len(order) + 1)  # tokens saved by the best partition of the first n
    cuts = [0] * (len(order) + 1)  # start of its last group
    for end in range(1, len(order) + 1):
        saved[end], cuts[end] = saved[end - 1], end - 1
        shared, total, limit = sys.maxsize, lengths[end - 1], limits[end - 1]
        for begin in range(end - 2, max(-1, end - 1 - LARGEST_GROUP), -1):
            shared, total = min(shared, common[begin]), total + lengths[begin]
            limit = max(limit, limits[begin])
            saves = (end - 1 - begin) * shared
            if total - saves <= limit and saved[begin] + saves > saved[end]:
                saved[end], cuts[end] = saved[begin] + saves, begin
    found = []
    end = len(order)
    while end > 0:
        begin = cuts[end]
        shared = min(common[begin : end - 1], default=0)
        length = sum(lengths[begin:end]) - (end - begin - 1) * shared
        found.append(PrefixGroup(tuple(order[begin:end]), shared, length))
        end = begin
    return found[::-1]


def _common_length(first: Sequence[int], second: Sequence[int], least: int) -> int:
    """Length of the common prefix of two prompts that share at least `least` tokens; 0 if they are shorter than that.

    Found by bisection over slices, because comparing slices runs in C.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low if low >= least else 0
