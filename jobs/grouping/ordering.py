"""The rows of one hash bucket: each repository's files in packing order, cut into row groups, written.

    entries --sorted--> repositories --facts of each file (row pool)--> graph, order --cut--> grouped files (row pool)

A repository of up to `GROUP_MB` is whole in a row group, with others up to that size. A larger one is cut, in packing
order, into row groups of its own, so that several processes can pack it. Where it is cut depends on the rows alone.

A file whose reader of imports crashes or hangs is ordered as if it imported nothing.

Memory: the entries of one bucket, and the facts of its files, about a kilobyte each.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from jobs.grouping.reading import GroupSettings
from jobs.grouping.runs import Run, RunReader, entries_of
from jobs.grouping.stages import FactsItem, WriteItem
from transforms.packing.facts import FileFacts, Import
from transforms.packing.order import IMPORTS, POSITION, order_repository
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex
from transforms.row_pool import CRASHED, Crashed, RowPool
from transforms.rows.cells import texts_of

_log = logging.getLogger(__name__)

GROUP_MB: Final = 8  # per unit; the last packed row of each unit stays partly empty, one in about 300
_CHUNK: Final = 32
_ORDER: Final = ("repo_name", "path", "sha256", "source_uri", "source_row_group", "source_row")

Placed = tuple[int, int, list[int]]
"""A row of the sorted entries, its position in its repository, and the positions of the files that it imports."""


def write_bucket(
    pool: RowPool, settings: GroupSettings, runs: Sequence[Run], bucket: int, name: Callable[[int], str], most: int
) -> Iterator[Callable[[], list[Any]]]:
    """Orders the rows of one hash bucket and starts to write its files; yields calls that wait for each of them.

    Args:
        pool: Has opened `GroupStages`.
        settings: How rows are ordered.
        runs: All runs.
        bucket: The hash bucket.
        name: The path of the bucket's n-th file.
        most: The most row groups in a file.
    """
    entries = entries_of(runs, bucket)
    entries = entries.take(pc.sort_indices(entries, sort_keys=[(key, "ascending") for key in _ORDER]))
    sizes = pc.fill_null(entries.column("size"), 0).to_pylist()
    groups = cut_groups(_ordered(pool, settings, runs, entries), sizes)
    for number, batch in enumerate(iter(lambda: list(itertools.islice(groups, most)), [])):
        yield pool.apply("write", [WriteItem(name(number), tuple(runs), tuple(_taken(entries, one) for one in batch))])


def _taken(entries: pa.Table, placed: Sequence[Placed]) -> pa.Table:
    rows, positions, imports = (list(column) for column in zip(*placed, strict=True))
    taken = entries.take(pa.array(rows, pa.int64()))
    taken = taken.append_column(POSITION, pa.array(positions, pa.int64()))
    return taken.append_column(IMPORTS, pa.array(imports, pa.list_(pa.int64())))


def cut_groups(repositories: Iterable[Sequence[Placed]], sizes: Sequence[int]) -> Iterator[list[Placed]]:
    """Cuts repositories into row groups: small ones together, a large one into several; see the module."""
    most = GROUP_MB * 1_000_000
    group: list[Placed] = []
    filled = 0
    for files in repositories:
        total = sum(sizes[row] for row, _, _ in files)
        if group and filled + total > most:
            yield group
            group, filled = [], 0
        for file in files:
            size = sizes[file[0]]
            if group and total > most and filled + size > most:
                yield group
                group, filled = [], 0
            group.append(file)
            filled += size
    if group:
        yield group


def _ordered(
    pool: RowPool, settings: GroupSettings, runs: Sequence[Run], entries: pa.Table
) -> Iterator[list[Placed]]:
    """Yields the files of each repository in packing order. Each row without a repository counts as a repository."""
    names = entries.column("repo_name").to_pylist()
    paths, languages = texts_of(entries, "path"), texts_of(entries, "language")
    places = list(zip(*(entries.column(name).to_pylist() for name in ("run", "offset", "stored", "size")), strict=True))

    def item(row: int) -> FactsItem:
        run, *place = places[row]
        return FactsItem(paths[row], languages[row].lower(), runs[run].texts, *place)

    def config(row: int) -> str:
        with RunReader() as reader:
            return (reader.read(*item(row)[2:]) or b"").decode("utf-8", "replace")

    repositories = [list(rows) for _, rows in itertools.groupby(range(len(names)), lambda row: names[row] or row)]
    wanted = (item(row) for rows in repositories if len(rows) > 1 for row in rows)
    facts = _facts(pool, settings, wanted)
    for rows in repositories:
        if len(rows) == 1:
            yield [(rows[0], 0, [])]
            continue
        found = {row: next(facts) for row in rows}
        yield _order(rows, found, paths, names[rows[0]], config)


def _order(
    rows: Sequence[int],
    facts: dict[int, FileFacts | None],
    paths: Sequence[str],
    repo_name: str,
    config: Callable[[int], str],
) -> list[Placed]:
    """One repository in packing order. Files with the same path are adjacent; those without text come last."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if facts[row] is not None and paths[row]:
            by_path[paths[row]].append(row)
    first = {path: same[0] for path, same in by_path.items()}
    configs = {path: config(row) for path, row in first.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES}
    index = RepositoryIndex((found for row in first.values() if (found := facts[row])), repo_name, configs)
    ordered = order_repository(index)
    sequence = [row for path in ordered.paths for row in by_path[path]]
    placed = set(sequence)
    position = {row: place for place, row in enumerate([*sequence, *(row for row in rows if row not in placed)])}

    def imported(row: int) -> list[int]:
        targets = ordered.imports.get(paths[row], ()) if row in placed else ()
        found = (position[other] for path in targets for other in by_path[path])
        return sorted(place for place in found if place < position[row])

    return [(row, place, imported(row)) for row, place in position.items()]


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
