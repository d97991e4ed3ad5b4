"""Batches: runs of a source's files that are worked on at once, in one process.

A batch is bounded by files and, where their bytes are here already, by bytes. Rows don't depend on how files are cut
into batches. Batches and what a crash leaves of them are ordered by source and by place in it (`Batch.key`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from transforms.corpus.entries import File, Refused
from transforms.corpus.rows import Origin, Part
from transforms.corpus.sources import Source

BATCH_FILES = 64
BATCH_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with its number and what its rows share."""

    number: int
    source: Source
    origin: Origin


@dataclass(slots=True, eq=False)
class Batch:
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

    def rest(self, begin: int, end: int | None = None, *, deaths: int = 0) -> Batch:
        """A batch of some of its files."""
        return Batch(self.opened, self.first_index + begin, self.items[begin:end], deaths)


def batches_of(opened: OpenSource) -> Iterator[Batch]:
    """Cuts a source into batches."""
    items: list[str | File | Refused] = []
    num_bytes = index = 0
    for item in opened.source.items():
        items.append(item)
        num_bytes += len(item.data) if isinstance(item, File) else 0
        if len(items) >= BATCH_FILES or num_bytes >= BATCH_BYTES:
            yield Batch(opened, index, items)
            index += len(items)
            items, num_bytes = [], 0
    if items:
        yield Batch(opened, index, items)
