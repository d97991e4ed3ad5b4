"""Merges all shards of a plan on this machine: what there is to do for processes, or in threads of one.

A few shards are divided, so that all processes have something to do: each encodes some row groups, in a file, and one
of them puts the shard together. Its bytes are the same. In a bucket, that would be written and read once more, so there
shards are whole. In one process, several are merged concurrently, because encoding Parquet releases the GIL.

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
from collections.abc import Iterator, Sequence

from jobs import storage
from jobs.finalize.merge_watch import MergeWatch, Shard
from jobs.finalize.shards import EncodedPart, MergeSpec, MergeTask, count_groups, merge_shard
from transforms.machine import available_cores

MERGES_AT_ONCE = 4
_JOIN_S = 30.0  # for merges that are no longer wanted, which notice it before their next row group

_LEAST_GROUPS = 4  # in a shard that is divided
_PARTS_PER_PROCESS = 4  # a part takes as long as its rows have it, so the last ones should be small
_MAX_GROUPS = 8  # in a part: about 40 MB of an encoded part are in memory when its shard is put together

_log = logging.getLogger(__name__)


class MergeTasks:
    """What is left to do for shards. Not thread-safe.

    Args:
        spec: The merge.
        shards: The shards.
        processes: How many processes there can be for them.
    """

    def __init__(self, spec: MergeSpec, shards: Sequence[Shard], processes: int):
        whole = [MergeTask(*shard) for shard in shards]
        self._parts: dict[Shard, list[EncodedPart | None]] = {}
        self._groups: dict[Shard, int] = {}
        self._waiting: deque[MergeTask] = deque()
        if processes > 1 and len(shards) < _PARTS_PER_PROCESS * processes and storage.is_local(spec.job_dir.path):
            for shard, groups, count in _divided(spec, shards, processes):
                self._parts[shard], self._groups[shard] = [None] * count, groups
                self._waiting += [MergeTask(*shard, groups, part) for part in range(count)]
        self._waiting += [task for task in whole if (task.kind, task.index) not in self._parts]

    def __len__(self) -> int:
        """Tasks that wait to be taken."""
        return len(self._waiting)

    @property
    def has_parts(self) -> bool:
        """Whether a shard is divided."""
        return bool(self._parts)

    def take(self) -> MergeTask:
        """Takes the next task."""
        return self._waiting.popleft()

    def end(self, task: MergeTask, encoded: EncodedPart | None) -> None:
        """Takes what became of a task; with the last part of a shard, its merge waits to be taken."""
        if task.part is None:
            return
        parts = self._parts[task.kind, task.index]
        parts[task.part] = encoded
        if None not in parts:
            groups = self._groups[task.kind, task.index]
            self._waiting.append(MergeTask(task.kind, task.index, groups, encoded=tuple(filter(None, parts))))

    def give_back(self, task: MergeTask) -> None:
        """Has a task done again."""
        self._waiting.append(task)


def _divided(spec: MergeSpec, shards: Sequence[Shard], processes: int) -> Iterator[tuple[Shard, int, int]]:
    """Yields the shards that are worth dividing, each with how many row groups a part has, and how many parts."""
    counts = {shard: count_groups(spec, *shard) for shard in shards if shard[0] == "train"}
    groups = max(1, min(_MAX_GROUPS, sum(counts.values()) // (_PARTS_PER_PROCESS * processes)))
    for shard, count in counts.items():
        if count >= 2 * groups and count >= _LEAST_GROUPS:
            yield shard, groups, -(-count // groups)


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
