"""Whether a process that was killed had run out of memory: what the kernel counted, before and after.

The kernel's out-of-memory killer leaves a process no last word: it ends by SIGKILL, as if somebody had killed it. Each
control group counts these kills, so a count that has risen while the process ran says why it probably died:

    version 2   /sys/fs/cgroup/<group>/memory.events           oom_kill N
    version 1   /sys/fs/cgroup/memory/<group>/memory.oom_control   oom_kill N
    neither     /proc/vmstat                                   oom_kill N, of the whole machine

`transforms.machine.group_folders` finds the folders. Cost: a few small reads.
Source: docs.kernel.org/admin-guide/cgroup-v2.html, "memory.events".
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from transforms.machine import group_folders

_CGROUPS: Final = "/sys/fs/cgroup"
_PROC: Final = "/proc"
_NAME: Final = "oom_kill"


@dataclass(frozen=True, slots=True)
class OomKills:
    """Number of out-of-memory kills so far, and where it was read; "" if nothing counts them."""

    count: int
    source: str = ""

    def explain_since(self, before: OomKills) -> str:
        """Returns why a process that got SIGKILL in between probably died; "" if no kill was counted."""
        if not self.source or self.source != before.source or self.count <= before.count:
            return ""
        return f"probably out of memory: {self.source} counted an OOM kill"


def count_oom_kills(cgroups: str = _CGROUPS, proc: str = _PROC) -> OomKills:
    """Reads the number of out-of-memory kills in this process's control group, else on this machine."""
    for path in [*_group_files(cgroups, proc), os.path.join(proc, "vmstat")]:
        found = _read_count(path)
        if found is not None:
            return OomKills(found, path)
    return OomKills(0)


def _group_files(cgroups: str, proc: str) -> list[str]:
    folders = group_folders("memory", cgroups, proc)
    return [os.path.join(folder, name) for folder in folders for name in ("memory.events", "memory.oom_control")]


def _read_count(path: str) -> int | None:
    try:
        with open(path, encoding="utf-8") as file:
            counts = [line.split() for line in file]
    except (OSError, ValueError):
        return None
    return next((int(words[1]) for words in counts if len(words) == 2 and words[0] == _NAME), None)
