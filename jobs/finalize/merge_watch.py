"""Detects merges that hang: no file read, no row group written for `--row_timeout_s`.

A merge that hangs is begun again once, elsewhere, since a storage may have forgotten a request; then the job ends in
one line. Others that are under way go on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from jobs.finalize.shard_plan import Kind
from model.errors import ConfigError

MAX_HANGS = 2
_START_S = 60.0  # for a process that has to start before it says anything

Shard = tuple[Kind, int]
Key = tuple[Any, ...]
"""What tells a merge from others: its kind and index, and maybe more."""


class MergeWatch:
    """Watches merges.

    Args:
        timeout_s: The longest time without progress, in seconds.
        now: A monotonic clock in seconds.
    """

    def __init__(self, timeout_s: float, now: Callable[[], float] = time.monotonic):
        self._timeout_s = timeout_s
        self._now = now
        self._until: dict[Key, float] = {}  # progress is due
        self._hangs: Counter[Key] = Counter()

    @property
    def period_s(self) -> float:
        """Seconds between two looks."""
        return min(5.0, max(0.05, self._timeout_s / 4))

    def begin(self, shard: Key) -> None:
        """A merge was given to somebody, who says `progress` when it begins."""
        self._until[shard] = self._now() + max(self._timeout_s, _START_S)

    def progress(self, shard: Key) -> None:
        """It goes on. Does nothing if nobody waits for it anymore."""
        if shard in self._until:
            self._until[shard] = self._now() + self._timeout_s

    def end(self, shard: Key) -> None:
        """It has ended, in whatever way; or it waits to begin again."""
        self._until.pop(shard, None)

    def hung(self) -> list[Key]:
        """Returns the merges that have hung since the last look; they have ended.

        Raises:
            ConfigError: One of them hangs for the second time.
        """
        now = self._now()
        found = [shard for shard, until in self._until.items() if now > until]
        for shard in found:
            self.end(shard)
            self._hangs[shard] += 1
            if self._hangs[shard] >= MAX_HANGS:
                kind, index, *_ = shard
                raise ConfigError(
                    f"merging shard {kind}-{index:05d} made no progress for {self._timeout_s:,.0f} s, twice; check "
                    "that the storage of --output responds, or raise --row_timeout_s if it is slow; committed work is "
                    "kept; run the same command again"
                )
        return found
