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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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
        # Among equals the sweep meets the oldest last.
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
    """A row on the host: int32 arrays as in `model.engine.programs.attention.PromptRow`, without its padding."""

    tokens: np.ndarray
    positions: np.ndarray
    segment: np.ndarray
    parent: np.ndarray
    begin: np.ndarray

    @staticmethod
    def of(runs: Sequence[_Run]) -> Layout:
        """The row in which runs of tokens follow each other."""
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
    """Tokens of one segment that follow each other: the first one's position, and what is the same for all of them."""

    tokens: Sequence[int]
    position: int
    segment: int
    parent: int
    begin: int


def lay_out(prompts: Sequence[Sequence[int]], *, min_shared: int) -> tuple[Layout, list[Place]]:
    """Lays prompts out in one row; those that begin alike share that beginning.

    Args:
        prompts: Token ids.
        min_shared: Shorter common beginnings are not worth sharing; 0 never shares.

    Returns:
        The row, and each prompt's place in it.
    """
    runs: list[_Run] = []
    used = 0
    places: list[Place | None] = [None] * len(prompts)
    for family in families(prompts, min_shared=min_shared):
        shared = family.shared
        parent, prefix_start = len(runs), used  # a run is a segment
        if shared:
            runs.append(_Run(prompts[family.members[0]][:shared], 0, parent, parent, prefix_start))
            used += shared
        for member in family.members:
            prompt = prompts[member]
            places[member] = Place(prefix_start, shared, used, len(prompt))
            runs.append(_Run(prompt[shared:], shared, len(runs), parent if shared else len(runs), prefix_start))
            used += len(prompt) - shared
    assert all(place is not None for place in places)
    return Layout.of(runs), [place for place in places if place is not None]


class Family(NamedTuple):
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

    Most prompts share too little with any other: each is a family. Among those of the same first `min_shared` tokens a
    family is a run in lexical order, and what a run shares is the least that two neighbours in it share; so the best
    partition comes from dynamic programming over the order, with runs of at most 16.

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
    beginnings: dict[tuple[int, ...], list[int]] = {}
    for i, prompt in enumerate(prompts):
        beginnings.setdefault(tuple(prompt[:min_shared]), []).append(i)
    found: list[Family] = []
    for alike in beginnings.values():
        if len(alike) == 1:
            found.append(Family((alike[0],), 0, lengths[alike[0]]))
        else:
            found += _among_alike(prompts, lengths, alike, min_shared, target)
    return found


class FamilyWindow:
    """The families of the prompts that wait, kept from row to row: only what came or went is looked at again.

    Args:
        min_shared, target, unread: As in `families`.
    """

    def __init__(self, *, min_shared: int, target: int = sys.maxsize, unread: int = 0):
        self._min_shared, self._target, self._unread = min_shared, target, unread
        self._prompts: dict[int, tuple[int, ...]] = {}  # by key, as all below
        self._alike: dict[tuple[int, ...], list[int]] = {}  # by beginning
        self._found: dict[tuple[int, ...], list[Family]] = {}

    def update(self, window: Mapping[int, tuple[int, ...]]) -> list[Family]:
        """The families of the prompts that wait now, their members named by the window's keys.

        A key may be given to another prompt later: what counts is whether it is the same tuple.
        """
        changed: dict[tuple[int, ...], None] = {}
        for key in [key for key, prompt in self._prompts.items() if window.get(key) is not prompt]:
            beginning = self._beginning(key)
            self._alike[beginning].remove(key)
            changed[beginning] = None
            del self._prompts[key]
        for key in [key for key in window if key not in self._prompts]:
            self._prompts[key] = window[key]
            beginning = self._beginning(key)
            self._alike.setdefault(beginning, []).append(key)
            changed[beginning] = None
        for beginning in changed:
            self._find(beginning)
        return [family for found in self._found.values() for family in found]

    def _beginning(self, key: int) -> tuple[int, ...]:
        return self._prompts[key][: self._min_shared] or (key,)  # where nothing is shared, each is alone

    def _find(self, beginning: tuple[int, ...]) -> None:
        keys = self._alike[beginning]
        if not keys:
            del self._alike[beginning]
            self._found.pop(beginning, None)
            return
        found = families(
            [self._prompts[key] for key in keys], min_shared=self._min_shared, target=self._target, unread=self._unread
        )
        self._found[beginning] = [family._replace(members=tuple(keys[i] for i in family.members)) for family in found]


def _among_alike(
    prompts: Sequence[Sequence[int]], lengths: Sequence[int], alike: Sequence[int], min_shared: int, target: int
) -> list[Family]:
    """The families among prompts that begin alike."""
    order = sorted(alike, key=lambda i: tuple(prompts[i]))
    common = [
        min(_common(prompts[a], prompts[b], min_shared), lengths[a], lengths[b]) for a, b in itertools.pairwise(order)
    ]
    found: list[Family] = []
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and common[end - 1] >= min_shared:
            continue
        if end - begin == 1:  # as short as what must be shared, but for what isn't read
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


def _common(first: Sequence[int], second: Sequence[int], least: int) -> int:
    """Length of the common beginning of two that have `least` tokens of it in common, or are shorter: 0 then.

    By bisection over slices, since a comparison of slices runs in C.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low if low >= least else 0
