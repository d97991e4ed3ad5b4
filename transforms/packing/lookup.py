"""Finds what a file imports in a corpus that is grouped by repository, for jobs whose rows come in any order.

    index         one entry for each repository in each row group: hash of its name, file, row group, first position
    repository -> its row groups -> paths, positions and imports of its files -> the row groups of what a file imports

The grouped files (`jobs.grouping`) have a repository's files in packing order, each with the positions of those that it
imports. Nothing of a repository is read before one of its files is asked for, and of contents only row groups that have
an imported file.

Memory: the index, 24 bytes for each repository in a row group (some 200 while it is made), `MAX_PATHS_MB` of paths and
imports, `MAX_TEXTS_MB` of row groups; the repository at hand is held in any case, about 100 bytes a file.
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.packing.order import IMPORTS, POSITION

MAX_PATHS_MB: Final = 64
MAX_TEXTS_MB: Final = 64
_OPEN_FILES: Final = 16

ENTRY: Final = np.dtype([("key", "<u8"), ("file", "<u4"), ("group", "<u4"), ("first", "<i8")])
"""An entry of the index."""

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GroupedCorpus:
    """Where a grouped corpus is.

    Args:
        files: Its Parquet files, in the order in which the index numbers them.
        index: The index, in NumPy's format.
        open_file: Opens a file for reading at random; a function at the top level of a module.
    """

    files: tuple[str, ...]
    index: str
    open_file: Callable[[str], IO[bytes]]


class FoundFile(NamedTuple):
    """An imported file, as it is in the corpus."""

    path: str
    language: str
    content: bytes


class _Place(NamedTuple):
    """A row group that has files of a repository, the first of which has this position."""

    file: int
    group: int
    first: int


def name_key(name: str) -> int:
    """The hash by which the index knows a repository."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def index_of(files: Iterable[pq.ParquetFile]) -> npt.NDArray[Any]:
    """The index of grouped files, ordered by repository and position; files without a repository aren't in it."""
    found: list[tuple[int, int, int, int]] = []
    for number, parquet in enumerate(files):
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=["repo_name", POSITION])
            firsts = table.group_by("repo_name").aggregate([(POSITION, "min")])
            for name, first in zip(firsts["repo_name"].to_pylist(), firsts[f"{POSITION}_min"].to_pylist(), strict=True):
                if name:
                    found.append((name_key(name), number, group, first))
    entries = np.array(found, ENTRY)
    return entries[np.lexsort((entries["first"], entries["key"]))]


class RepositoryFiles:
    """Reads what files import.

    Args:
        corpus: The grouped corpus.
    """

    def __init__(self, corpus: GroupedCorpus):
        self._corpus = corpus
        with corpus.open_file(corpus.index) as file:
            self._entries = np.load(file)
        self._opened: _Recent[int, pq.ParquetFile] = _Recent(_OPEN_FILES, lambda _: 1, pq.ParquetFile.close)
        self._paths: _Recent[str, pa.Table] = _Recent(MAX_PATHS_MB * 1_000_000, lambda table: table.nbytes)
        self._texts: _Recent[tuple[str, _Place], pa.Table] = _Recent(
            MAX_TEXTS_MB * 1_000_000, lambda table: table.nbytes
        )

    def imported(self, repo_name: str, path: str) -> Iterator[FoundFile]:
        """Yields the files that a file imports, in their order; nothing if the corpus doesn't have the file.

        Args:
            repo_name: The repository, as in the corpus.
            path: The file's path there.
        """
        places = self._places(repo_name) if repo_name else []
        if not places:
            return
        table = self._paths.get(repo_name, lambda: self._read_paths(repo_name, places))
        row = pc.index(table["path"], pa.scalar(path, pa.large_string())).as_py()
        if row < 0:
            return
        for position in table[IMPORTS][row].as_py() or ():
            if (found := self._file(repo_name, places, position)) is not None:
                yield found

    def close(self) -> None:
        """Closes the files."""
        self._opened.clear()

    def _places(self, repo_name: str) -> list[_Place]:
        key = np.uint64(name_key(repo_name))
        keys = self._entries["key"]
        first, last = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
        return [
            _Place(*(int(entry[name]) for name in ("file", "group", "first"))) for entry in self._entries[first:last]
        ]

    def _parquet(self, number: int) -> pq.ParquetFile:
        corpus = self._corpus
        return self._opened.get(number, lambda: pq.ParquetFile(corpus.open_file(corpus.files[number])))

    def _read(self, place: _Place, repo_name: str, columns: list[str]) -> pa.Table:
        table = self._parquet(place.file).read_row_group(place.group, columns=["repo_name", *columns])
        return table.filter(pc.equal(table["repo_name"], repo_name)).drop_columns("repo_name")

    def _read_paths(self, repo_name: str, places: list[_Place]) -> pa.Table:
        return pa.concat_tables([self._read(place, repo_name, ["path", IMPORTS]) for place in places]).combine_chunks()

    def _file(self, repo_name: str, places: list[_Place], position: int) -> FoundFile | None:
        place = next(place for place in reversed(places) if place.first <= position)
        names = ["content", "path", "language", POSITION]
        table = self._texts.get((repo_name, place), lambda: self._read(place, repo_name, names))
        row = pc.index(table[POSITION], position).as_py()
        if row < 0:
            return None
        content, path, language = (table[name][row].as_py() for name in ("content", "path", "language"))
        return None if content is None or not path else FoundFile(path, language or "", content)


class _Recent(Generic[K, T]):
    """The values that were asked for last, up to a total cost; the last one whatever it costs."""

    def __init__(self, most: int, cost: Callable[[T], int], drop: Callable[[T], None] = lambda value: None):
        self._most, self._cost, self._drop = most, cost, drop
        self._values: OrderedDict[K, T] = OrderedDict()
        self._total = 0

    def get(self, key: K, make: Callable[[], T]) -> T:
        """The value of a key, made if it isn't there."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        self._total += self._cost(value)
        while self._total > self._most and len(self._values) > 1:
            self._remove_oldest()
        return value

    def clear(self) -> None:
        """Drops all values."""
        while self._values:
            self._remove_oldest()

    def _remove_oldest(self) -> None:
        _, oldest = self._values.popitem(last=False)
        self._total -= self._cost(oldest)
        self._drop(oldest)


@functools.lru_cache(maxsize=1)
def open_repository_files(corpus: GroupedCorpus) -> RepositoryFiles:
    """The process's reader of a corpus."""
    return RepositoryFiles(corpus)
