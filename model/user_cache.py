"""A cache of this user's on local disk, for bytes that take long to compute: never needed, and never trusted blindly.

    $XDG_CACHE_HOME/codemill, else ~/.cache/codemill (mode 0700)
        hyperscan-3f9c...    SHA-256 of the rest, then the bytes

An entry counts only if nobody else could have written it (folder and file are this user's own and only he may write
them, no links are followed) and if its bytes have the hash that stands before them. So an entry that was cut off or
damaged, or that another user put there, is as good as none. Nothing here raises: a folder that can't be made, read or
written means that there is no cache. An entry is written under another name and renamed, so processes may read and
write the same one at once. The entries that were written or read least recently are removed beyond `MAX_ENTRIES` and
`MAX_BYTES`.

Source: XDG Base Directory Specification 0.8.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_ENTRIES: Final = 32
MAX_BYTES: Final = 64 << 20
_FOLDER: Final = "codemill"
_HASH_BYTES: Final = 32
_UNFINISHED: Final = ".new"
_ABANDONED_S: Final = 3600.0
"""Age at which an unfinished entry is taken for one whose process was killed."""
_FRESH_S: Final = 3600.0
"""An entry that is read has its time set again only if it is older than this, so that reading rarely writes."""
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not block
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def read_entry(name: str) -> bytes | None:
    """Returns an entry's bytes, or None if there is no such entry that can be trusted.

    Args:
        name: Its name: a word and a hash of all that the bytes depend on.
    """
    with contextlib.suppress(OSError), _folder() as folder:
        if folder is not None:
            return _read(name, folder)
    return None


def write_entry(name: str, data: bytes) -> None:
    """Writes an entry, or does nothing if that isn't possible."""
    with contextlib.suppress(OSError), _folder(create=True) as folder:
        if folder is not None and len(data) <= MAX_BYTES:
            _write(name, data, folder)
            _remove_old(folder)


def own_folder(name: str) -> str | None:
    """A subfolder of the cache that only this user may write, made if need be; None if there can be none.

    For files that others (such as JAX) read and write themselves; `MAX_ENTRIES` and `MAX_BYTES` leave it out.
    """
    with contextlib.suppress(OSError), _folder(create=True) as folder:
        if folder is None:
            return None
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        parent = _location()
        if parent is not None and stat.S_ISDIR(about.st_mode) and _is_own(about):
            return str(parent / _FOLDER / name)
    return None


def _location() -> Path | None:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the specification: relative paths are ignored
        return Path(given)
    with contextlib.suppress(RuntimeError):  # no home folder
        home = Path.home()
        return home / ".cache" if home.is_absolute() else None
    return None


@contextlib.contextmanager
def _folder(*, create: bool = False) -> Iterator[int | None]:
    """The folder's descriptor; None if there is none that is only this user's."""
    parent = _location() if hasattr(os, "geteuid") else None
    if parent is None:
        yield None
        return
    path = parent / _FOLDER
    if create:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    folder = os.open(path, _READ | os.O_DIRECTORY)
    try:
        yield folder if _is_own(os.fstat(folder)) else None
    finally:
        os.close(folder)


def _is_own(about: os.stat_result) -> bool:
    return about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(name: str, folder: int) -> bytes | None:
    entry = os.open(name, _READ, dir_fd=folder)
    with open(entry, "rb") as file:
        about = os.fstat(entry)
        if not stat.S_ISREG(about.st_mode) or not _is_own(about) or about.st_size > MAX_BYTES + _HASH_BYTES:
            return None
        known, data = file.read(_HASH_BYTES), file.read(MAX_BYTES + 1)
        if hashlib.sha256(data).digest() != known:
            return None
        if abs(time.time() - about.st_mtime) > _FRESH_S:
            with contextlib.suppress(OSError):  # a file system that can only be read
                os.utime(name, dir_fd=folder, follow_symlinks=False)
        return data


def _write(name: str, data: bytes, folder: int) -> None:
    unfinished = f"{name}-{secrets.token_hex(8)}{_UNFINISHED}"
    entry = os.open(unfinished, _CREATE, 0o600, dir_fd=folder)
    try:
        with open(entry, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(unfinished, dir_fd=folder)
        raise


def _remove_old(folder: int) -> None:
    """Removes what was not used for longest, and what killed processes left. Other processes may do so too."""
    now = time.time()
    entries: list[tuple[float, int, str]] = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):  # `own_folder`
                continue
            if not name.endswith(_UNFINISHED):
                entries.append((about.st_mtime, about.st_size, name))
            elif now - about.st_mtime > _ABANDONED_S:
                os.unlink(name, dir_fd=folder)
    num_bytes = 0
    for count, (_, size, name) in enumerate(sorted(entries, reverse=True), start=1):
        num_bytes += size
        if count > MAX_ENTRIES or num_bytes > MAX_BYTES + _HASH_BYTES:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
