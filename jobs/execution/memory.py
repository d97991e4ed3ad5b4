"""Ends the largest worker before the control group's limit ends all of them, and their parent with them.

A container's limit may end every process of its group together (`memory.oom.group`, which Kubernetes sets): then nobody
is left to see which rows were in flight, and they run again and again. So the parent watches what the group's processes
hold against the limit, and ends the largest worker first, a death that it has seen.

    held     what can't be given back: anonymous and shared memory, and the kernel's. Not the page cache, which fills
             any group that reads files, and is dropped when memory is needed.
    looks    the rarer, the more room there is: no faster than it can fill

Nothing is watched where no group limits memory: the kernel then ends one process, which the parent sees. Nothing is
ended while the workers hold less than half: ending them would mend nothing. Cost: a small read each second.

Several parents may have workers in one group, such as two workers of a Beam runner in a container. Each counts all of
them, and leaves it to the parent of the largest to end it, unless that takes too long.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from jobs.system.child_process import CHILD_MODULE
from transforms.machine import GroupMemory, group_memory

# Kept free of the limit: what grows between two looks, and page cache without which the group stands still.
_SPARE: Final = 0.05
_MIN_SPARE_BYTES, _MAX_SMALL_SPARE = 100e6, 0.2
_FILLING_BYTES_S: Final = 8e9  # as fast as a few cores touch new pages
_MIN_PERIOD_S, _MAX_PERIOD_S = 0.02, 1.0
_OURS: Final = 0.5  # of what the group holds
_PATIENCE_S: Final = 3.0  # with another parent, which looks at least every second

_log = logging.getLogger(__name__)


class MemoryWatch:
    """Watches the memory of workers and of what they have started.

    Args:
        read: Reads what the group holds; None where nothing limits it.
        sizes: Returns the bytes that each of these process groups holds, and those of other parents' workers.
    """

    def __init__(
        self,
        read: Callable[[], GroupMemory | None] = group_memory,
        sizes: Callable[[Collection[int]], Mapping[int, int]] | None = None,
    ):
        self._read = read
        self._sizes = sizes or bytes_of_workers
        self._is_limited = read() is not None
        self._next_look = 0.0
        self._has_warned = False
        self._short_since: float | None = None

    def wait_s(self, now: float | None = None) -> float:
        """Seconds until the next look; endless where nothing is watched."""
        if not self._is_limited:
            return float("inf")
        return max(0.0, self._next_look - (time.monotonic() if now is None else now))

    def find_victim(self, groups: Mapping[int, int], now: float | None = None) -> tuple[int, str] | None:
        """Returns the worker to end, and why; None while there is room.

        Args:
            groups: The process group of each worker.
            now: Monotonic time in seconds.
        """
        now = time.monotonic() if now is None else now
        if self.wait_s(now) > 0:
            return None
        self._next_look = now + _MAX_PERIOD_S  # also where nothing can be read anymore
        if (memory := self._read()) is None:
            return None
        spare = max(_SPARE * memory.limit, min(_MIN_SPARE_BYTES, _MAX_SMALL_SPARE * memory.limit))
        room = memory.limit - spare - memory.held
        self._next_look = now + min(_MAX_PERIOD_S, max(_MIN_PERIOD_S, room / _FILLING_BYTES_S))
        if room > 0 or not groups:
            self._short_since = None
            return None
        self._short_since = now if self._short_since is None else self._short_since
        sizes = self._sizes(list(groups.values()))
        held = {number: sizes.get(group, 0) for number, group in groups.items()}
        if sum(sizes.values()) < _OURS * memory.held:
            self._warn(memory)
            return None
        largest = max(held, key=lambda number: (held[number], groups[number]))
        is_ours = (held[largest], groups[largest]) >= max((size, group) for group, size in sizes.items())
        if not is_ours and now - self._short_since < _PATIENCE_S:
            return None
        self._short_since = None
        return largest, (
            f"ended for lack of memory: it held {held[largest] / 1e9:,.2f} GB when its control group held "
            f"{memory.held / 1e9:,.2f} of {memory.limit / 1e9:,.2f} GB"
        )

    def _warn(self, memory: GroupMemory) -> None:
        if not self._has_warned:
            _log.warning(
                "memory is short (%.2f of %.2f GB are held), but most of it is held by others than the workers",
                memory.held / 1e9,
                memory.limit / 1e9,
            )
        self._has_warned = True


def bytes_of_workers(groups: Collection[int], proc: str = "/proc") -> dict[int, int]:
    """Returns the bytes of memory that each of these process groups holds, without pages of files, and each worker of
    another parent in our control group.

    It must be quick, since the memory grows meanwhile: pages that processes share are counted in each of them.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    found: Counter[int] = Counter(dict.fromkeys(groups, 0))
    for pid in filter(str.isdecimal, os.listdir(proc)):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended, or is another user's
            group = int(_read(proc, pid, "stat").rpartition(")")[2].split()[2])
            resident, shared = _read(proc, pid, "statm").split()[1:3]
            found[group] += page * (int(resident) - int(shared))
    return {group: size for group, size in found.items() if group in groups or _is_worker(group, proc)}


def _is_worker(group: int, proc: str) -> bool:
    """Whether a process group is that of a worker in our control group; a worker leads its group."""
    try:
        words = _read(proc, str(group), "cmdline").split("\0")
        return CHILD_MODULE in words and _read(proc, str(group), "cgroup") == _read(proc, "self", "cgroup")
    except OSError:
        return False


def _read(*parts: str) -> str:
    with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:
        return file.read()
