"""Claims: which of several hosts works on which units of a plan, agreed on through the storage alone.

    _job/claims/000128-000192.1    {"holder": "node7-3f1c", "begin": 128, "end": 192}     the first claim of a range
    _job/claims/000128-000192.2    {"holder": "node2-9b0e", "begin": 160, "end": 192}     the next one: a part of it

The claims of a range (`jobs.plan.ranges`) are a log: each is created only if absent, under the next *claim generation*,
so whoever creates it knows all those before it. A unit belongs to the holder of the last claim that covers it. There
are three reasons to claim:

    free        nothing covers these units. A range is claimed whole while there are many; near the end a part of what
                is left, half of a fair share, so that all hosts end together
    given up    the holder's heartbeat has stopped or no longer vouches for the range (`jobs.ledger.claimants`)
    divided     everything is claimed: the later half of what a busy holder has not begun

Claims only save work. What counts is the commit, so two hosts with the same unit are harmless: a holder that was
thought dead and goes on loses the race for its commits, and finds the next claim when it looks (`look_at_mine`).

Each host walks the ranges in an order of its own, so two seldom ask for the same one. Requests: one to create a claim,
and one listing of the claims each time about a quarter of the free ranges has been taken. Commits are listed when a
host joins and when no range is free anymore; from then on it asks only about ranges that others hold, a few at a time.
"""

from __future__ import annotations

import json
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from jobs import storage
from jobs.ledger.claimants import STALE_S, Claimant, Judge, list_claimants, read_claimant
from jobs.ledger.commits import committed_among, list_commits
from jobs.plan.ranges import PlannedUnits, Span, cut_spans, fit_to_groups, position_of
from jobs.storage.folders import JobFolder

_LOST_IN_A_ROW = 3  # free ranges that others had claimed, before the claims are listed again
_WINDOW = 16  # ranges of others that one look asks about
_DIVISIONS = 3  # of them, that one look tries to divide
_TAKEN_SHARE = 4  # the claims are listed again when 1 / so much of the free ranges has probably been taken

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """From now on, the units from `begin` to `end` belong to `holder`."""

    holder: str
    begin: int
    end: int


