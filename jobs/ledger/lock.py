"""The lock on an output folder, which at most one driver holds at a time.

    _job/lock/000001.json        the holder of generation 1: host, user, pid, time of acquisition, command
    _job/lock/000001.released    generation 1 was released
    _job/lock/000002.json        the next holder; the highest generation is the current one

Lock generations are only ever created if absent, never rewritten or deleted. If two drivers both find that the last
holder is dead, only one of them creates the next generation; the other reads who did.

A holder counts as dead only if that can be proved: it is on the same host, boot and pid namespace, and no process has
its pid and start time; or it is on the same machine, which has rebooted since. A lock held on another host is valid
until it is released or broken (`--break_lock`). A driver whose lock was broken finds out when it calls `still_held`
before finalizing. Its workers may commit until then, which is harmless, since the first commit of a unit wins.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
import sys
import time
import uuid
from dataclasses import asdict, dataclass

from jobs import storage
from jobs.storage.folders import JobFolder
from model.errors import ConfigError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The holder of a lock. `started` is the process's start in clock ticks since boot; `token` is unique."""

    token: str
    host: str
    machine_id: str
    boot_id: str
    pid_namespace: str
    user: str
    pid: int
    started: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host} since {self.since} ({self.command})"


@dataclass(frozen=True, slots=True)
class Lock:
    """A held lock. Use `acquire` to get one, and `release` it."""

    job_dir: JobFolder
    generation: int
    holder: Holder

    def still_held(self) -> bool:
        """Whether no other driver has taken the lock in the meantime."""
        generation, released = _current(self.job_dir)
        return generation == self.generation and not released

    def release(self) -> None:
        """Releases the lock for the next driver."""
        storage.create_if_absent(_path(self.job_dir, self.generation, "released"), b"")

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def acquire(job_dir: JobFolder, *, break_lock: bool = False, me: Holder | None = None) -> Lock:
    """Acquires the lock of the job in `job_dir`.

    Args:
        job_dir: The job's folder, `OUT/_job`.
        break_lock: Take the lock even from a holder that seems alive.
        me: The new holder; this process if None (tests pass others).

    Raises:
        ConfigError: Another driver holds the lock; the message names it and the time of acquisition.
    """
    me = me or this_process()
    while True:
        generation, released = _current(job_dir)
        if generation and not released:
            _check_takeover(job_dir, read_holder(job_dir, generation), me, break_lock)
        path = _path(job_dir, generation + 1, "json")
        if storage.create_if_absent(path, json.dumps(asdict(me), indent=1).encode()):
            return Lock(job_dir, generation + 1, me)
        # Another driver was faster, or our own create succeeded and its response was lost.
        if read_holder(job_dir, generation + 1).token == me.token:
            return Lock(job_dir, generation + 1, me)
        break_lock = False  # it applied only to the holder that the user saw


def read_holder(job_dir: JobFolder, generation: int) -> Holder:
    """Returns the current or former holder of a lock generation."""
    return Holder(**json.loads(storage.read_bytes(_path(job_dir, generation, "json"))))


def this_process() -> Holder:
    """Returns this process as a holder, with a new token."""
    return Holder(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        machine_id=_read_line("/etc/machine-id"),
        boot_id=_read_line("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_pid_namespace(),
        user=_user(),
        pid=os.getpid(),
        started=_start_ticks(os.getpid()) or 0,
        command=" ".join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]])[:200],
        since=time.strftime("%Y-%m-%d %H:%M:%S %z"),
    )


def provably_dead(holder: Holder, me: Holder) -> bool:
    """Whether this process can prove that `holder` is no longer running.

    Two containers may share a host name and boot id but not pids, so the pid namespaces must be equal too.
    """
    if holder.host != me.host:
        return False
    if not holder.boot_id or holder.boot_id != me.boot_id:
        return bool(holder.machine_id and holder.boot_id and me.boot_id) and holder.machine_id == me.machine_id
    if not holder.pid_namespace or holder.pid_namespace != me.pid_namespace:
        return False
    return _start_ticks(holder.pid) != holder.started


def _check_takeover(job_dir: JobFolder, holder: Holder, me: Holder, break_lock: bool) -> None:
    if provably_dead(holder, me):
        _log.warning("taking over %s from a driver that no longer runs: %s", job_dir, holder)
    elif break_lock:
        _log.warning("breaking the lock on %s held by %s", job_dir, holder)
    else:
        raise ConfigError(
            f"{os.path.dirname(job_dir.path)} is being written by {holder}; wait for it, choose another --output, or, "
            "if that process is certainly dead, add --break_lock"
        )


def _current(job_dir: JobFolder) -> tuple[int, bool]:
    """Returns the highest lock generation (0: never locked) and whether it was released."""
    names = storage.list_names(job_dir.lock)
    generation = max((int(name.split(".")[0]) for name in names if name.endswith(".json")), default=0)
    return generation, f"{generation:06d}.released" in names


def _path(job_dir: JobFolder, generation: int, ending: str) -> str:
    return storage.join(job_dir.lock, f"{generation:06d}.{ending}")


def _start_ticks(pid: int) -> int | None:
    """Returns the process's start in clock ticks since boot; None if it does not exist or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command in parentheses may itself contain spaces and parentheses.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], int(fields[19])
    return None if state in (b"Z", b"X") else ticks


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _read_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""
