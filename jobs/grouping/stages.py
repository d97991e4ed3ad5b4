"""The parts of grouping that run in the processes of a row pool.

    spool       rows to runs                                    sort   a bucket's entries, and its repositories
    read_facts  facts of some files of a large repository       order  its entries in packing order
    write       a grouped file: small repositories are put in packing order here

Each stage receives and returns little: rows, texts, entries and facts go through files on local disk. A file whose
imports kill the process that reads them, or take too long, is left out (`jobs.grouping.suspects`).
"""

from __future__ import annotations

import itertools
import pickle
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.grouping.cutting import Block, Repository
from jobs.grouping.grouped_files import reader, write_groups
from jobs.grouping.items import ChunkItem, FactsItem, OrderItem, Slice, SortItem, Spooled, SpoolItem, WriteItem
from jobs.grouping.placing import Placed, SharedImports, place, taken
from jobs.grouping.reading import GroupSettings, Reading, damage
from jobs.grouping.runs import RunWriter, entries_of, read_table, write_table
from jobs.grouping.suspects import Suspects
from jobs.plan.footers import InputFile
from transforms.freeing import give_back_memory
from transforms.growth.identity import repository_numbers
from transforms.packing.facts import FileFacts, read_facts
from transforms.row_pool import beat
from transforms.rows.cells import texts_of
from transforms.rows.columns import ColumnMap

_ORDER: Final = ("key", "repo_name", "path", "sha256", "source_uri", "source_row_group", "source_row")
_BEAT_S: Final = 1.0
_NO_SIZE: Final = -1  # of a file without text, in an array
_COLUMNS: Final = ColumnMap(content="content", path="path", repo_name="repo_name")


class _Damaged(Exception):
    """A row group can't be decoded to its end."""


