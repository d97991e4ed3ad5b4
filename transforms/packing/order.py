"""The packing order of a repository's files: by dependencies, then by name, tests next to the files they test."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from transforms.packing.beside import alphabetical_with_tests, pair_tests
from transforms.packing.graph import dependency_edges, order_files
from transforms.packing.resolution import RepositoryIndex

# Columns of a corpus whose rows are in packing order: a file's position in its repository, and the positions of the
# files before it that it imports.
POSITION: Final = "position"
IMPORTS: Final = "imports"


@dataclass(frozen=True)
class OrderedRepository:
    """All files of a repository in order, and for each file the files it imports."""

    paths: list[str]
    imports: dict[str, frozenset[str]]


def order_repository(index: RepositoryIndex) -> OrderedRepository:
    """Orders a repository's files.

    Files that are related by imports come first, each after the files it imports (`transforms.packing.graph`). The
    others follow alphabetically, except that a test follows the file it tests, wherever that is
    (`transforms.packing.beside`).
    """
    edges = dependency_edges(index)
    tied = order_files(edges)
    imports = {path: frozenset(targets) for path, targets in edges.items()}
    in_graph = set(tied)
    loose = [path for path in index.facts if path not in in_graph]
    beside = {test: of for test, of in pair_tests(loose, index.facts).items() if of in in_graph}
    tests: dict[str, list[str]] = defaultdict(list)
    for test, implementation in beside.items():
        tests[implementation].append(test)
    paths = [item for path in tied for item in (path, *tests[path])]
    paths += alphabetical_with_tests(path for path in loose if path not in beside)
    return OrderedRepository(paths, imports)
