"""The dependency graph of a repository, and the file order that follows from it.

1. Edges: from a file to the files that its imports resolve to; importance measures how much is imported
   (`importance_of`).
2. Cycles: the least important edges are dropped. Only edges within a strongly connected component can be part of one.
   They are added from the most important to the least, and one that would close a cycle is dropped. A topological order
   is maintained throughout (Pearce and Kelly, 2007), so only the files between the two ends are searched.
3. Order: a file is available once all files that it imports are placed. Among the available ones, the one nearest to
   the placed files is next, by shortest path over all edges (including the dropped ones, which still relate files),
   where an edge has length 1 / importance; ties go by path. Distances spread from each placed file by Dijkstra's
   algorithm; in a component of more than `FULL_SEARCH_FILES` files a search ends after `MAX_SEARCH_STEPS` files.

Deterministic: depends on names and importances, not on the input order.
Cost: a component of n files and m edges takes about O(m log m) for cycles on real code, and O(n (m + n log n)) at
worst for distances. Real repositories stay far below, because a search stops where an earlier one was nearer.
Source: arXiv 2406.11409, "Multi-file packing": imports, importance, cycles, all-pairs shortest paths, topological
order by minimum distance to sorted nodes, lexicographic ties.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from transforms.packing.facts import SHARED_PACKAGES
from transforms.packing.imports import Import
from transforms.packing.resolution import RepositoryIndex, resolve, used_of_package

FULL_SEARCH_FILES: Final = 2000
MAX_SEARCH_STEPS: Final = 200

_WILDCARD_NAMES: Final = 3
_MAX_NAMES: Final = 10
_NESTED_FACTOR: Final = 0.25

# importer -> imported file -> importance
Edges = dict[str, dict[str, float]]


def importance_of(found: Import) -> float:
    """The weight of an import: a name counts 1 (at most `_MAX_NAMES`), a wildcard 3; a quarter of it if nested."""
    names = _WILDCARD_NAMES if found.form == "wildcard" else max(1, min(len(found.names), _MAX_NAMES))
    return names * (_NESTED_FACTOR if found.is_nested else 1.0)


def dependency_edges(index: RepositoryIndex) -> Edges:
    """Resolves all imports of a repository, and names used within a package; files without any are omitted."""
    edges: Edges = {}
    for path, facts in index.facts.items():
        if facts.grammar in SHARED_PACKAGES:
            for target, names in used_of_package(facts.package, path, index).items():
                edges.setdefault(path, {})[target] = float(min(names, _MAX_NAMES))
        for found in facts.imports:
            targets = resolve(found, path, index)
            for target in map(index.known, targets):
                importances = edges.setdefault(path, {})
                importances[target] = importances.get(target, 0.0) + importance_of(found) / len(targets)
    return edges


def order_files(edges: Edges) -> list[str]:
    """All files with edges: components by their first path, each in topological order, nearest first."""
    acyclic = break_cycles(edges)
    order: list[str] = []
    for component in components(edges):
        order += _order_component(component, edges, acyclic)
    return order


def break_cycles(edges: Edges) -> Edges:
    """Drops the least important edges until there are no cycles; ties keep the edge that comes first by path."""
    knots = strong_components(edges)
    knot_of = {path: number for number, knot in enumerate(knots) for path in knot}
    kept: Edges = {}
    knotted: dict[int, list[tuple[float, str, str]]] = defaultdict(list)
    for importer, targets in edges.items():
        for imported, weight in targets.items():
            if knot_of[importer] != knot_of[imported]:  # it can't be part of a cycle
                kept.setdefault(importer, {})[imported] = weight
            elif importer != imported:
                knotted[knot_of[importer]].append((-weight, importer, imported))
    for number, ranked in knotted.items():
        sorter = _IncrementalOrder(sorted(knots[number]))
        for weight, importer, imported in sorted(ranked):
            if sorter.add(imported, importer):
                kept.setdefault(importer, {})[imported] = -weight
    return kept


def strong_components(edges: Edges) -> list[list[str]]:
    """The sets of files that all reach one another (Tarjan, 1972), in linear time; most have only one file."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    is_open: set[str] = set()

    def enter(path: str) -> tuple[str, Iterator[str]]:
        index[path] = low[path] = len(index)
        stack.append(path)
        is_open.add(path)
        return path, iter(edges.get(path, ()))

    for start in _nodes(edges):
        if start in index:
            continue
        calls = [enter(start)]  # an explicit stack: recursion would be as deep as the repository
        while calls:
            path, rest = calls[-1]
            following = next(rest, None)
            if following is None:
                calls.pop()
                if calls:
                    low[calls[-1][0]] = min(low[calls[-1][0]], low[path])
                if low[path] == index[path]:
                    found.append([])
                    while path in is_open:
                        found[-1].append(stack.pop())
                        is_open.discard(found[-1][-1])
            elif following not in index:
                calls.append(enter(following))
            elif following in is_open:
                low[path] = min(low[path], index[following])
    return found