@dataclass(frozen=True)
class GroupStages:
    """The stages; see `transforms.row_pool.Stages`."""

    reading: Reading | None
    settings: GroupSettings

    def open(self) -> None:
        """Nothing needs to be opened."""

    def spool(self, item: SpoolItem) -> Spooled:
        """Writes the rows of some row groups to runs."""
        writer = RunWriter(item.path)
        rows = 0
        faults = []
        for file, group, count in item.pieces:
            try:
                for bucket, table in self._tables(file, group, count):
                    # A full disk here is no fault of the input file.
                    rows += table.num_rows
                    writer.add(bucket, table)
            except _Damaged as fault:
                faults.append((file.public_name, str(fault)))
            beat()
        return Spooled(writer.finish(), rows, tuple(faults))

    def _tables(self, file: InputFile, group: int, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """`Reading.spread`; raises _Damaged for a damaged row group, after the rows before the damage."""
        assert self.reading is not None
        tables = self.reading.spread(file, group, rows)
        while True:
            try:
                found = next(tables)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                if storage.is_unanswered(error):
                    raise  # the storage failed, not the file
                raise _Damaged(damage(error)) from error
            yield found

    def facts(self, item: FactsItem) -> FileFacts | None:
        """The facts of one file; None for a file that has no text and will be rejected."""
        data = None
        if item.size and item.size <= self.settings.limits.max_content_bytes:
            data = reader().read(item.texts, item.offset, item.stored, item.size)
        if data is None or b"\0" in data:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        return read_facts(item.path, text, item.language, top_lines=self.settings.top_lines)

    def sort(self, item: SortItem) -> list[Repository]:
        """Sorts the entries of a bucket into a file; returns its repositories. A row without one counts as one."""
        entries = entries_of(item.runs, item.bucket)
        entries = entries.take(pc.sort_indices(entries, sort_keys=[(key, "ascending") for key in _ORDER]))
        write_table(entries, item.output)
        names, sizes = texts_of(entries, "repo_name"), entries.column("size").to_pylist()
        runs = itertools.groupby(range(len(names)), lambda row: names[row] or row)
        found = []
        for rows in (list(rows) for _, rows in runs):
            num_bytes = sum(sizes[row] or 0 for row in rows)
            found.append(Repository(item.output, rows[0], len(rows), num_bytes))
        return self._told_apart(found, entries)

    def _told_apart(self, found: list[Repository], entries: pa.Table) -> list[Repository]:
        """The same repositories, of which some share no row group with the others."""
        if not self.settings.apart:
            return found
        firsts = entries.take([repository.first for repository in found])
        numbers = repository_numbers(firsts, _COLUMNS)
        apart = self.settings.apart
        return [one._replace(is_apart=number in apart) for one, number in zip(found, numbers, strict=True)]

    def read_facts(self, item: ChunkItem) -> int:
        """Writes the facts of some files to a file; returns the number of those left out."""
        with Suspects(item.suspects) as suspects:
            facts = self._facts(_Entries(item.repository, item.texts), 0, suspects)
            with open(item.output, "wb") as file:
                pickle.dump(facts, file, pickle.HIGHEST_PROTOCOL)
        suspects.remove()
        return suspects.causes

    def order(self, item: OrderItem) -> array[int]:
        """Writes the entries of a large repository in packing order; returns the bytes of each text."""
        with _beating():
            entries = _Entries(item.repository, item.texts)
            # Nothing here holds the facts, so that `place` can let them go.
            placed = place(entries.name, entries.paths, _facts_of(item.facts, entries.paths), entries.text)
            write_table(taken(entries.table, placed), item.output)
        counts = array("q", (entries.size(row) for row, *_ in placed))
        del entries, placed
        give_back_memory()  # this was a large repository's, and what follows is a few files at a time
        return counts

    def write(self, item: WriteItem) -> int:
        """Writes one grouped file; returns the number of files whose imports were left out."""
        with Suspects(item.suspects) as suspects:
            groups = (
                read_table(group.entries).slice(group.first, group.files)
                if isinstance(group, Slice)
                else self._placed(group, item.texts, suspects)
                for group in item.groups
            )
            # Made once: the storage may want the file several times.
            made = list(groups)
            storage.with_new_attempts(lambda: write_groups(item.output, item.texts, made))
        suspects.remove()
        return suspects.causes

    def _placed(self, block: Block, texts: Sequence[str], suspects: Suspects) -> pa.Table:
        """The entries of small repositories in packing order."""
        tables, seen = [], 0
        for path, same in itertools.groupby(block.repositories, lambda repository: repository.entries):
            placed: list[Placed] = []
            for repository in same:
                placed += self._place_small(repository, texts, seen, suspects)
                seen += repository.files
            tables.append(taken(read_table(path), placed))
        return pa.concat_tables(tables)

    def _place_small(
        self, repository: Repository, texts: Sequence[str], number: int, suspects: Suspects
    ) -> list[Placed]:
        if repository.files == 1:
            return [Placed(repository.first, 0, [])]
        entries = _Entries(repository, texts)
        facts = self._facts(entries, number, suspects)
        return place(entries.name, entries.paths, facts, entries.text, first=repository.first)

    def _facts(self, entries: _Entries, number: int, suspects: Suspects) -> list[FileFacts | None]:
        """The facts of each file; the first one has this number in the item."""
        found: list[FileFacts | None] = []
        for row, item in enumerate(entries.items()):
            suspects.reading(number + row)
            found.append(FileFacts(item.path) if suspects.is_cause(number + row) else self.facts(item))
            beat()
        suspects.reading()
        return found


def _facts_of(files: Sequence[str], paths: Sequence[str]) -> list[FileFacts | None]:
    """The facts of a large repository's files, which `GroupStages.read_facts` wrote, in the order of their paths."""
    shared = SharedImports()
    read = itertools.chain.from_iterable(map(_unpickled, files))
    return [found and shared.of(found, path) for found, path in zip(read, paths, strict=True)]


def _unpickled(path: str) -> list[FileFacts | None]:
    with open(path, "rb") as file:
        found: list[FileFacts | None] = pickle.load(file)  # noqa: S301 - another process of ours wrote it
    return found


class _Entries:
    """The entries of one repository; what is there of each file is in arrays, since there may be very many."""

    def __init__(self, repository: Repository, texts: Sequence[str]):
        self._texts = texts
        self.table = read_table(repository.entries).slice(repository.first, repository.files)
        self.paths = texts_of(self.table, "path")
        self._places = [self.table.column(name).to_numpy() for name in ("run", "offset", "stored")]
        self._sizes = self.table.column("size").fill_null(_NO_SIZE).to_numpy()

    @property
    def name(self) -> str:
        """The repository's name."""
        return texts_of(self.table.slice(0, 1), "repo_name")[0]

    def size(self, row: int) -> int:
        """Bytes of a row's text; 0 if it has none."""
        return max(0, int(self._sizes[row]))

    def items(self) -> Iterator[FactsItem]:
        """The rows, whose facts are wanted."""
        for row, (path, language) in enumerate(zip(self.paths, texts_of(self.table, "language"), strict=True)):
            run, offset, stored, size = self._place(row)
            yield FactsItem(path, language.lower(), self._texts[run], offset, stored, size)

    def text(self, row: int) -> str:
        """A row's text."""
        run, offset, stored, size = self._place(row)
        return (reader().read(self._texts[run], offset, stored, size) or b"").decode("utf-8", "replace")

    def _place(self, row: int) -> tuple[int, int, int, int | None]:
        """A row's run, the offset and compressed size of its text there, and its size; None if it has none."""
        run, offset, stored = (int(column[row]) for column in self._places)
        size = int(self._sizes[row])
        return run, offset, stored, None if size == _NO_SIZE else size


@contextmanager
def _beating() -> Iterator[None]:
    """Beats while the block runs: its time depends on the repository, so it is never taken for one that hangs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_BEAT_S):
            beat()

    thread = threading.Thread(target=run, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
