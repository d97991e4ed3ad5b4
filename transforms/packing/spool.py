"""Texts on local disk instead of in memory: a repository is ordered as a whole, but read file by file."""

from __future__ import annotations

import os
import tempfile
from typing import NamedTuple


class Extent(NamedTuple):
    """Where a text stands in its spool, in bytes."""

    offset: int
    length: int


class TextSpool:
    """Texts that were written once and are read in any order. The file has no name and goes with the process.

    Args:
        folder: Where the file is made.
    """

    def __init__(self, folder: str):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._end = 0

    def add(self, text: str) -> Extent:
        """Writes a text and returns where it stands."""
        data = text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        extent = Extent(self._end, len(data))
        self._end += len(data)
        return extent

    def ready(self) -> None:
        """Makes what was added readable."""
        self._file.flush()

    def read(self, extent: Extent) -> str:
        """Reads a text back."""
        data = os.pread(self._file.fileno(), extent.length, extent.offset)
        assert len(data) == extent.length, "the spool was cut off"
        return data.decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Gives the disk's room back."""
        self._file.close()
