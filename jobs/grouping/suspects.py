"""Which file a process was reading when it died: it is left out once it has killed its process twice.

    PATH            the number of the file that is being read, 8 bytes, overwritten in place; -1: none
    PATH.suspects   numbers of files that were being read when a process died, once per death

A process that starts on an item of many files finds here what became of earlier ones that did. Cost: one write of 8
bytes per file, to a file that stays in memory.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import Counter
from types import TracebackType
from typing import Final

_NONE: Final = -1
_DEATHS: Final = 2


def died_reading(path: str) -> bool:
    """Whether the last process that worked on an item died while it was reading a file."""
    if not os.path.exists(path):
        return False  # it died before it began
    with open(path, "rb") as record:
        return record.read(8) not in (b"", struct.pack("q", _NONE))


class Suspects:
    """The record of one item.

    Args:
        path: Where it is kept.
    """

    def __init__(self, path: str):
        self._path = path
        self._file = -1
        self._deaths: Counter[int] = Counter()

    def __enter__(self) -> Suspects:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.pread(self._file, 8, 0)
        with open(f"{self._path}.suspects", "a+b") as suspects:
            if len(found) == 8 and struct.unpack("q", found)[0] != _NONE:
                suspects.write(found)
                suspects.flush()
            suspects.seek(0)
            self._deaths = Counter(number for (number,) in struct.iter_unpack("q", suspects.read()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reading(_NONE)
        os.close(self._file)

    def reading(self, number: int = _NONE) -> None:
        """Records what is being read from now on."""
        os.pwrite(self._file, struct.pack("q", number), 0)

    def is_cause(self, number: int) -> bool:
        """Whether reading it has killed its process twice."""
        return self._deaths[number] >= _DEATHS

    @property
    def causes(self) -> int:
        """How many files have."""
        return sum(count >= _DEATHS for count in self._deaths.values())

    def remove(self) -> None:
        """Removes the record."""
        for path in (self._path, f"{self._path}.suspects"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
