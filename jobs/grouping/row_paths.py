"""The paths of a plan's rows on local disk, by the rows' numbers, while the clusters of duplicates are found.

A duplicate's record names the path of its twin, which is in another unit as a rule. Each process that signs rows
appends their paths to a file of its own, and notes the place of each in an array that all processes share. No number is
written by two processes at once, and a second attempt at a unit replaces what the first one noted.

Cost: 16 bytes a row and the paths themselves on local disk; one read of them for each duplicate.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_PLACES: Final = "path-places"
_PLACE: Final = np.dtype([("file", "<u4"), ("size", "<u4"), ("start", "<u8")])  # file 0: no path


def create_row_paths(folder: str, num_rows: int) -> None:
    """Creates the array of places for rows 0 to `num_rows` - 1; call it before anything is written."""
    with open(os.path.join(folder, _PLACES), "wb") as file:
        file.truncate(max(1, num_rows) * _PLACE.itemsize)  # sparse


def _places(folder: str, mode: Any) -> npt.NDArray[Any]:
    return np.asarray(np.memmap(os.path.join(folder, _PLACES), _PLACE, mode))


class PathsWriter:
    """Writes paths from one process; its file is created with the first path."""

    def __init__(self, folder: str):
        self._folder = folder
        self._id = secrets.randbits(32) or 1
        self._places: npt.NDArray[Any] | None = None
        self._fd: int | None = None
        self._size = 0

    def write(self, first: int, paths: Sequence[str]) -> None:
        """Stores the paths of consecutive rows, of which `first` is the number; "" for a row without one."""
        if not any(paths):
            return
        if self._fd is None:
            path = os.path.join(self._folder, f"paths-{self._id:08x}")
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._places = _places(self._folder, "r+")
        encoded = [path.encode() for path in paths]
        sizes = np.array([len(path) for path in encoded], np.uint64)
        noted = np.zeros(len(encoded), _PLACE)
        noted["file"], noted["size"] = np.where(sizes > 0, self._id, 0), sizes
        noted["start"] = np.uint64(self._size) + np.cumsum(sizes) - sizes
        left = memoryview(b"".join(encoded))
        self._size += len(left)
        while left:
            left = left[os.write(self._fd, left) :]
        assert self._places is not None
        self._places[first : first + len(encoded)] = noted

    def close(self) -> None:
        """Closes the file."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = self._places = None


class PathsReader:
    """Reads what all processes wrote."""

    def __init__(self, folder: str):
        self._folder = folder
        self._places = _places(folder, "r")
        self._files: dict[int, int] = {}

    def path(self, number: int) -> str:
        """The path of a row; "" if it has none."""
        file, size, start = self._places[number].item()
        if not file:
            return ""
        if file not in self._files:
            self._files[file] = os.open(os.path.join(self._folder, f"paths-{file:08x}"), os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._files[file], size, start).decode()

    def close(self) -> None:
        """Closes the files."""
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()
