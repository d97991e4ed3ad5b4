"""How many hosts of one job share this machine, so that each takes its part of the cores.

    TMPDIR/codemill-hosts-UID/<job>-<random>    one file a host, locked as long as its process lives

A runner may start several worker processes on a machine (two Flink TaskManagers, `--sdk_worker_parallelism`), each of
which sees all cores. Containers with a folder of temporary files of their own have cores of their own, too. Cost: a
listing and a lock a neighbor, every few seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import tempfile

from jobs.storage.folders import JobFolder


class Neighbors:
    """The hosts of a job on this machine, of which this is one from `join` until `leave`.

    Args:
        job_dir: The job's folder.
        folder: Where the files are; None: in the folder of temporary files.
    """

    def __init__(self, job_dir: JobFolder, folder: str | None = None):
        self._folder = folder or os.path.join(tempfile.gettempdir(), f"codemill-hosts-{os.getuid()}")
        self._prefix = os.path.join(self._folder, hashlib.sha256(job_dir.path.encode()).hexdigest()[:16] + "-")
        self._mine: str | None = None
        self._lock: int | None = None

    def join(self) -> None:
        """Makes this host's file; where it can't be made, this host takes all cores."""
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._lock, new = tempfile.mkstemp(prefix="new-", dir=self._folder)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._mine = self._prefix + os.path.basename(new)
            os.rename(new, self._mine)  # already locked, so that none takes it for a file that was left behind

    def count(self) -> int:
        """Returns the number of hosts, this one included, at least 1; removes the files of those that have ended."""
        return 1 + sum(path != self._mine and _is_held(path) for path in glob.glob(f"{glob.escape(self._prefix)}*"))

    def leave(self) -> None:
        """Removes this host's file."""
        if self._mine is not None:
            with contextlib.suppress(OSError):
                os.remove(self._mine)
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._mine = None


def _is_held(path: str) -> bool:
    """Whether a living process holds the file's lock; a file that none holds is removed."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        with contextlib.suppress(OSError):
            os.remove(path)
        return False
    finally:
        os.close(lock)
