"""Memory that two processes share to pass bytes, so that pipes carry only messages about them.

A slot is an anonymous file in memory (`memfd_create`; elsewhere a temporary file without a name) that a process
inherits when it is started. One side writes from the start of it, the other reads so many bytes; a message says when.
It needs no folder, and nothing of it outlives the two processes, however they end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence

_MOST_BUFFERS = 1024  # that one call of the system takes (IOV_MAX)
_KEPT_BYTES = 32 << 20  # of a slot that held something larger


class Slot:
    """One slot. Both sides make their own from the descriptor.

    Args:
        descriptor: Of the anonymous file; None makes one.
    """

    def __init__(self, descriptor: int | None = None):
        self.descriptor = _anonymous_file() if descriptor is None else descriptor

    def write(self, pieces: Sequence[bytes]) -> list[tuple[int, int]]:
        """Writes the pieces one behind the other; returns offset and size of each."""
        self._shrink()
        places, at = [], 0
        for piece in pieces:
            places.append((at, len(piece)))
            at += len(piece)
        written = 0
        for start in range(0, len(pieces), _MOST_BUFFERS):
            left = list(pieces[start : start + _MOST_BUFFERS])
            while left:
                count = os.pwritev(self.descriptor, left, written)
                written += count
                while left and count >= len(left[0]):
                    count -= len(left.pop(0))
                if left:
                    left[0] = left[0][count:]
        return places

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at a place."""
        data = os.pread(self.descriptor, size, offset)
        while len(data) < size:
            more = os.pread(self.descriptor, size - len(data), offset + len(data))
            if not more:
                raise EOFError(f"a slot ends after {offset + len(data)} bytes, {size} were expected")
            data += more
        return data

    def close(self) -> None:
        """Gives the memory back, once the other side has closed it too or ended."""
        os.close(self.descriptor)

    def _shrink(self) -> None:
        if os.fstat(self.descriptor).st_size > _KEPT_BYTES:
            os.ftruncate(self.descriptor, 0)


class Progress:
    """What a worker is at, in memory that outlives it: the chunk, how many files of it are done, and a beat."""

    WORKING, WAITING, COUNTING, SURVEYING = range(4)
    _SIZE = 4 * 8

    def __init__(self, descriptor: int | None = None):
        self.descriptor = _anonymous_file() if descriptor is None else descriptor
        if descriptor is None:
            os.ftruncate(self.descriptor, self._SIZE)
        self._words = memoryview(mmap.mmap(self.descriptor, self._SIZE)).cast("Q")

    def start(self, chunk: int) -> None:
        """A chunk begins."""
        self._words[1] = 0
        self._words[0] = chunk
        self.state = self.WORKING

    @property
    def chunk(self) -> int:
        """The last chunk that was begun."""
        return self._words[0]

    @property
    def files_done(self) -> int:
        """How many files of it are done."""
        return self._words[1]

    def file_done(self) -> None:
        """The next file of the chunk begins."""
        self._words[1] += 1
        self._words[2] += 1

    def beat(self) -> None:
        """Something was done that is no file of the chunk."""
        self._words[2] += 1

    @property
    def beats(self) -> int:
        """How much was done so far; good for nothing but to see progress."""
        return self._words[2]

    @property
    def state(self) -> int:
        """One of the states above."""
        return self._words[3]

    @state.setter
    def state(self, value: int) -> None:
        self._words[3] = value
        self._words[2] += 1

    def close(self) -> None:
        """Gives the descriptor back; what was read last stays readable."""
        os.close(self.descriptor)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("codemill")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
