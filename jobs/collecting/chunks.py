"""Chunks: runs of a source's files that are worked on at once, in one process.

A chunk is bounded by files and bytes: those that it holds itself, or those that its files had when they were listed.
Rows don't depend on how files are cut into chunks; row groups do, since each is made of files of one chunk. Chunks and
what a crash leaves of them are ordered by source and by place in it (`Chunk.key`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from jobs.collecting.messages import PartDone
from transforms.corpus.entries import File, Refused
from transforms.corpus.folders import shown
from transforms.corpus.origin import GroupLimits, Origin
from transforms.corpus.sources import Source

CHUNK_FILES = 512
CHUNK_BYTES = 64 << 20  # to be read: half a second of work
HELD_BYTES = 4 << 20  # of entries of archives, in memory


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as it came from a worker (`jobs.collecting.stored` makes it one again)."""

    told: PartDone
    kept: bytes
    rejected: bytes


CRASHED_WORKER, TIMEOUT = "crashed_worker", "timeout"
"""The reasons of lost files."""


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file that could not be worked on: its place in its source, its path for people, and why; its bytes, by whose
    hash a later growth knows whether it has changed, None where it can't be read."""

    index: int
    path: str
    reason: str
    detail: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with its number, what its rows share, and what a row group holds."""

    number: int
    source: Source
    origin: Origin
    limits: GroupLimits = field(default_factory=GroupLimits)


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
    parts: deque[StoredPart | LostFile] = field(default_factory=deque)
    num_done: int = 0
    is_done: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the order of the output."""
        return self.opened.number, self.first_index

    def lost_file(self, reason: str, detail: str) -> LostFile:
        """Its only file, as one that could not be worked on."""
        item = self.items[0]
        path = shown(item) if isinstance(item, str) else item.path
        if isinstance(item, str):
            with self.opened.source.open_files() as files:
                item = files.read(item)
        return LostFile(self.first_index, path, reason, detail, item.data if isinstance(item, File) else None)

    def rest(self, begin: int, end: int | None = None, *, deaths: int = 0) -> Chunk:
        """A chunk of some of its files."""
        return Chunk(self.opened, self.first_index + begin, self.items[begin:end], deaths)


def chunks_of(opened: OpenSource, listing: Sequence[str | Refused] | None = None) -> Iterator[Chunk]:
    """Cuts a source, whose `Source.listing` may be at hand, into chunks."""
    items: list[str | File | Refused] = []
    num_bytes = index = 0
    max_bytes = HELD_BYTES if opened.source.is_archive else CHUNK_BYTES
    for item, size in opened.source.items(listing):
        items.append(item)
        num_bytes += size
        if len(items) >= CHUNK_FILES or num_bytes >= max_bytes:
            yield Chunk(opened, index, items)
            index += len(items)
            items, num_bytes = [], 0
    if items:
        yield Chunk(opened, index, items)
