"""Rows in runs to grouped files: each repository's files in packing order, cut into row groups.

    entries --sorted--> repositories --facts of each file (row pool)--> graph, order --cut--> grouped files (row pool)

Repositories follow each other by a hash of their names. One of up to `GROUP_MB` is whole in a row group, with others up
to that size. A larger one is cut, in packing order, into several row groups, so that several processes can pack it.
Where it is cut depends on the rows alone.

A file whose reader of imports crashes or hangs is ordered as if it imported nothing.

Memory: the entries of one bucket, and the facts of its files, about a kilobyte each.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from jobs.grouping.reading import GroupSettings
from jobs.grouping.runs import Run, RunReader, buckets_of, entries_of
from jobs.grouping.stages import FactsItem, WriteItem
from transforms.packing.facts import FileFacts, Import
from transforms.packing.order import IMPORTS, POSITION, order_repository
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex
from transforms.row_pool import CRASHED, Crashed, RowPool
from transforms.rows.cells import texts_of

_log = logging.getLogger(__name__)

GROUP_MB: Final = 8  # per unit; the last packed row of each unit stays partly empty, one in about 300
_CHUNK: Final = 32
_ORDER: Final = ("key", "repo_name", "path", "sha256", "source_uri", "source_row_group", "source_row")


class Placed(NamedTuple):
    """A row of a bucket's entries, its position in its repository, and the positions of the files that it imports."""

    entries: pa.Table
    row: int
    size: int
    position: int
    imports: list[int]


def write_files(
    pool: RowPool, settings: GroupSettings, runs: Sequence[Run], name: Callable[[int], str], most: int
) -> Iterator[Callable[[], list[Any]]]:
    """Orders all rows of runs and starts to write grouped files; yields calls that wait for each of them.

    Args:
        pool: Has opened `GroupStages`.
        settings: How rows are ordered.
        runs: The runs.
        name: The path of the n-th file.
        most: The most row groups in a file.
    """
    groups = cut_groups(_ordered(pool, settings, runs))
    for number, batch in enumerate(iter(lambda: list(itertools.islice(groups, most)), [])):
        yield pool.apply("write", [WriteItem(name(number), tuple(runs), tuple(map(_taken, batch)))])


def _taken(placed: Sequence[Placed]) -> pa.Table:
    tables = []
    for _, same in itertools.groupby(placed, lambda file: id(file.entries)):
        files = list(same)
        taken = files[0].entries.take(pa.array([file.row for file in files], pa.int64()))
        taken = taken.append_column(POSITION, pa.array([file.position for file in files], pa.int64()))
        tables.append(taken.append_column(IMPORTS, pa.array([file.imports for file in files], pa.list_(pa.int64()))))
    return pa.concat_tables(tables)


def cut_groups(repositories: Iterable[Sequence[Placed]]) -> Iterator[list[Placed]]:
    """Cuts repositories into row groups: small ones together, a large one into several; see the module."""
    most = GROUP_MB * 1_000_000
    group: list[Placed] = []
    filled = 0
    for files in repositories:
        total = sum(file.size for file in files)
        if group and filled + total > most:
            yield group
            group, filled = [], 0
        for file in files:
            if group and total > most and filled + file.size > most:
                yield group
                group, filled = [], 0
            group.append(file)
            filled += file.size
    if group:
        yield group


def _ordered(pool: RowPool, settings: GroupSettings, runs: Sequence[Run]) -> Iterator[list[Placed]]:
    """Yields the files of each repository in packing order."""
    for bucket in buckets_of(runs):
        entries = entries_of(runs, bucket)
        entries = entries.take(pc.sort_indices(entries, sort_keys=[(key, "ascending") for key in _ORDER]))
        yield from _Bucket(runs, entries.combine_chunks()).ordered(pool, settings)


