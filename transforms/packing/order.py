"""The packing order of a repository's files: by dependencies, then by name, tests next to the files they test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transforms.packing.beside import pair_tests
from transforms.packing.graph import Edges, dependency_edges, order_files
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


# An edge of a test, as a part of one of its implementation: where they close a cycle, real imports stay.
_TEST_FACTOR: Final = 0.25


def order_repository(index: RepositoryIndex) -> OrderedRepository:
    """Orders a repository's files.

    Files that are related by imports come first, each after the files that it imports (`transforms.packing.graph`);
    the others follow alphabetically. A test stands right behind the file that it tests (`transforms.packing.beside`),
    so a file and its tests are placed as one, after all that any of them imports.
    """
    edges = dependency_edges(index)
    files = list(index.facts)
    del index  # what is known of a large repository's files takes as much as to put them in order
    pairs = pair_tests(files, files, edges)
    tests: dict[str, list[str]] = defaultdict(list)
    for test, implementation in pairs.items():
        tests[implementation].append(test)
    tied = order_files(_with_tests(edges, pairs))
    placed = set(tied)
    heads = [*tied, *(path for path in files if path not in placed and path not in pairs)]
    paths = [path for head in heads for path in (head, *_ordered(tests.get(head, ()), edges))]
    imports = {path: frozenset(targets) for path, targets in edges.items()}
    for test, implementation in pairs.items():
        imports[test] = imports.get(test, frozenset()) | {implementation}
    return OrderedRepository(paths, imports)


def _with_tests(edges: Edges, pairs: Mapping[str, str]) -> Edges:
    """The edges between files with their tests: those of a test are its implementation's."""
    joined: Edges = {}
    for importer, targets in edges.items():
        for imported, weight in targets.items():
            head, target = pairs.get(importer, importer), pairs.get(imported, imported)
            if head != target:
                among = joined.setdefault(head, {})
                is_of_test = importer in pairs or imported in pairs
                among[target] = among.get(target, 0.0) + weight * (_TEST_FACTOR if is_of_test else 1.0)
    return joined


def _ordered(tests: Sequence[str], edges: Edges) -> list[str]:
    """The tests of one file: each after those that it imports, then by name."""
    if len(tests) < 2:
        return list(tests)
    among = {test: {other: edges[test][other] for other in tests if other in edges.get(test, ())} for test in tests}
    tied = order_files({test: targets for test, targets in among.items() if targets})
    return [*tied, *(test for test in tests if test not in tied)]
