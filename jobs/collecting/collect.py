"""Works on all files of all sources, in one process or several: parts of the corpus, in the order of the sources.

    sources -> chunks -> this process, as long as there is little to do or no worker is ready
                       -> workers (`jobs.collecting.workers`)                                 -> parts, in order

With workers, this process lists folders and reads archives, whose entries can only be read one after the other; it
writes what comes back. Workers read the files of folders themselves. Few files are worked on here, since starting a
process takes as long as a few hundred of them. The parts hold the same rows in any case.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence

from jobs.collecting.chunks import Chunk, OpenSource, chunks_of
from jobs.collecting.workers import TIMEOUT_S, Workers
from transforms.corpus.entries import File, Refused
from transforms.corpus.neighbors import EncodingCounts, Neighbors, count_encodings
from transforms.corpus.rows import Origin, Part, parts_of
from transforms.corpus.sources import Files, Source

# From where on workers are started: about what is done while one starts.
START_FILES = 512
START_BYTES = 8 << 20
START_ARCHIVE_BYTES = 2 << 20


class Collection:
    """The files of some sources on their way into a corpus.

    Args:
        sources: What is read, with the public name of each.
        num_workers: Processes, at most; with 1 all is done in this one.
        keep_uncertain: Whether a file whose encoding is a guess is kept, and marked.
        timeout_s: As `Workers` takes it.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, str]],
        num_workers: int,
        *,
        keep_uncertain: bool = False,
        timeout_s: float = TIMEOUT_S,
    ):
        self._sources = sources
        self._num_workers = num_workers
        self._keep_uncertain = keep_uncertain
        self._timeout_s = timeout_s
        self._files_here = self._bytes_here = 0

    def parts(self) -> Generator[tuple[str, Part], None, None]:
        """Yields `repo_name` and part; closing the iterator ends the workers."""
        with Workers(self._num_workers, self._timeout_s) as workers:
            for number, (source, name) in enumerate(self._sources):
                for part in self._parts_while(workers, number, source, name):
                    yield source.repo_name, part
            repo_name = self._sources[-1][0].repo_name
            while not workers.is_idle:
                workers.wait()
                for part in workers.take():
                    yield repo_name, part

    def _parts_while(self, workers: Workers, number: int, source: Source, name: str) -> Iterator[Part]:
        """What gets ready while a source is read to its end."""
        if _is_large(source):
            self._start(workers)
        if number + 1 < len(self._sources) and (following := self._sources[number + 1][0]).is_archive:
            workers.prepare_survey(following)
        while workers.is_surveyed(source) is False:
            workers.wait()
            yield from workers.take()
        licenses = workers.take_licenses(source) if workers.is_surveyed(source) else source.licenses()
        opened = OpenSource(number, source, Origin(source.repo_name, name, licenses, self._keep_uncertain))
        here = _Here(opened, workers)
        with source.open_files() as files:
            for chunk in chunks_of(opened):
                if self._files_here >= START_FILES or self._bytes_here >= START_BYTES:
                    self._start(workers)
                if workers.is_idle and not workers.is_ready:
                    yield from self._counted(here.parts(chunk, files))
                    continue
                while not workers.has_room():
                    workers.wait()
                    yield from workers.take()
                workers.give(chunk)
                yield from workers.take()

    def _start(self, workers: Workers) -> None:
        if self._num_workers > 1 and not workers.is_started:
            workers.start()

    def _counted(self, parts: Iterator[Part]) -> Iterator[Part]:
        for part in parts:
            self._files_here += part.num_files
            self._bytes_here += part.counts["bytes"]
            yield part


class _Here:
    """One source, as far as it is worked on in this process."""

    def __init__(self, opened: OpenSource, workers: Workers):
        self._opened = opened
        self._workers = workers
        self._neighbors = Neighbors(self._count)

    def parts(self, chunk: Chunk, files: Files) -> Iterator[Part]:
        return parts_of(_entries(chunk, files), self._opened.origin, chunk.first_index, self._neighbors.of)

    def _count(self) -> EncodingCounts:
        counts = count_encodings(self._opened.source.contents())
        self._workers.know_neighbors(self._opened.number, counts)
        return counts


def _entries(chunk: Chunk, files: Files) -> Iterator[File | Refused]:
    for item in chunk.items:
        yield files.read(item) if isinstance(item, str) else item


def _is_large(source: Source) -> bool:
    """Whether a source is surely worth workers; of a folder that isn't known before it has been read."""
    if source.is_archive:
        return os.path.getsize(source.path) >= START_ARCHIVE_BYTES
    return source.tracked is not None and len(source.tracked) >= START_FILES