class _IncrementalOrder:
    """Maintains a topological order while edges are added, and refuses an edge that would close a cycle."""

    def __init__(self, nodes: Iterable[str]):
        self._place = {node: place for place, node in enumerate(nodes)}
        self._after: dict[str, list[str]] = defaultdict(list)
        self._before: dict[str, list[str]] = defaultdict(list)

    def add(self, first: str, then: str) -> bool:
        """Requires `first` to come before `then`; returns False, changing nothing, if that closes a cycle."""
        low, high = self._place[then], self._place[first]
        if high > low:
            reached = self._reach(then, self._after, lambda place: place <= high)
            if first in reached:
                return False
            reaching = self._reach(first, self._before, lambda place: place >= low)
            self._reorder(reaching, reached)
        self._after[first].append(then)
        self._before[then].append(first)
        return True

    def _reach(self, start: str, neighbours: Mapping[str, list[str]], is_between: Callable[[int], bool]) -> set[str]:
        seen, stack = {start}, [start]
        while stack:
            for node in neighbours.get(stack.pop(), ()):
                if node not in seen and is_between(self._place[node]):
                    seen.add(node)
                    stack.append(node)
        return seen

    def _reorder(self, reaching: set[str], reached: set[str]) -> None:
        """Moves the files that reach the new edge before those it reaches, within the positions that both had."""
        nodes = [*sorted(reaching, key=self._place.__getitem__), *sorted(reached, key=self._place.__getitem__)]
        places = sorted(self._place[node] for node in nodes)
        self._place.update(zip(nodes, places, strict=True))


def components(edges: Edges) -> list[list[str]]:
    """The connected components: each sorted, components by their first file."""
    above: dict[str, str] = {}  # a forest (union-find), which takes less than every file's neighbors

    def root(path: str) -> str:
        while (parent := above.setdefault(path, path)) != path:
            above[path] = path = above[parent]
        return path

    for importer, targets in edges.items():
        for imported in targets:
            above[root(imported)] = root(importer)
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(above):
        found[root(path)].append(path)
    return list(found.values())


def _order_component(component: list[str], edges: Edges, acyclic: Edges) -> list[str]:
    neighbours = _undirected({path: edges[path] for path in component if path in edges})
    waiting = {path: len(acyclic.get(path, ())) for path in component}
    importers: dict[str, list[str]] = defaultdict(list)
    for path in component:
        for imported in acyclic.get(path, ()):
            importers[imported].append(path)
    max_steps = MAX_SEARCH_STEPS if len(component) > FULL_SEARCH_FILES else len(component)
    distance: dict[str, float] = {}
    # A decreased distance leaves its old entry in the heap, which is skipped because it no longer matches.
    ready = [(float("inf"), path) for path in component if not waiting[path]]
    heapq.heapify(ready)
    placed: set[str] = set()
    order: list[str] = []
    while ready:
        far, path = heapq.heappop(ready)
        if path in placed or far != distance.get(path, float("inf")):
            continue
        placed.add(path)
        order.append(path)
        for importer in importers[path]:
            waiting[importer] -= 1
            if not waiting[importer]:
                heapq.heappush(ready, (distance.get(importer, float("inf")), importer))
        for other in _spread(path, neighbours, distance, max_steps):
            if not waiting[other] and other not in placed:
                heapq.heappush(ready, (distance[other], other))
    assert len(order) == len(component), "a cycle remains"
    return order


def _spread(
    start: str, neighbours: Mapping[str, Mapping[str, float]], distance: dict[str, float], max_steps: int
) -> list[str]:
    """Lowers the distances to the nearest placed file after `start` is placed; returns those that decreased."""
    distance[start] = 0.0
    frontier = [(0.0, start)]
    lowered = []
    while frontier and max_steps > 0:
        far, path = heapq.heappop(frontier)
        if far > distance[path]:
            continue
        max_steps -= 1
        for other, length in neighbours[path].items():
            reached = far + length
            if reached < distance.get(other, float("inf")):
                distance[other] = reached
                lowered.append(other)
                heapq.heappush(frontier, (reached, other))
    return lowered


def _undirected(edges: Edges) -> dict[str, dict[str, float]]:
    """For each file its neighbors and the lengths of the edges to them."""
    near: dict[str, dict[str, float]] = {}
    for importer, targets in edges.items():
        for imported, weight in targets.items():
            for one, other in ((importer, imported), (imported, importer)):
                importances = near.setdefault(one, {})
                importances[other] = importances.get(other, 0.0) + weight
    for path, importances in near.items():  # one after the other: a second copy of all would be the peak
        near[path] = {other: 1.0 / weight for other, weight in sorted(importances.items())}
    return near


def _nodes(edges: Edges) -> list[str]:
    return sorted({*edges, *(imported for targets in edges.values() for imported in targets)})
