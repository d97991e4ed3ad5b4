"""The worker processes of one machine: started, heard, ended; merges are spread over them.

What they are told and say is in `jobs.execution.child_work`. All of a crew must be started by one thread that lives as
long as they do (`jobs.system.child_process`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from jobs.execution.orders import from_text, raise_failure, to_text
from jobs.finalize.merge import MergeTasks
from jobs.finalize.merge_watch import Key, MergeWatch, Shard
from jobs.finalize.shards import MergeSpec, MergeTask
from jobs.storage.failpoints import VARIABLE as FAILPOINT_VARIABLE
from jobs.system.child_process import Bell, ChildProcess, next_ahead, own_environment
from model.errors import ConfigError

MAX_DEATHS_IN_MERGE = 3
MERGES_AT_ONCE = 2  # in a process: one encodes while the other reads and decodes
MERGES_PER_PROCESS = 2  # as many must there be for each before one is started for them
LOOK_S = 5.0  # between two looks at whether processes have ended without a word

_log = logging.getLogger(__name__)


class Crew:
    """The worker processes of one machine. Several steps of a job use them one after the other.

    Args:
        size: Number of processes.
        take_first: Returns a process that is already there, if any, to be the first of them.
        folder: Their current folder; None: ours.
    """

    def __init__(
        self,
        size: int = 1,
        take_first: Callable[[], ChildProcess | None] = lambda: None,
        folder: str | None = None,
    ):
        self.size = size
        self._folder = folder
        self.children: dict[int, ChildProcess] = {}
        self._take_first = take_first
        self._has_started = False
        self._looked_at = time.monotonic()

    def child(self, number: int) -> ChildProcess:
        """The process of this number; starts it if there is none."""
        if number not in self.children:
            first = None if self._has_started else self._take_first()
            self.children[number] = first or self._started_ahead() or ChildProcess(self._environment(), self._folder)
            self._has_started = True
            self.children[number].speak()
        return self.children[number]

    def _started_ahead(self) -> ChildProcess | None:
        return next_ahead(self._environment()) if self._folder is None else None

    def _environment(self) -> dict[str, str]:
        """As it is now: the driver has set the folder of temporary files since."""
        environment = own_environment()
        if self._has_started:
            # A failpoint simulates one failure: of the first process, and of none that replaces it.
            environment.pop(FAILPOINT_VARIABLE, None)
        return environment

    def bury(self, number: int) -> str:
        """Ends a process with all that it has started; returns how it had ended."""
        child = self.children.pop(number)
        how = child.end()
        child.close()
        return how

    def close(self) -> None:
        """Ends all processes."""
        for number in list(self.children):
            self.bury(number)

    def merge(self, spec: MergeSpec, shards: Sequence[Shard]) -> None:
        """Merges shards, spread over the processes; the first error ends it.

        Raises:
            StorageFull, DamagedAttempt: As `jobs.finalize.shards.merge_shard` does.
            ConfigError: A merge killed its process several times, or hangs.
        """
        tasks, watch = MergeTasks(spec, shards, self.size), MergeWatch(spec.row_timeout_s)
        tries: Counter[Key] = Counter()
        under_way: dict[int, dict[Key, MergeTask]] = {number: {} for number in self._for_merges(len(tasks))}
        # Parts of one shard are as many as it takes, so each process needs the memory of one at a time.
        at_once = 1 if tasks.has_parts else min(MERGES_AT_ONCE, -(-len(tasks) // len(under_way)))
        try:
            while tasks or any(under_way.values()):
                for number, mine in under_way.items():
                    while tasks and len(mine) < at_once:
                        task = tasks.take()
                        mine[task.key] = task
                        watch.begin(task.key)
                        self.child(number).send({"merge": to_text((spec, task))})
                busy = [number for number, mine in under_way.items() if mine]
                for number, said in self.hear(busy, min(LOOK_S, watch.period_s)):
                    if said is None:
                        lost, under_way[number] = under_way[number], {}
                        how = self.bury(number)
                        tries.update(lost.keys())
                        _check_tries(tries, how)
                        for key, task in lost.items():
                            watch.end(key)
                            tasks.give_back(task)
                        at_once = 1  # memory may be short
                    elif "failed" in said:
                        raise_failure(said["failed"])
                    elif "merging" in said:
                        watch.progress(tuple(said["merging"]))
                    else:
                        key = tuple(said["merged"])
                        watch.end(key)
                        tasks.end(under_way[number].pop(key), from_text(said["part"]))
                for hung in watch.hung():
                    for key, task in self._end_merge(hung, under_way).items():
                        watch.end(key)
                        tasks.give_back(task)
        except BaseException:
            # What they still do, and what they would say of it, is nobody's any more.
            for number, mine in under_way.items():
                if mine and number in self.children:
                    self.bury(number)
            raise

    def _for_merges(self, tasks: int) -> list[int]:
        """The processes that merge: those that are there, and others if there is so much to do."""
        there = sorted(self.children)
        more = [number for number in range(self.size) if number not in self.children]
        return (there + more)[: min(self.size, max(1, len(there), -(-tasks // MERGES_PER_PROCESS)))]

    def _end_merge(self, key: Key, under_way: dict[int, dict[Key, MergeTask]]) -> dict[Key, MergeTask]:
        """Ends the process in which a merge hangs; returns all that it was merging."""
        for number, mine in under_way.items():
            if key in mine:
                _log.warning("merging shard %s-%05d made no progress; it is begun again", *key[:2])
                self.bury(number)
                under_way[number] = {}
                return mine
        return {}  # it went with another one

    def hear(
        self, numbers: Sequence[int], timeout_s: float, bell: Bell | None = None
    ) -> list[tuple[int, dict[str, Any] | None]]:
        """Waits for what the processes say, at most so long or until the bell rings; returns all of it, None for one
        that has died."""
        by_descriptor = {self.children[number].fileno(): number for number in numbers}
        others = [] if bell is None else [bell.fileno()]
        heard = wait([*by_descriptor, *others], timeout_s)
        if bell is not None:
            bell.silence()
        ready = [by_descriptor[one] for one in heard if isinstance(one, int) and one in by_descriptor]
        ended: set[int] = set()
        if time.monotonic() - self._looked_at > LOOK_S:
            # A process that has ended may have left its pipe open with one that it started.
            ended = {number for number in numbers if self.children[number].has_ended()}
            self._looked_at = time.monotonic()
        found: list[tuple[int, dict[str, Any] | None]] = []
        for number in {*ready, *ended}:
            found += [(number, said) for said in self.children[number].heard()]
            if number in ended or self.children[number].is_gone:
                found.append((number, None))
        return found


def _check_tries(tries: Mapping[Key, int], how: str) -> None:
    for (kind, index, *_), count in tries.items():
        if count >= MAX_DEATHS_IN_MERGE:
            raise ConfigError(
                f"merging shard {kind}-{index:05d} ended its process {count} times ({how}); if memory is short, "
                "lower --workers or give the job more; committed work is kept; run the same command again"
            )
