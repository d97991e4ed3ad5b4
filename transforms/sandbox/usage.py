"""What the processes of a box use together: processor time, memory, and the time in which they waited for a processor.

    memory      what the processes have in memory and no file holds. Where forked processes share pages, those are
                counted several times, so a sum that looks too large is measured again by proportional shares
                (`smaps_rollup`, slower to read)
    processor   of the processes that there are with the children that they have waited for, or of all that were ever
                seen, whichever is more: a child that nobody waits for takes its time along
    waiting     between two looks: what the thread that waited longest waited, but no more than the time in which none
                of the box's threads ran. Threads wait for each other too, which is the program's own affair. The kernel
                counts a wait when it ends; one that lasts is told by a thread that could run and doesn't

Source: proc(5); run delay in /proc/PID/task/TID/schedstat is Documentation/scheduler/sched-stats.rst's second number.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used so far: seconds of processor time, and of waiting for it; bytes of memory now."""

    cpu_s: float
    waited_s: float
    memory: int


@dataclass(frozen=True, slots=True)
class _Thread:
    """A thread at a look: what the kernel had counted (ns run, ns waited), since when that is so, and its waiting."""

    counted: tuple[int, int]
    since: float
    waited_s: float


class Meter:
    """Looks at a process and its descendants now and then.

    Args:
        first: The process.
        began: When it began, by the monotonic clock.
    """

    def __init__(self, first: int, began: float):
        self.first = first
        self._looked = began
        self._seen_cpu_s: dict[tuple[int, int], float] = {}  # by process and when it started, since numbers return
        self._threads: dict[tuple[int, int], _Thread] = {}
        self._cpu_s = 0.0
        self._waited_s = 0.0

    def look(self, now: float) -> Usage:
        """What has been used; processes that end while this looks count by what they had used before."""
        with_children_s, memory, threads = 0.0, 0, dict[tuple[int, int], _Thread]()
        for pid in descendants(self.first):
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name, in parentheses, may hold anything.
                fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
                # Fields 14 to 17 and 22 of proc(5): its own time, that of its children that have ended, and its start.
                own_s, children_s = sum(map(int, fields[11:13])) / _TICKS, sum(map(int, fields[13:15])) / _TICKS
                self._seen_cpu_s[pid, int(fields[19])] = own_s
                with_children_s += own_s + children_s
                memory += private_memory(pid)
                threads.update(self._threads_of(pid, now))
        used_s = max(with_children_s, sum(self._seen_cpu_s.values()), self._cpu_s)
        before = {name: thread.waited_s for name, thread in self._threads.items()}
        longest_s = max((one.waited_s - before.get(name, 0.0) for name, one in threads.items()), default=0.0)
        idle_s = max(0.0, now - self._looked - (used_s - self._cpu_s))
        self._waited_s += min(max(0.0, longest_s), idle_s)
        self._threads, self._cpu_s, self._looked = threads, used_s, now
        return Usage(used_s, self._waited_s, memory)

    def _threads_of(self, pid: int, now: float) -> Iterator[tuple[tuple[int, int], _Thread]]:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                ran, delay = map(int, _read(f"/proc/{pid}/task/{task}/schedstat").split()[:2])
                name, waited_s, since = (pid, int(task)), delay / 1e9, now
                before = self._threads.get(name)
                if before is not None and before.counted == (ran, delay):
                    since = before.since
                    if _is_runnable(pid, task):
                        waited_s += now - since
                yield name, _Thread((ran, delay), since, waited_s)

    def exact_memory(self) -> int:
        """Bytes of memory now, with shared pages counted once."""
        total = 0
        for pid in descendants(self.first):
            with contextlib.suppress(OSError, ValueError, IndexError):
                total += _proportional_memory(pid)
        return total


def descendants(first: int) -> Iterator[int]:
    """Yields a process and all its descendants."""
    waiting, seen = [first], {first}
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                children = set(map(int, _read(f"/proc/{pid}/task/{task}/children").split())) - seen
                seen |= children
                waiting += children


def _is_runnable(pid: int, task: str) -> bool:
    return _read(f"/proc/{pid}/task/{task}/stat").rpartition(b")")[2].split()[0] == b"R"


def private_memory(pid: int) -> int:
    """Bytes of a process's memory that no file holds; pages that it shares with others count in full."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))


def _proportional_memory(pid: int) -> int:
    lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
