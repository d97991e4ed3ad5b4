"""Runs a command and measures the memory of all its processes together, from /proc (Linux)."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Resource usage of a command.

    Args:
        seconds: Wall time.
        peak_rss_mb: The maximum sum of resident memory over its processes; pages shared by several of them count in
            each.
        peak_private_mb: The same without pages of files (libraries, mapped data), which the kernel can drop.
        processes: The maximum number of processes at one time.
        cpu_s: Processor time of all processes, also of those that nobody waits for (as last seen before they end).
    """

    seconds: float
    peak_rss_mb: float
    peak_private_mb: float
    processes: int
    cpu_s: float


def watch(command: Sequence[str], *, every_s: float = 0.05, cwd: str | Path | None = None) -> Usage:
    """Runs a command in a separate session; its output goes to stderr. Raises CalledProcessError."""
    began, waited_s = time.monotonic(), _children_s()
    process = subprocess.Popen(command, cwd=cwd, stdout=sys.stderr, start_new_session=True)
    peaks = {"rss": 0, "private": 0, "processes": 0}
    ended = threading.Event()
    cpu_s: dict[int, float] = {}

    def sample() -> None:
        while not ended.wait(every_s):
            pids = _session(process.pid)
            found = [memory for memory in map(_memory, pids) if memory is not None]
            cpu_s.update((pid, used) for pid in pids if (used := _cpu_s(pid)) is not None)
            now = {"rss": sum(rss for rss, _ in found), "private": sum(anon for _, anon in found)}
            for name, value in {**now, "processes": len(found)}.items():
                peaks[name] = max(peaks[name], value)

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    code = process.wait()
    ended.set()
    thread.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    # A process whose parent waits for it is in `_children_s`, one that a fork server started is only seen running.
    used_s = max(_children_s() - waited_s, sum(cpu_s.values()))
    return Usage(time.monotonic() - began, peaks["rss"] / 1024, peaks["private"] / 1024, peaks["processes"], used_s)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_s(pid: int) -> float | None:
    """Processor time of a process so far, None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    found.append(int(name))
            except OSError:  # it has ended
                continue
    return found


def _memory(pid: int) -> tuple[int, int] | None:
    """Resident and anonymous memory of a process in KiB, None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    values = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
    return (int(values["VmRSS"]), int(values["RssAnon"])) if "VmRSS" in values else None
