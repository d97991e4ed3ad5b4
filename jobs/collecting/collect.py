"""Works on all files of all sources, in one process or several: parts of the corpus, in the order of the sources.

    sources -> chunks -> this process, as long as there is little to do or no worker is ready
                       -> workers (`jobs.collecting.workers`)                                 -> parts, in order

With workers, this process lists folders and reads archives, whose entries can only be read one after the other; it
writes what comes back. Workers read the files of folders themselves. Few files are worked on here, since starting a
process takes as long as a few thousand of them. The parts hold the same rows in any case.

A large source has its workers start first of all, beside this process. What works on rows takes a while to import as
well (`jobs.collecting.here`), so this is done when it is needed or, with workers, as soon as they have something to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from jobs.collecting.chunks import Chunk, LostFile, OpenSource, StoredPart, chunks_of
from jobs.collecting.workers import TIMEOUT_S, Workers
from transforms.corpus.neighbors import EncodingCounts
from transforms.corpus.origin import GroupLimits, Origin
from transforms.corpus.sources import Files, Source

if TYPE_CHECKING:
    from transforms.corpus.rows import Part
    from transforms.opt_out.lists import OptOut

# From where on workers are started: about what is done while one starts.
START_FILES = 1024
START_BYTES = 16 << 20
START_ARCHIVE_BYTES = 4 << 20


class Here(Protocol):
    """A source as far as it is worked on in this process."""

    def parts(self, chunk: Chunk, files: Files, /) -> Iterator[Part]: ...


class RowWork(Protocol):
    """The module `jobs.collecting.here`."""

    def Here(self, opened: OpenSource, tell: Callable[[int, EncodingCounts], None], /) -> Here: ...
    def restore(self, origin: Origin, found: StoredPart | LostFile, /) -> Part: ...


class Collection:
    """The files of some sources on their way into a corpus. Use with `with`, which ends the workers.

    Args:
        sources: What is read, with the public name of each.
        num_workers: Processes, at most; with 1 all is done in this one.
        row_work: Imports and returns `jobs.collecting.here`.
        limits: What a row group holds.
        keep_uncertain: Whether a file whose encoding is a guess is kept, and marked.
        opt_out: The repositories to leave out.
        timeout_s: As `Workers` takes it.
        starts_early: Whether a large source has workers start at once, and not only when there are parts to be made.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, str]],
        num_workers: int,
        row_work: Callable[[], RowWork],
        *,
        limits: GroupLimits = GroupLimits(),
        keep_uncertain: bool = False,
        opt_out: OptOut | None = None,
        timeout_s: float = TIMEOUT_S,
        starts_early: bool = True,
    ):
        self.sources = sources
        self._num_workers = num_workers
        self._row_work = row_work
        self.limits = limits
        self._keep_uncertain = keep_uncertain
        self._opt_out = opt_out
        self._timeout_s = timeout_s
        self._starts_early = starts_early
        self._workers = Workers(num_workers, timeout_s)
        self._has_begun = False
        self._files_here = self._bytes_here = 0

    def __enter__(self) -> Collection:
        self._workers.__enter__()
        if self._starts_early and any(_is_large(source) for source, _ in self.sources):
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._workers.__exit__(kind, error, traceback)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yields `repo_name` and part. Called again, it begins from the start."""
        if self._has_begun:
            was_started = self._workers.is_started
            self._workers.__exit__(None, None, None)
            self._workers = Workers(self._num_workers, self._timeout_s)
            if was_started:
                self._start()
        self._has_begun = True
        for number, (source, name) in enumerate(self.sources):
            for part in self._parts_while(number, source, name):
                yield source.repo_name, part
        repo_name = self.sources[-1][0].repo_name if self.sources else ""
        while not self._workers.is_idle:
            for part in self._wait():
                yield repo_name, part

    def entries_of(self, source: Source) -> list[str]:
        """The entries of the opt-out lists that a source falls under."""
        if self._opt_out is None:
            return []
        return [str(self._opt_out.entries[number]) for number in self._opt_out.find(source.repo_name)]

    def _parts_while(self, number: int, source: Source, name: str) -> Iterator[Part]:
        """What gets ready while a source is read to its end."""
        workers = self._workers
        if number + 1 < len(self.sources) and (following := self.sources[number + 1][0]).is_archive:
            workers.prepare_survey(following)
        while workers.is_surveyed(source) is False:
            yield from self._wait()
        listing = source.listing()
        licenses = workers.take_licenses(source) if workers.is_surveyed(source) else source.licenses(listing)
        entry = next(iter(self.entries_of(source)), "")
        origin = Origin(source.repo_name, name, licenses, self._keep_uncertain, entry, source.provenance)
        opened = OpenSource(number, source, origin, self.limits)
        here: Here | None = None
        with source.open_files() as files:
            for chunk in chunks_of(opened, listing):
                if self._files_here >= START_FILES or self._bytes_here >= START_BYTES:
                    self._start()
                if workers.is_idle and not workers.is_ready:
                    here = here or self._row_work().Here(opened, workers.know_neighbors)
                    yield from self._counted(here.parts(chunk, files))
                    continue
                while not workers.has_room():
                    yield from self._wait()
                workers.give(chunk)
                yield from self._taken()

    def _start(self) -> None:
        if self._num_workers > 1 and not self._workers.is_started:
            self._workers.start()

    def _wait(self) -> Iterator[Part]:
        """What gets ready until something has happened."""
        self._row_work()
        self._workers.wait()
        yield from self._taken()

    def _taken(self) -> Iterator[Part]:
        for origin, found in self._workers.take():
            yield self._row_work().restore(origin, found)

    def _counted(self, parts: Iterator[Part]) -> Iterator[Part]:
        for part in parts:
            self._files_here += part.num_files
            self._bytes_here += part.counts["bytes"]
            yield part


def _is_large(source: Source) -> bool:
    """Whether a source is surely worth workers; a folder is looked at no further than it must be."""
    if source.is_archive:
        return os.path.getsize(source.path) >= START_ARCHIVE_BYTES
    if source.tracked is not None:
        return len(source.tracked) >= START_FILES
    num_files = num_bytes = 0
    for size in source.sizes():
        num_files, num_bytes = num_files + 1, num_bytes + size
        if num_files >= START_FILES or num_bytes >= START_BYTES:
            return True
    return False