class Claims:
    """The claims of one host. Not thread-safe.

    Args:
        job_dir: The job's folder.
        me: The claimant; its heartbeat is written before the first claim.
        planned: The frozen plan.
        stale_s: For how long a claim lasts without a heartbeat that vouches for it.
        now: A monotonic clock in seconds.
        store: The storage; tests pass a simulated one.
    """

    def __init__(
        self,
        job_dir: JobFolder,
        me: Claimant,
        planned: PlannedUnits,
        *,
        now: Callable[[], float],
        stale_s: float = STALE_S,
        spans: Sequence[Span] | None = None,
        store: ModuleType | Any = storage,
    ):
        self._job_dir = job_dir
        self._me = me.claimant_id
        self._planned = planned
        self._now = now
        self._judge = Judge(stale_s)
        self._store = store
        self._spans = list(spans or cut_spans(planned.starts))
        self._done = bytearray(len(planned))
        self._logs: dict[Span, list[Claim]] = {}  # as far as they have been read
        self._listed: dict[str, int] = {}  # highest claim generation, by range
        self._hosts = 1
        self._mine: dict[Span, set[int]] = {}  # not committed yet
        self._begun: set[int] = set()
        self._random = random.Random(self._me)
        order = list(self._spans)
        self._random.shuffle(order)
        self._order = order
        self._free: deque[Span] = deque()
        self._others: deque[Span] | None = None  # once nothing is free
        self._claimed = self._lost = 0  # free ranges since the claims were listed
        self._listed_free = 0

    def open(self) -> None:
        """Lists commits and claims."""
        self._list_commits()
        self._list_claims()

    @property
    def is_over(self) -> bool:
        """Whether every unit of the plan has a commit, as far as is known; commits are never guessed."""
        return not self._mine and all(self._done)

    @property
    def is_dry(self) -> bool:
        """Whether no range is free: what can be had is what others give up, or do not begin soon."""
        return self._others is not None

    @property
    def left(self) -> int:
        """Number of units that have no commit, as far as is known."""
        return len(self._done) - sum(self._done)

    # --- what this host does with its units ----------------------------------------------------------

    def begin(self, position: int) -> None:
        """Records that this host has begun a unit: nobody should take it from now on."""
        self._begun.add(position)

    def finish(self, position: int) -> None:
        """Records that a unit is committed."""
        self._done[position] = 1
        self._begun.discard(position)
        for span in [span for span, left in self._mine.items() if position in left]:
            self._mine[span].discard(position)
            if not self._mine[span]:
                del self._mine[span]

    def holds(self) -> dict[str, tuple[int, int]]:
        """What the heartbeat vouches for: the ranges, with the last part of each that has not been begun."""
        found = {}
        for span, left in self._mine.items():
            waiting = left - self._begun
            end = max(waiting, default=span.begin - 1) + 1
            begin = end
            while begin - 1 in waiting:
                begin -= 1
            found[span.name] = (begin, end)
        return found

    def look_at_mine(self) -> list[int]:
        """Looks whether others have claimed units of this host, because they thought it dead or had nothing to do.

        Returns the units that it should not begin anymore.
        """
        for span in self._mine:
            while self._read_next(span):
                pass
        # Nothing can fail from here on, and claims that were read earlier, whatever for, are seen as well.
        lost: list[int] = []
        for span, left in list(self._mine.items()):
            owners = self._owners(span)
            gone = {position for position in left - self._begun if owners[position - span.begin] != self._me}
            left -= gone
            lost += gone
            if not left:
                del self._mine[span]
        return lost

    # --- claiming -----------------------------------------------------------------------------------

    def claim(self) -> list[int]:
        """Claims units and returns their positions; none if there are none to be had now.

        Raises what the storage raises: the caller tries again later. A claim whose response was lost is found then.
        """
        while self._others is None:
            if (span := self._next_free()) is not None:
                if got := self._claim_free(span):
                    return got
            else:
                self._list_commits()
                self._list_claims()
                if not self._free:
                    self._others = deque(span for span in self._order if not self._is_done(span))
        return self._claim_of_others(self._others)

    def _next_free(self) -> Span | None:
        enough = self._claimed * self._hosts * _TAKEN_SHARE >= max(1, self._listed_free)
        if self._lost >= _LOST_IN_A_ROW or (self._claimed and enough and self._hosts > 1):
            self._list_claims()
        return self._free.popleft() if self._free else None

    def _claim_free(self, span: Span) -> list[int]:
        units_left = sum(len(other) for other in self._free) + len(span)
        end = self._part(span, span.begin, span.end, units_left)
        got = self._append(span, span.begin, end)
        self._claimed += 1
        self._lost = 0 if got else self._lost + 1
        return got

    def _part(self, span: Span, begin: int, end: int, units_left: int) -> int:
        """Returns the end of what to claim of free units: half of a fair share of what is left, but whole row groups
        where they are not too long."""
        length = max(1, min(end - begin, units_left // (2 * self._hosts)))
        return fit_to_groups(self._planned.starts, begin, length, end, longest=2 * length)

    def _claim_of_others(self, others: deque[Span]) -> list[int]:
        """Looks at some ranges that are not committed; takes what is free, given up, or can be divided."""
        beats: dict[str, tuple[bytes, Claimant] | None] = {}
        window = [others.popleft() for _ in range(min(_WINDOW, len(others)))]
        divisible = []
        try:
            for span in window:
                while self._read_next(span):
                    pass
                if (part := self._open_part(span, beats)) is not None:
                    if got := self._take(span, *part):
                        return got
                elif self._divisible_part(span, beats) is not None:
                    divisible.append(span)
            # Not the longest first: all hosts without work would want the same one.
            for span in self._random.sample(divisible, min(_DIVISIONS, len(divisible))):
                if got := self._divide(span, beats):
                    return got
            return []
        finally:
            others.extend(span for span in window if not self._is_done(span))

    def _divide(self, span: Span, beats: dict[str, tuple[bytes, Claimant] | None]) -> list[int]:
        """Claims a part of what a busy holder has not begun, as far as its last heartbeat and the commits tell."""
        self._ask_for_commits(span)
        part = self._divisible_part(span, beats)
        return self._append(span, *part) if part else []

    def _take(self, span: Span, begin: int, end: int) -> list[int]:
        """Takes units that nobody works on: claims them, or, if this host has claimed them already, goes on with
        them (the response to a claim was lost, or a commit was voided)."""
        owners = self._owners(span)
        if owners[begin - span.begin] == self._me:
            return self._keep(span, begin, end)
        return self._append(span, begin, end)

    def _open_part(self, span: Span, beats: dict[str, tuple[bytes, Claimant] | None]) -> tuple[int, int] | None:
        """The first part of a range that is free or given up, or that this host holds without working on it."""
        owners = self._owners(span)
        in_hand = self._mine.get(span, set())
        for holder in dict.fromkeys(owners):
            left = [p for p in range(span.begin, span.end) if owners[p - span.begin] == holder and not self._done[p]]
            if holder == self._me:
                left = [p for p in left if p not in in_hand]
            if not left or (holder not in (None, self._me) and not self._is_given_up(span, holder, beats)):
                continue
            left = [p for p in left if not self._done[p]]  # the look may have found commits
            if left:
                end = next((p for p in left if p + 1 not in left), left[0]) + 1
                return left[0], self._part(span, left[0], end, end - left[0]) if holder is None else end
        return None

    def _is_given_up(self, span: Span, holder: str, beats: dict[str, tuple[bytes, Claimant] | None]) -> bool:
        if holder not in beats:
            beats[holder] = read_claimant(self._job_dir, holder, store=self._store)
        found = beats[holder]
        is_stale = self._judge.is_stale(found, self._now(), claimant_id=holder, span=span.name)
        if found is None or found[1].ended or span.name not in found[1].holds:
            self._ask_for_commits(span)  # it is probably done
        return is_stale

    def _divisible_part(self, span: Span, beats: dict[str, tuple[bytes, Claimant] | None]) -> tuple[int, int] | None:
        """The later half of what the holder of a range has not begun, if that is more than one unit."""
        owners = self._owners(span)
        best: tuple[int, int] | None = None
        for holder in {owner for owner in owners if owner not in (None, self._me)}:
            found = beats.get(holder)
            begin, end = found[1].holds.get(span.name, (0, 0)) if found else (0, 0)
            middle = begin + (end - begin + 1) // 2
            while middle < end and (owners[middle - span.begin] != holder or self._done[middle]):
                middle += 1  # somebody else was faster
            if middle < end and all(owners[p - span.begin] == holder for p in range(middle, end)):
                best = max(best or (end, end), (middle, end), key=lambda part: part[1] - part[0])
        return best

    # --- the log of a range -------------------------------------------------------------------------

    def _append(self, span: Span, begin: int, end: int) -> list[int]:
        """Appends a claim to the log of a range; returns its units that have no commit, none if another was first."""
        log = self._logs.setdefault(span, [])
        claim = Claim(self._me, begin, end)
        path = self._job_dir.claim(span.name, len(log) + 1)
        if not self._store.create_if_absent(path, json.dumps(asdict(claim)).encode()):
            # Another claimant was first, or our own create took effect earlier.
            if not self._read_next(span) or log[-1] != claim:
                return []
        else:
            log.append(claim)
        self._listed[span.name] = max(self._listed.get(span.name, 0), len(log))
        return self._keep(span, begin, end)

    def _keep(self, span: Span, begin: int, end: int) -> list[int]:
        in_hand = self._mine.get(span, set())
        got = [position for position in range(begin, end) if not self._done[position] and position not in in_hand]
        if got:
            self._mine.setdefault(span, set()).update(got)
            self._begun.difference_update(got)
        return got

    def _read_next(self, span: Span) -> bool:
        """Reads the next claim of a range, if there is one."""
        log = self._logs.setdefault(span, [])
        try:
            data = self._store.read_bytes(self._job_dir.claim(span.name, len(log) + 1))
        except FileNotFoundError:
            return False
        log.append(Claim(**json.loads(data)))
        return True

    def _owners(self, span: Span) -> list[str | None]:
        """The holder of each unit of a range; None: free."""
        owners: list[str | None] = [None] * len(span)
        for claim in self._logs.get(span, []):
            owners[claim.begin - span.begin : claim.end - span.begin] = [claim.holder] * (claim.end - claim.begin)
        return owners

    # --- listings -----------------------------------------------------------------------------------

    def _list_commits(self) -> None:
        done = bytearray(len(self._done))
        for unit_id in list_commits(self._job_dir, store=self._store):
            done[position_of(unit_id)] = 1
        self._done = done
        for span in list(self._mine):
            self._drop_done(span)

    def _ask_for_commits(self, span: Span) -> None:
        for unit_id in committed_among(self._job_dir, self._planned.ids(span), store=self._store):
            self._done[position_of(unit_id)] = 1
        self._drop_done(span)

    def _drop_done(self, span: Span) -> None:
        if span in self._mine:
            self._mine[span] -= {position for position in self._mine[span] if self._done[position]} - self._begun
            if not self._mine[span]:
                del self._mine[span]

    def _list_claims(self) -> None:
        listed: dict[str, int] = {}
        for name in self._store.list_names(self._job_dir.claims):
            span, _, generation = name.rpartition(".")
            listed[span] = max(listed.get(span, 0), int(generation))
        self._listed = listed
        self._free = deque(span for span in self._order if span.name not in listed and not self._is_done(span))
        self._hosts = max(1, len(list_claimants(self._job_dir, store=self._store)))
        self._claimed = self._lost = 0
        self._listed_free = len(self._free)

    def _is_done(self, span: Span) -> bool:
        return all(self._done[span.begin : span.end])
