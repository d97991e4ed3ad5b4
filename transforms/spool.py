"""Local disk instead of memory: scratch folders, and a spool of texts that can be read in any order."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Final, NamedTuple

_PREFIX: Final = "codemill-scratch-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder that exists while the `with` block runs.

    First removes folders left by processes that were killed: their locks are not held by any process.
    """
    for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{_PREFIX}*.lock")):
        with contextlib.suppress(OSError), open(path, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError if another process holds it
            shutil.rmtree(path.removesuffix(".lock"), ignore_errors=True)
            os.remove(path)
    file, new = tempfile.mkstemp(prefix=_PREFIX, suffix=".new")
    folder = new.removesuffix(".new")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.rename(new, f"{folder}.lock")  # renamed when already locked, so that no other process finds it unlocked
        os.mkdir(folder, 0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{folder}.lock")
        os.close(file)


class Extent(NamedTuple):
    """Position of a text in its spool, in bytes."""

    offset: int
    length: int


class TextSpool:
    """Texts that are written once and can be read in any order. The file has no name and disappears with the process.

    Args:
        folder: The folder of the file.
    """

    def __init__(self, folder: str):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._end = 0

    def add(self, text: str) -> Extent:
        """Writes a text and returns its position."""
        data = text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        extent = Extent(self._end, len(data))
        self._end += len(data)
        return extent

    def ready(self) -> None:
        """Flushes the added texts, so that they can be read."""
        self._file.flush()

    def read(self, extent: Extent) -> str:
        """Reads a text."""
        data = os.pread(self._file.fileno(), extent.length, extent.offset)
        assert len(data) == extent.length, "the spool file was truncated"
        return data.decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Closes the file, which frees its disk space."""
        self._file.close()