class _Bucket:
    """The entries of one hash bucket, sorted."""

    def __init__(self, runs: Sequence[Run], entries: pa.Table):
        self._runs = runs
        self._entries = entries
        self._names = texts_of(entries, "repo_name")
        self._paths = texts_of(entries, "path")
        self._languages = texts_of(entries, "language")
        places = (entries.column(name).to_pylist() for name in ("run", "offset", "stored", "size"))
        self._places = list(zip(*places, strict=True))

    def ordered(self, pool: RowPool, settings: GroupSettings) -> Iterator[list[Placed]]:
        """Yields the files of each repository in packing order. Each row without a repository counts as one."""
        runs = itertools.groupby(range(len(self._names)), lambda row: self._names[row] or row)
        repositories = [list(rows) for _, rows in runs]
        wanted = (self._item(row) for rows in repositories if len(rows) > 1 for row in rows)
        facts = _facts(pool, settings, wanted)
        for rows in repositories:
            if len(rows) == 1:
                yield [self._placed(rows[0], 0, [])]
            else:
                yield self._order(rows, {row: next(facts) for row in rows})

    def _order(self, rows: Sequence[int], facts: Mapping[int, FileFacts | None]) -> list[Placed]:
        """One repository in packing order. Files with the same path are adjacent; those without text come last."""
        by_path: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            if facts[row] is not None and self._paths[row]:
                by_path[self._paths[row]].append(row)
        first = {path: same[0] for path, same in by_path.items()}
        configs = {path: self._text(row) for path, row in first.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES}
        known = (found for row in first.values() if (found := facts[row]))
        ordered = order_repository(RepositoryIndex(known, self._names[rows[0]], configs))
        sequence = [row for path in ordered.paths for row in by_path[path]]
        packed = set(sequence)
        position = {row: place for place, row in enumerate([*sequence, *(row for row in rows if row not in packed)])}

        def imported(row: int) -> list[int]:
            targets = ordered.imports.get(self._paths[row], ()) if row in packed else ()
            found = (position[other] for path in targets for other in by_path[path])
            return sorted(place for place in found if place < position[row])

        return [self._placed(row, place, imported(row)) for row, place in position.items()]

    def _placed(self, row: int, position: int, imports: list[int]) -> Placed:
        return Placed(self._entries, row, self._places[row][-1] or 0, position, imports)

    def _item(self, row: int) -> FactsItem:
        run, offset, stored, size = self._places[row]
        return FactsItem(self._paths[row], self._languages[row].lower(), self._runs[run].texts, offset, stored, size)

    def _text(self, row: int) -> str:
        run, *place = self._places[row]
        with RunReader() as reader:
            return (reader.read(self._runs[run].texts, *place) or b"").decode("utf-8", "replace")


def _facts(pool: RowPool, settings: GroupSettings, items: Iterable[FactsItem]) -> Iterator[FileFacts | None]:
    """The facts of each file, in order; a few chunks are in flight."""
    same: dict[Import, Import] = {}
    chunks: deque[tuple[list[FactsItem], Callable[[], list[FileFacts | Crashed | None]]]] = deque()
    source = iter(items)
    with _Watch(pool, settings.row_timeout_s) as watch:
        while True:
            while len(chunks) <= 2 * settings.workers and (chunk := list(itertools.islice(source, _CHUNK))):
                chunks.append((chunk, pool.apply("facts", chunk)))
            if not chunks:
                return
            asked, results = chunks.popleft()
            for item, found in zip(asked, watch.waiting_for(results), strict=True):
                if isinstance(found, Crashed):
                    _log.warning("the imports of a file could not be read: its process died or hung")
                    yield FileFacts(item.path)
                else:
                    yield found and _shared(found, same)


def _shared(facts: FileFacts, same: dict[Import, Import]) -> FileFacts:
    """The same facts, with one object for equal imports: they are most of a large repository's memory."""
    imports = tuple(same.setdefault(found, found) for found in facts.imports)
    return FileFacts(facts.path, facts.grammar, imports, facts.package, facts.declares, facts.uses)


class _Watch:
    """Ends the pool's processes when results are waited for and no row has been done for `timeout_s`."""

    def __init__(self, pool: RowPool, timeout_s: float):
        self._pool = pool
        self._timeout_s = timeout_s
        self._is_waiting = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hung-rows", daemon=True)

    def waiting_for(self, results: Callable[[], list[Any]]) -> list[Any]:
        """Waits for the results of a call."""
        self._is_waiting = True
        try:
            return results()
        finally:
            self._is_waiting = False

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
            if now != before or not self._is_waiting:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > self._timeout_s:
                self._pool.kill()
                since = time.monotonic()


def check_written(results: Sequence[Any]) -> None:
    """Raises if a file could not be written because its process died."""
    if CRASHED in results:
        raise RuntimeError("a process died while it wrote a grouped file; run the same command again")
