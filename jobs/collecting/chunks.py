"""Chunks: runs of a source's files that are worked on at once, in one process.

A chunk is bounded by files and, where their bytes are here already, by bytes. Rows don't depend on how files are cut
into chunks. Chunks and what a crash leaves of them are ordered by source and by place in it (`Chunk.key`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from transforms.corpus.entries import File, Refused
from transforms.corpus.rows import Origin, Part
from transforms.corpus.sources import Source

CHUNK_FILES = 64
CHUNK_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with its number and what its rows share."""

    number: int
    source: Source
    origin: Origin


@dataclass(slots=True, eq=False)
class Chunk:
    """Files of one source that follow each other, and what became of them.

    Args:
        opened: The source.
        first_index: The place of the first file in it.
        items: The files: paths, contents or refusals.
        deaths: How many workers have died while they worked on its only file.
        parts: What is done and has not been taken.
        num_done: Files whose parts have been passed on.
        is_done: Whether these are all.
    """

    opened: OpenSource
    first_index: int
    items: list[str | File | Refused]
    deaths: int = 0
    parts: deque[Part] = field(default_factory=deque)
    num_done: int = 0
    is_done: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the order of the output."""
        return self.opened.number, self.first_index

    def rest(self, begin: int, end: int | None = None, *, deaths: int = 0) -> Chunk:
        """A chunk of some of its files."""
        return Chunk(self.opened, self.first_index + begin, self.items[begin:end], deaths)


def chunks_of(opened: OpenSource) -> Iterator[Chunk]:
    """Cuts a source into chunks."""
    items: list[str | File | Refused] = []
    num_bytes = index = 0
    for item in opened.source.items():
        items.append(item)
        num_bytes += len(item.data) if isinstance(item, File) else 0
        if len(items) >= CHUNK_FILES or num_bytes >= CHUNK_BYTES:
            yield Chunk(opened, index, items)
            index += len(items)
            items, num_bytes = [], 0
    if items:
        yield Chunk(opened, index, items)
