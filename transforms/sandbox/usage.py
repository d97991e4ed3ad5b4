"""What the processes of a box use together: processor time, memory, and the time in which they waited for a processor.

    memory      what the processes have in memory and no file holds. Where forked processes share pages, those are
                counted several times, so a sum that looks too large is measured again by proportional shares
                (`smaps_rollup`, slower to read)
    processor   of the processes that there are with the children that they have waited for, or of all that were ever
                seen, whichever is more: a child that nobody waits for takes its time along
    waiting     between two looks: what the thread that waited longest waited, but no more than the time in which none
                of the box's threads ran. Threads wait for each other too, which is the program's own affair

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
        self._delay_s: dict[tuple[int, int], float] = {}  # by thread
        self._cpu_s = 0.0
        self._waited_s = 0.0

    def look(self, now: float) -> Usage:
        """What has been used; processes that end while this looks count by what they had used before."""
        with_children_s, memory, delays = 0.0, 0, dict[tuple[int, int], float]()
        for pid in descendants(self.first):
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name, in parentheses, may hold anything.
                fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
                # Fields 14 to 17 and 22 of proc(5): its own time, that of its children that have ended, and its start.
                own_s, children_s = sum(map(int, fields[11:13])) / _TICKS, sum(map(int, fields[13:15])) / _TICKS
                self._seen_cpu_s[pid, int(fields[19])] = own_s
                with_children_s += own_s + children_s
                memory += private_memory(pid)
                delays.update(_delays(pid))
        used_s = max(with_children_s, sum(self._seen_cpu_s.values()), self._cpu_s)
        longest_s = max((delay - self._delay_s.get(thread, 0.0) for thread, delay in delays.items()), default=0.0)
        idle_s = max(0.0, now - self._looked - (used_s - self._cpu_s))
        self._waited_s += min(max(0.0, longest_s), idle_s)
        self._delay_s, self._cpu_s, self._looked = delays, used_s, now
        return Usage(used_s, self._waited_s, memory)

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


def _delays(pid: int) -> Iterator[tuple[tuple[int, int], float]]:
    """What each thread of a process has waited for a processor, in seconds."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            yield (pid, int(task)), int(_read(f"/proc/{pid}/task/{task}/schedstat").split()[1]) / 1e9


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
