"""Runs a command and measures memory and processor time of all its processes together, from /proc (Linux)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
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
        peak_pss_mb: The maximum sum of proportional set sizes: pages that several processes share count once.
        largest_rss_mb: The maximum of resident memory of one process.
        processes: The maximum number of processes at one time.
        processor_s: Processor time of all its processes.
        leader_processor_s: Processor time of the command's own process, as of the last sample.
    """

    seconds: float
    peak_rss_mb: float
    peak_private_mb: float
    peak_pss_mb: float
    largest_rss_mb: float
    processes: int
    processor_s: float
    leader_processor_s: float


def watch(command: Sequence[str], *, every_s: float = 0.05, cwd: str | Path | None = None) -> Usage:
    """Runs a command in a separate session; its output goes to stderr. Raises CalledProcessError."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, stdout=sys.stderr, start_new_session=True)
    peaks: Counter[str] = Counter()
    ended = threading.Event()
    cpu_s: dict[int, float] = {}

    def sample() -> None:
        while not ended.wait(every_s):
            pids = _session(process.pid)
            cpu_s.update((pid, used) for pid in pids if (used := _processor_s(pid)))
            found = [memory for memory in map(_memory, pids) if memory is not None]
            now = {name: sum(memory[name] for memory in found) for name in ("rss", "private", "pss")}
            now |= {"processes": len(found), "largest": max((memory["rss"] for memory in found), default=0)}
            for name, value in now.items():
                peaks[name] = max(peaks[name], value)

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    thread.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(
        seconds,
        peaks["rss"] / 1024,
        peaks["private"] / 1024,
        peaks["pss"] / 1024,
        peaks["largest"] / 1024,
        peaks["processes"],
        # Of a process for which its parent waits, all time is known; of one that a fork server started, what was seen.
        max(used.ru_utime + used.ru_stime, sum(cpu_s.values())),
        cpu_s.get(process.pid, 0.0),
    )


def _processor_s(pid: int) -> float:
    """Processor time of one process without its children; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
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


def _memory(pid: int) -> dict[str, int] | None:
    """Resident, anonymous and proportional memory of a process in KiB, None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {"rss": values["Rss"], "private": values["Anonymous"], "pss": values["Pss"]} if "Rss" in values else None


def with_environment(setting: str) -> dict[int, str]:
    """The running processes that were started with `NAME=VALUE` in their environment, with their commands."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", name, "environ").read_bytes()
            if setting.encode() in environment.split(b"\0"):
                found[int(name)] = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:  # it has ended, or is another user's
            continue
    return found
