"""What this process may use of the machine: cores and memory, as affinity and control groups limit them.

    cores     the processors of its affinity mask, at most the quota of its control groups, rounded up
    memory    the machine's, at most the limit of its control groups

A container may show the whole machine in `/proc` and yet get half a core and 512 MB of it, so both limits are read.

    version 2   <group>/cpu.max             "QUOTA PERIOD" or "max PERIOD"
                <group>/memory.max          bytes or "max"
    version 1   cpu/<group>/cpu.cfs_quota_us, cpu.cfs_period_us      a quota of -1: no limit
                memory/<group>/memory.limit_in_bytes                 a huge number: no limit

What a group holds, other than page cache, is the sum of some lines of its `memory.stat`.

A group's parents limit it as well. Cost: a few small reads. Source: docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_CGROUPS: Final = "/sys/fs/cgroup"
_PROC: Final = "/proc"
_HELD: Final = (
    *("anon", "shmem", "kernel_stack", "pagetables", "percpu", "sock", "slab_unreclaimable"),  # version 2
    *("total_rss", "total_shmem"),  # version 1, with the groups below
)


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """The memory of a control group, in bytes: what its processes hold and can't give back, and its limit."""

    held: int
    limit: int


def available_cores(cgroups: str = _CGROUPS, proc: str = _PROC) -> int:
    """Number of cores that this process may keep busy, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in group_folders("cpu", cgroups, proc) if (quota := _cpu_quota(folder)) is not None]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def available_memory(cgroups: str = _CGROUPS, proc: str = _PROC) -> int:
    """Bytes of memory that this process may use, with all others of its control group; what others use counts too."""
    limits = [limit for folder in group_folders("memory", cgroups, proc) if (limit := _memory_limit(folder))]
    return min([_machine_memory(proc), *limits])


def group_memory(cgroups: str = _CGROUPS, proc: str = _PROC) -> GroupMemory | None:
    """The memory of the control group, of this process's and their parents, that has the least room left; None where
    none limits it to less than the machine has, or nothing says what it holds."""
    machine = _machine_memory(proc)
    found: list[GroupMemory] = []
    for folder in group_folders("memory", cgroups, proc):
        limit = _memory_limit(folder)
        held = _held(folder) if limit and limit < machine else None
        if limit and held is not None:
            found.append(GroupMemory(held, limit))
    return min(found, key=lambda group: group.limit - group.held, default=None)


def group_folders(controller: str, cgroups: str = _CGROUPS, proc: str = _PROC) -> Iterator[str]:
    """Yields the folders of this process's control group and of its parents, innermost first.

    In a container, the group's folder may be mounted as the root, which is always the last one.
    """
    try:
        with open(os.path.join(proc, "self", "cgroup"), encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except (OSError, ValueError):
        return
    for _, controllers, group in (line for line in lines if len(line) == 3):
        if controllers and controller not in controllers.split(","):
            continue
        root = os.path.join(cgroups, controller) if controllers else cgroups
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for length in range(len(parts), -1, -1):
            yield os.path.join(root, *parts[:length])


def _cpu_quota(folder: str) -> float | None:
    """The group's own limit in cores; None if it has none."""
    if words := _words(os.path.join(folder, "cpu.max")):
        quota, period = words[0], words[1] if len(words) > 1 else "100000"
    else:
        quota, period = (
            next(iter(_words(os.path.join(folder, f"cpu.cfs_{name}_us"))), "") for name in ("quota", "period")
        )
    if not (quota.isdecimal() and period.isdecimal()) or not int(period):
        return None
    return int(quota) / int(period)


def _memory_limit(folder: str) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        words = _words(os.path.join(folder, name))
        if words and words[0].isdecimal():
            return int(words[0])
    return None


def _held(folder: str) -> int | None:
    try:
        with open(os.path.join(folder, "memory.stat"), encoding="utf-8") as file:
            counts = {words[0]: int(words[1]) for words in map(str.split, file) if len(words) == 2}
    except (OSError, ValueError):
        return None
    there = [counts[name] for name in _HELD if name in counts]
    return sum(there) if there else None


def _machine_memory(proc: str) -> int:
    try:
        with open(os.path.join(proc, "meminfo"), encoding="utf-8") as file:
            found = next(line.split() for line in file if line.startswith("MemTotal:"))
        return int(found[1]) * 1024
    except (OSError, ValueError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().split()
    except (OSError, ValueError):
        return []
