"""Rows in runs to grouped files: each repository's files in packing order, cut into row groups.

    runs --sort, a hash bucket at a time--> repositories --cut--> small ones: put in order and written, some at once
                                                                  a large one: facts of its files -> order -> written

Everything is done in the processes of a row pool; this one only hands out what to do (`jobs.grouping.items`).
Repositories follow each other by a hash of their names (`jobs.grouping.cutting` says how they are cut). The facts of a
large repository are read by several processes, then one puts it in order; meanwhile the others go on with what follows
it.

A file whose reader of imports crashes or hangs is ordered as if it imported nothing.

Memory: in one process the entries of one bucket; in another a large repository's facts, up to `ORDER_BYTES` for each
file. Where there isn't as much, that is refused before it is begun.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from jobs.grouping import cutting
from jobs.grouping.cutting import Block, Repository, blocks_of, cut
from jobs.grouping.items import ChunkItem, OrderItem, Slice, SortItem, WriteItem
from jobs.grouping.reading import GroupSettings
from jobs.grouping.runs import Run, buckets_of
from jobs.grouping.suspects import died_reading
from model.errors import ConfigError
from transforms.machine import available_memory
from transforms.row_pool import CRASHED, RowPool

_log = logging.getLogger(__name__)

# Full row groups of a grouped file, or as much text: enough that there are few files, little enough that all processes
# have some to write. Neither who writes nor who reads them holds more than one at a time.
FILE_GROUPS: Final = 4
_CHUNK: Final = 128
ORDER_BYTES: Final = 2_000  # 264,391 files of Python, JSON and others took 0.36 GB beyond the process itself
_TRIES: Final = 3  # of an item that kills its processes, though not at one file
_AHEAD: Final = 64  # items among which the large ones go first


class _Stopped(Exception):
    """Another task failed."""


def write_files(
    pool: RowPool,
    settings: GroupSettings,
    runs: Sequence[Run],
    scratch: str,
    name: Callable[[int, int], str],
) -> list[str]:
    """Orders all rows of runs and writes grouped files; returns their paths.

    Args:
        pool: Has opened `GroupStages`.
        settings: How rows are ordered.
        runs: The runs.
        scratch: A folder on local disk.
        name: The path of a file by two numbers, in whose order the rows are.
    """
    writing = _Writing(pool, settings, tuple(runs), scratch, name)
    # The calls of a pool without processes are made in the thread that waits for them: in one, one after the other.
    threads = 2 * settings.workers or 1
    pending: set[Future[None]] = set()
    found = blocks_of(writing.repositories(), settings.full_bytes)
    with _Watch(pool, settings.row_timeout_s), ThreadPoolExecutor(threads, thread_name_prefix="grouping") as executor:
        try:
            for number, blocks in _large_first(_batched(found)):
                task = writing.write_large if blocks[0].is_large else writing.write_small
                pending.add(executor.submit(task, number, blocks))
                if len(pending) > 2 * threads:
                    pending = _checked(pending)
            while pending:
                pending = _checked(pending)
        except BaseException:
            writing.is_stopped = True
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(writing.written)


def _checked(pending: set[Future[None]]) -> set[Future[None]]:
    """Waits for some tasks; returns those that haven't ended. Raises what one has raised."""
    done, pending = wait(pending, return_when=FIRST_COMPLETED)
    for task in done:
        task.result()
    return pending


def _batched(blocks: Iterable[Block]) -> Iterator[tuple[Block, ...]]:
    """The blocks of each grouped file: the text of `FILE_GROUPS` full ones at most; a large repository alone."""
    batch: list[Block] = []
    filled, most = 0, FILE_GROUPS * cutting.GROUP_MB * 1_000_000
    for block in blocks:
        num_bytes = block.num_bytes
        if batch and (block.is_large or filled + num_bytes > most):
            yield tuple(batch)
            batch, filled = [], 0
        batch.append(block)
        filled += num_bytes
        if block.is_large:
            yield tuple(batch)
            batch, filled = [], 0
    if batch:
        yield tuple(batch)


def _large_first(batches: Iterable[tuple[Block, ...]]) -> Iterator[tuple[int, tuple[Block, ...]]]:
    """The batches with their numbers; among each `_AHEAD` of them large ones first, since one process orders them."""
    numbered = enumerate(batches)
    while ahead := list(itertools.islice(numbered, _AHEAD)):
        yield from sorted(ahead, key=lambda batch: not batch[1][0].is_large)


