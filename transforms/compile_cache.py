"""Compiled programs of this user's earlier runs: the default folder for XLA's persistent compilation cache.

    ~/.cache/codemill/xla-<machine>/KEY-cache.<SHA-256>     the store, which only finished programs enter
    ~/.cache/codemill/xla-<machine>/.process-<host>-<pid>   the folder that JAX in one process reads and writes

JAX writes an entry in place and never replaces it, so a process that is killed while it writes would leave half a
program for good, and its own bound on the size isn't safe against kills either. So each process has a folder of its
own, with links to the programs of the store whose bytes have their hash; what it compiles enters the store by a link
as well, once it unpacks to its end. Processes may do so at the same time. Beyond `MAX_BYTES`, the programs that were
read least recently are removed.

Compiled programs are machine code: the folder must be this user's alone, and is one for each kind of processor. Nothing
here raises; without a folder there is no cache.
Cost: one pass over the store's bytes when an engine starts (20 MB for a job like `make demo`, 0.03 s).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import shutil
import socket
import threading
import time
import zlib
from typing import Any, Final

import zstandard

from model.user_cache import own_folder

MAX_BYTES: Final = 2 << 30
PERIOD_S: Final = 2.0
_ENTRY: Final = "-cache"
_PROCESS: Final = ".process-"
_ABANDONED_S: Final = 7 * 86400.0
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_log = logging.getLogger(__name__)


class CompileCache:
    """The folder of one process; `open` makes it."""

    def __init__(self, store: str, folder: str):
        self.folder = folder
        self._store = store
        self._known = set(os.listdir(folder))
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._keep, name="compile-cache", daemon=True).start()

    @classmethod
    def open(cls) -> CompileCache | None:
        """This process's folder with all programs of the store; None if there can be none."""
        try:
            store = own_folder(f"xla-{_machine()}")
            if store is None:
                return None
            _remove_abandoned(store)
            _remove_old(store)
            folder = os.path.join(store, f"{_PROCESS}{socket.gethostname()}-{os.getpid()}")
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier process of this number
            os.mkdir(folder, 0o700)
            for name in os.listdir(store):
                _take(store, name, folder)
            return cls(store, folder)
        except OSError as error:
            _log.info("no folder for compiled programs: %s", error)
            return None

    def publish(self) -> None:
        """Puts what was compiled since the last time into the store."""
        with self._lock, contextlib.suppress(OSError):
            for name in set(os.listdir(self.folder)) - self._known:
                if name.endswith(_ENTRY) and _enter(os.path.join(self.folder, name), self._store):
                    self._known.add(name)

    def close(self) -> None:
        """Publishes the last programs and removes the folder."""
        self._stopped.set()
        self.publish()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            self.publish()


def _machine() -> str:
    """Names the kind of processor: a program for another one may hold instructions that this one lacks."""
    flags = ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]


def _take(store: str, name: str, folder: str) -> None:
    """Links a program into a process's folder if its bytes have their hash; removes it otherwise."""
    key, _, digest = name.rpartition(".")
    if not key.endswith(_ENTRY):
        return
    path = os.path.join(store, name)
    with contextlib.suppress(FileNotFoundError):  # another process has removed it
        with open(path, "rb") as file:
            is_whole = hashlib.file_digest(file, "sha256").hexdigest() == digest
        if is_whole:
            with contextlib.suppress(FileExistsError):
                os.link(path, os.path.join(folder, key))
        else:
            os.unlink(path)


def _enter(path: str, store: str) -> bool:
    """Links a program into the store; returns False while it is being written."""
    with open(path, "rb") as file:
        data = file.read()
    if not _is_whole(data):
        return False
    name = f"{os.path.basename(path)}.{hashlib.sha256(data).hexdigest()}"
    with contextlib.suppress(FileExistsError):
        os.link(path, os.path.join(store, name))
    return True


def _is_whole(data: bytes) -> bool:
    """Whether a compressed program unpacks to its end."""
    try:
        is_zstd = data.startswith(_ZSTD)
        unpacked: Any = zstandard.ZstdDecompressor().decompressobj() if is_zstd else zlib.decompressobj()
        unpacked.decompress(data)
        return bool(unpacked.eof)
    except (zstandard.ZstdError, zlib.error):
        return False


def _remove_abandoned(store: str) -> None:
    """Removes the folders of processes that have died."""
    own = f"{_PROCESS}{socket.gethostname()}-"
    for name in os.listdir(store):
        if not name.startswith(_PROCESS):
            continue
        path = os.path.join(store, name)
        with contextlib.suppress(OSError):
            is_here = name.startswith(own)
            is_dead = is_here and not os.path.exists(f"/proc/{name.removeprefix(own)}")
            if is_dead or time.time() - os.stat(path).st_mtime > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)


def _remove_old(store: str) -> None:
    """Removes the programs that were read least recently beyond `MAX_BYTES`."""
    entries = []
    for name in os.listdir(store):
        with contextlib.suppress(OSError):
            about = os.stat(os.path.join(store, name))
            if _ENTRY in name:
                entries.append((max(about.st_atime, about.st_mtime), about.st_size, name))
    num_bytes = 0
    for _, size, name in sorted(entries, reverse=True):
        num_bytes += size
        if num_bytes > MAX_BYTES:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(store, name))
