"""The files of one repository in packing order, each with the files before it that it imports."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.packing.facts import FileFacts
from transforms.packing.imports import Import
from transforms.packing.order import IMPORTS, POSITION, order_repository
from transforms.packing.resolution import RepositoryIndex, is_config

FactsOf = Sequence[FileFacts | None]


class Placed(NamedTuple):
    """A row of a table, its position in its repository, and the positions of the files that it imports."""

    row: int
    position: int
    imports: list[int]


def place(
    name: str, paths: Sequence[str], facts: FactsOf, text_of: Callable[[int], str], *, first: int = 0
) -> list[Placed]:
    """Returns one repository's rows in packing order. Files with the same path are adjacent; those without text are
    last.

    Args:
        name: The repository's name.
        paths: The path of each row.
        facts: What is known of each row's file; None if it has no text.
        text_of: Reads the text of a row.
        first: The number of the first row.
    """
    by_path: dict[str, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        if facts[row] is not None and path:
            by_path[path].append(row)
    firsts = {path: same[0] for path, same in by_path.items()}
    configs = {path: text_of(row) for path, row in firsts.items() if is_config(path)}
    index = [RepositoryIndex(filter(None, map(facts.__getitem__, firsts.values())), name, configs)]
    del facts
    ordered = order_repository(index.pop())  # so that nobody here holds the facts while files are ordered
    sequence = [row for path in ordered.paths for row in by_path[path]]
    packed = set(sequence)
    position = {
        row: place for place, row in enumerate([*sequence, *(row for row in range(len(paths)) if row not in packed)])
    }

    def imported(row: int) -> list[int]:
        targets = ordered.imports.get(paths[row], ()) if row in packed else ()
        found = (position[other] for path in targets for other in by_path[path])
        return sorted(place for place in found if place < position[row])

    return [Placed(first + row, place, imported(row)) for row, place in position.items()]


def taken(entries: pa.Table, placed: Iterable[Placed]) -> pa.Table:
    """The entries of rows in order, with two more columns: `POSITION` and `IMPORTS`."""
    files = list(placed)
    table = entries.take(pa.array([file.row for file in files], pa.int64()))
    table = table.append_column(POSITION, pa.array([file.position for file in files], pa.int64()))
    return table.append_column(IMPORTS, pa.array([file.imports for file in files], pa.list_(pa.int64())))


class SharedImports:
    """Makes equal imports and names one object: they are most of a large repository's memory."""

    def __init__(self) -> None:
        self._same: dict[Import, Import] = {}

    def of(self, facts: FileFacts, path: str) -> FileFacts:
        """The same facts, with shared imports, and with the file's path as an object that is there anyway."""
        imports = tuple(self._same.setdefault(found, found) for found in facts.imports)
        package, uses = sys.intern(facts.package), tuple(map(sys.intern, facts.uses))
        return FileFacts(path, facts.grammar, imports, package, facts.declares, uses)
