"""Files worked on in the driver itself, as long as there is little to do or no worker is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.collecting.chunks import Chunk, OpenSource
from jobs.collecting.stored import restore as restore
from transforms.corpus.entries import File, Refused
from transforms.corpus.neighbors import EncodingCounts, Neighbors, count_encodings
from transforms.corpus.rows import Part, parts_of
from transforms.corpus.sources import Files


class Here:
    """One source, as far as it is worked on in this process.

    Args:
        opened: The source.
        tell: Called with the encodings of its files where they had to be counted.
    """

    def __init__(self, opened: OpenSource, tell: Callable[[int, EncodingCounts], None]):
        self._opened = opened
        self._tell = tell
        self._neighbors = Neighbors(self._count)

    def parts(self, chunk: Chunk, files: Files) -> Iterator[Part]:
        """The parts of a chunk, whose paths are read with `files`."""
        opened = self._opened
        return parts_of(_entries(chunk, files), opened.origin, chunk.first_index, self._neighbors.of, opened.limits)

    def _count(self) -> EncodingCounts:
        counts = count_encodings(self._opened.source.contents())
        self._tell(self._opened.number, counts)
        return counts


def _entries(chunk: Chunk, files: Files) -> Iterator[File | Refused]:
    for item in chunk.items:
        yield files.read(item) if isinstance(item, str) else item