@dataclass
class _Writing:
    """What the tasks of one call share."""

    pool: RowPool
    settings: GroupSettings
    runs: tuple[Run, ...]
    scratch: str
    name: Callable[[int, int], str]

    def __post_init__(self) -> None:
        self.texts = tuple(run.texts for run in self.runs)
        self.written: list[str] = []
        self.is_stopped = False

    def repositories(self) -> Iterator[Repository]:
        """All repositories, in order; a few buckets are sorted ahead."""
        items = [SortItem(self.runs, bucket, self._path("entries", bucket)) for bucket in buckets_of(self.runs)]
        for found in self._in_turn("sort", items):
            yield from found

    def write_small(self, number: int, blocks: Sequence[Block]) -> None:
        """Writes a file of small repositories."""
        self._left_out(self._apply("write", self._write_item((number, 0), blocks))())

    def write_large(self, number: int, blocks: Sequence[Block]) -> None:
        """Puts a large repository in order and writes its files."""
        ((repository,),), path = blocks[0], self._path("large", number)
        check_memory(repository.files)
        chunks = []
        for count, first in enumerate(range(0, repository.files, _CHUNK)):
            rows = min(_CHUNK, repository.files - first)
            part = Repository(repository.entries, repository.first + first, rows, 0)
            output = f"{path}-{count:06d}"
            chunks.append(ChunkItem(part, self.texts, output, f"{output}.reading"))
        self._left_out(sum(self._in_turn("read_facts", chunks)))
        item = OrderItem(repository, self.texts, tuple(chunk.output for chunk in chunks), path)
        counts = cut(self._apply("order", item)())
        for chunk in chunks:
            os.remove(chunk.output)
        ends = itertools.accumulate(counts)
        groups = iter([Slice(path, end - count, count) for end, count in zip(ends, counts, strict=True)])
        batches = enumerate(iter(lambda: list(itertools.islice(groups, FILE_GROUPS)), []))
        for _ in self._in_turn("write", (self._write_item((number, part), batch) for part, batch in batches)):
            pass

    def _write_item(self, numbers: tuple[int, int], groups: Sequence[Block | Slice]) -> WriteItem:
        output = self.name(*numbers)
        self.written.append(output)
        return WriteItem(output, self.texts, tuple(groups), self._path("reading", *numbers))

    def _path(self, kind: str, *numbers: int) -> str:
        return os.path.join(self.scratch, "-".join((kind, *(f"{number:06d}" for number in numbers))))

    def _left_out(self, files: int) -> None:
        for _ in range(files):
            _log.warning("the imports of a file could not be read: its process died or hung")

    def _in_turn(self, method: str, items: Iterable[Any]) -> Iterator[Any]:
        """The results of calls in order; a few more calls than processes are in flight."""
        return in_turn((self._apply(method, item) for item in items), self.settings.workers)

    def _apply(self, method: str, item: Any) -> Callable[[], Any]:
        """Starts a call; the returned function waits for its result."""
        if self.is_stopped:
            raise _Stopped
        call = self.pool.apply(method, [item])
        return lambda: self._result(method, item, call)

    def _result(self, method: str, item: Any, call: Callable[[], list[Any]]) -> Any:
        (result,) = call()
        in_vain = 0
        while result is CRASHED:
            # It has died twice. If that was at one file, this file is left out now; else it may have been an accident.
            in_vain = 0 if isinstance(item, ChunkItem | WriteItem) and died_reading(item.suspects) else in_vain + 1
            if in_vain == _TRIES:
                raise RuntimeError("processes died while they grouped files; run the same command again")
            (result,) = self.pool.apply(method, [item])()
        return result


def check_memory(files: int) -> None:
    """Raises ConfigError if memory doesn't hold what putting a repository of so many files in order takes."""
    there = available_memory()
    if (need := files * ORDER_BYTES) > there:
        raise ConfigError(
            f"a repository of {files:,} files needs about {need / 1e9:,.1f} GB to be put in order, but "
            f"{there / 1e9:,.1f} GB are available, enough for {there // ORDER_BYTES:,} files; give the job more "
            "memory, or split the repository under several names"
        )


def in_turn(calls: Iterable[Callable[[], Any]], workers: int) -> Iterator[Any]:
    """The results of calls in order; a few more calls than workers are in flight."""
    waiting: deque[Callable[[], Any]] = deque()
    for call in calls:
        waiting.append(call)
        if len(waiting) > 2 * workers:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


class _Watch:
    """Ends the pool's processes when no row has been done for `timeout_s`; all the time they have something to do."""

    def __init__(self, pool: RowPool, timeout_s: float):
        self._pool = pool
        self._timeout_s = timeout_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hung-rows", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        before, since = self._pool.rows_done, time.monotonic()
        while not self._ended.wait(min(1.0, self._timeout_s / 4)):
            now = self._pool.rows_done
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > self._timeout_s:
                self._pool.kill()
                since = time.monotonic()
