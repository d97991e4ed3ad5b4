"""Merges all shards of a plan on this machine, several concurrently, because encoding Parquet releases the GIL.

Like units, shards are committed one by one, so a merge may be killed and run again at any point.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence

from jobs.finalize.merge_watch import MergeWatch, Shard
from jobs.finalize.shards import MergeSpec, merge_shard
from transforms.machine import available_cores

MERGES_AT_ONCE = 4
_JOIN_S = 30.0  # for merges that are no longer wanted, which notice it before their next row group

_log = logging.getLogger(__name__)


def merge_all(spec: MergeSpec, shards: Sequence[Shard]) -> None:
    """Merges the shards; the first error cancels the others.

    Raises:
        StorageFull, DamagedAttempt, KeyboardInterrupt: As `merge_shard` does.
        ConfigError: A merge hangs.
    """
    run = _Run(spec)
    waiting, most = deque(shards), min(MERGES_AT_ONCE, available_cores())
    try:
        while waiting or run.under_way:
            while waiting and len(run.under_way) < most:
                run.begin(waiting.popleft())
            run.wait()
    finally:
        run.end()


class _Run:
    """The merges under way, in threads that don't keep the process from ending."""

    def __init__(self, spec: MergeSpec):
        self.under_way: set[Shard] = set()
        self._spec = spec
        self._watch = MergeWatch(spec.row_timeout_s)
        self._is_over = threading.Event()
        self._attempts: Counter[Shard] = Counter()
        self._ended: queue.SimpleQueue[tuple[Shard, int, BaseException | None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def begin(self, shard: Shard) -> None:
        self.under_way.add(shard)
        self._watch.begin(shard)
        self._attempts[shard] += 1
        thread = threading.Thread(target=self._merge, args=(shard, self._attempts[shard]), name="merge", daemon=True)
        thread.start()
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]

    def _merge(self, shard: Shard, attempt: int) -> None:
        progress = functools.partial(self._watch.progress, shard)
        try:
            merge_shard(self._spec, *shard, is_over=self._is_over.is_set, on_progress=progress)
        except BaseException as error:
            self._ended.put((shard, attempt, error))
        else:
            self._ended.put((shard, attempt, None))

    def wait(self) -> None:
        """Waits until a merge has ended or hangs. Raises what one has raised."""
        with contextlib.suppress(queue.Empty):
            shard, attempt, error = self._ended.get(timeout=self._watch.period_s)
            if error is None:
                self._watch.end(shard)
                self.under_way.discard(shard)
            elif attempt == self._attempts[shard] and shard in self.under_way:
                raise error
            # Else that of an attempt that was given up: the storage has remembered a request that it had forgotten.
        for shard in self._watch.hung():
            _log.warning("merging shard %s-%05d made no progress; it is begun again", *shard)
            self.begin(shard)

    def end(self) -> None:
        """Waits for the merges, though not for what hangs."""
        self._is_over.set()
        deadline = time.monotonic() + min(_JOIN_S, self._spec.row_timeout_s)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
