"""Scratch folders: temporary files on local disk that go with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Final

from model.errors import ConfigError

_log = logging.getLogger(__name__)

_PREFIX: Final = "codemill-scratch-"
_VARIABLE: Final = "TMPDIR"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def scratch_folder(root: str | None = None, prefix: str = _PREFIX) -> Iterator[str]:
    """A folder, readable by its owner only, that exists while the `with` block runs.

    First removes folders left by processes that were killed: their locks are not held by any process.

    Args:
        root: Where the folder is made; None: in TMPDIR.
        prefix: How its name begins; must be ours alone, since what has this name and a lock is removed.

    Raises:
        ConfigError: `root` can't be written, or became full while the block ran; the message names it.
    """
    where = _writable_root() if root is None else root
    folder, lock = _make_locked(where, prefix)
    try:
        yield folder
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _unusable(where, error, prefix) from error
    finally:
        _remove_locked(folder, lock)


@contextlib.contextmanager
def scratch_for_process() -> Iterator[None]:
    """Puts all temporary files of this process and of the children that it starts into a scratch folder.

    Libraries such as Beam leave temporary folders behind when they are killed. Here they are removed with the scratch
    folder: at the end, or by the next process that opens one.
    """
    before = os.environ.get(_VARIABLE), tempfile.tempdir
    folder, lock = _make_locked(_writable_root(), _PREFIX)
    try:
        _point_at(folder, None)
        yield
    finally:
        _point_at(*before)
        _remove_locked(folder, lock)


def outer_root() -> str:
    """The folder of temporary files, outside of this process's own scratch folder, which nobody else can enter.

    Raises:
        ConfigError: There is none that can be written.
    """
    root = _writable_root()
    return os.path.dirname(root) if os.path.basename(root).startswith(_PREFIX) else root


def _point_at(folder: str | None, chosen: str | None) -> None:
    if folder is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = folder
    tempfile.tempdir = chosen  # None: determined again from the environment


def _make_locked(root: str, prefix: str) -> tuple[str, int]:
    """Makes a scratch folder; returns it and the descriptor of its locked lock file."""
    for path in glob.glob(f"{glob.escape(os.path.join(root, prefix))}*.lock"):
        _remove_left_over(path)
    try:
        lock, new = tempfile.mkstemp(prefix=prefix, suffix=".new", dir=root)
        folder = new.removesuffix(".new")
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(new, f"{folder}.lock")  # renamed when already locked, so that no other process finds it unlocked
        os.mkdir(folder, 0o700)
    except OSError as error:
        raise _unusable(root, error, prefix) from error
    return folder, lock


def _remove_locked(folder: str, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{folder}.lock")
    os.close(lock)


def _unusable(root: str, error: OSError, prefix: str = _PREFIX) -> ConfigError:
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    other = f"set {_VARIABLE} to another folder" if prefix == _PREFIX else "choose another folder"
    return ConfigError(f"can't write temporary files in {root}: {why}; free some space there, or {other}")


def _writable_root() -> str:
    """The folder of temporary files. Python would fall back to another one where TMPDIR can't be used."""
    try:
        found = tempfile.gettempdir()
    except FileNotFoundError:
        raise ConfigError(f"no folder for temporary files can be written; set {_VARIABLE} to one") from None
    asked = os.environ.get(_VARIABLE)
    if asked and os.path.abspath(asked) != found:
        try:
            with tempfile.TemporaryFile(dir=asked) as probe:
                probe.write(b"\0")
        except OSError as error:
            raise _unusable(asked, error) from error
    return found


def _remove_left_over(path: str) -> None:
    """Removes the folder of a lock file that no process holds. What isn't a lock file of ours stays."""
    with contextlib.suppress(OSError):
        # A FIFO must not block us, and a link must not be followed: everyone can write to /tmp.
        lock = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            about = os.fstat(lock)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid():
                _log.warning("%s is ignored: it has the name of a lock file, but is none of this user", path)
                return
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError if another process holds it
            folder = path.removesuffix(".lock")
            shutil.rmtree(folder, ignore_errors=True)
            # A child of the killed process may still write into the folder: then the next process removes it.
            if not os.path.exists(folder):
                os.remove(path)
        finally:
            os.close(lock)
