"""Cycles lose their least important edges; every file comes after what it imports, nearest first."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.packing.beside import pair_tests
from transforms.packing.facts import FileFacts
from transforms.packing.graph import break_cycles, components, importance_of, order_files, strong_components
from transforms.packing.imports import Import
from transforms.packing.order import order_repository
from transforms.packing.resolution import RepositoryIndex


def is_ordered(order, edges):
    place = {path: index for index, path in enumerate(order)}
    return all(place[b] < place[a] for a, targets in edges.items() for b in targets)


def test_what_is_imported_comes_first():
    edges = {"app": {"cart": 1.0}, "cart": {"money": 1.0}}
    assert order_files(edges) == ["money", "cart", "app"]


def test_a_cycle_loses_its_least_important_edge():
    edges = {"a": {"b": 3.0}, "b": {"c": 1.0}, "c": {"a": 2.0}}
    assert break_cycles(edges) == {"a": {"b": 3.0}, "c": {"a": 2.0}}
    assert order_files(edges) == ["b", "a", "c"]


def test_a_cycle_of_a_thousand_files_is_ordered():
    names = [f"f{n:04d}" for n in range(1000)]
    edges = {a: {b: 1.0} for a, b in zip(names, [*names[1:], names[0]], strict=True)}
    order = order_files(edges)
    assert sorted(order) == names
    assert sum(len(targets) for targets in break_cycles(edges).values()) == 999


def test_files_that_all_import_one_another_are_ordered():
    rng = random.Random(1)
    names = [f"f{n:03d}" for n in range(300)]
    edges = {a: {b: float(rng.randint(1, 9)) for b in rng.sample(names, 10) if b != a} for a in names}
    assert sorted(order_files(edges)) == names


def test_the_nearest_file_is_next_and_ties_go_by_path():
    # core and zeta are free to come first; core does, by name. near hangs on core closely, far loosely.
    edges = {"far": {"core": 1.0}, "near": {"core": 5.0}, "odd": {"core": 1.0, "zeta": 1.0}}
    assert order_files(edges) == ["core", "near", "far", "zeta", "odd"]


def test_components_stand_one_after_the_other_by_their_first_file():
    edges = {"b2": {"b1": 1.0}, "a2": {"a1": 1.0}}
    assert order_files(edges) == ["a1", "a2", "b1", "b2"]
    assert components(edges) == [["a1", "a2"], ["b1", "b2"]]


def test_importance_grows_with_names_and_falls_where_nested():
    assert importance_of(Import("a")) == 1
    assert importance_of(Import("a", ("x", "y"), "from")) == 2
    assert importance_of(Import("a", form="wildcard")) == 3
    assert importance_of(Import("a", ("x",), is_nested=True)) == 0.25
    assert importance_of(Import("a", tuple(map(str, range(50))))) == 10


NODES = st.sampled_from([f"n{n}" for n in range(12)])
EDGES = st.dictionaries(NODES, st.dictionaries(NODES, st.sampled_from([0.25, 1.0, 2.0, 5.0]), max_size=5), max_size=12)


@settings(max_examples=120, deadline=None)
@given(edges=EDGES)
def test_strong_components_are_the_files_that_reach_one_another(edges):
    def reached(start):
        seen, stack = {start}, [start]
        while stack:
            for node in edges.get(stack.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return seen

    reach = {node: reached(node) for node in {*edges, *(b for targets in edges.values() for b in targets)}}
    found = strong_components(edges)
    assert sorted(node for component in found for node in component) == sorted(reach)
    for component in found:
        assert all(set(component) == {b for b in reach[a] if a in reach[b]} for a in component)


def test_a_long_chain_of_imports_needs_no_deep_recursion():
    names = [f"m{n:06}" for n in range(5000)]
    chain = {a: {b: 1.0} for a, b in itertools.pairwise(names)}
    assert [only for (only,) in strong_components(chain)] == names[::-1]
    (knot,) = strong_components({**chain, names[-1]: {names[0]: 1.0}})
    assert sorted(knot) == names


@given(edges=EDGES)
def test_an_order_holds_each_file_once_after_what_it_imports(edges):
    edges = {a: {b: w for b, w in targets.items() if a != b} for a, targets in edges.items()}
    edges = {a: targets for a, targets in edges.items() if targets}
    order = order_files(edges)
    assert sorted(order) == sorted({*edges, *(b for targets in edges.values() for b in targets)})
    assert is_ordered(order, break_cycles(edges))


@settings(max_examples=50, deadline=None)
@given(edges=EDGES, seed=st.integers(0, 9))
def test_an_order_does_not_depend_on_the_order_of_edges(edges, seed):
    items = [(a, list(targets.items())) for a, targets in edges.items()]
    random.Random(seed).shuffle(items)
    assert order_files({a: dict(reversed(targets)) for a, targets in items}) == order_files(edges)


@settings(max_examples=50, deadline=None)
@given(edges=EDGES)
def test_an_edge_is_dropped_only_where_it_would_close_a_cycle(edges):
    edges = {a: {b: w for b, w in targets.items() if a != b} for a, targets in edges.items()}
    kept = break_cycles(edges)
    for a, targets in edges.items():
        for b in set(targets) - set(kept.get(a, ())):
            seen, stack = set(), [b]
            while stack:
                node = stack.pop()
                if node not in seen:
                    seen.add(node)
                    stack += kept.get(node, ())
            assert a in seen


def test_loose_files_follow_by_name_and_tests_stand_beside_what_they_test():
    facts = [
        FileFacts("src/cart.py", "python", (Import("money", form="import"),)),
        FileFacts("src/money.py", "python"),
        FileFacts("tests/test_money.py", "python"),
        FileFacts("docs/b.py", "python"),
        FileFacts("docs/a.py", "python"),
        FileFacts("tests/test_a.py", "python"),
    ]
    ordered = order_repository(RepositoryIndex(facts))
    assert ordered.paths == [
        "src/money.py",
        "tests/test_money.py",
        "src/cart.py",
        "docs/a.py",
        "tests/test_a.py",
        "docs/b.py",
    ]
    assert ordered.imports == {
        "src/cart.py": frozenset({"src/money.py"}),
        "tests/test_money.py": frozenset({"src/money.py"}),
        "tests/test_a.py": frozenset({"docs/a.py"}),
    }


def test_a_test_with_imports_of_its_own_stands_behind_what_it_tests_all_the_same():
    facts = [
        FileFacts("src/money.py", "python"),
        FileFacts("src/z_cart.py", "python", (Import("money", form="import"),)),
        FileFacts("tests/test_money.py", "python", (Import("money", form="import"), Import("helper", form="import"))),
        FileFacts("tests/helper.py", "python", (Import("z_rates", form="import"),)),
        FileFacts("tests/z_rates.py", "python"),
    ]
    paths = order_repository(RepositoryIndex(facts)).paths
    assert paths == ["tests/z_rates.py", "tests/helper.py", "src/money.py", "tests/test_money.py", "src/z_cart.py"]


def test_what_a_test_imports_gives_way_where_that_imports_what_the_test_tests():
    facts = [
        FileFacts("src/a.py", "python", (Import("money", form="import"),)),
        FileFacts("src/money.py", "python"),
        FileFacts("tests/test_money.py", "python", (Import("a", ("x", "y", "z"), "from"),)),
    ]
    assert order_repository(RepositoryIndex(facts)).paths == ["src/money.py", "tests/test_money.py", "src/a.py"]


def test_several_tests_of_a_file_follow_it_in_the_order_of_their_imports():
    facts = [
        FileFacts("money.py", "python"),
        FileFacts("money_test.py", "python", (Import("test_money", form="import"),)),
        FileFacts("test_money.py", "python"),
        FileFacts("a/test_money.py", "python"),
    ]
    paths = order_repository(RepositoryIndex(facts)).paths
    assert paths == ["money.py", "test_money.py", "money_test.py", "a/test_money.py"]


@given(st.data())
def test_each_file_comes_once_and_each_test_right_behind_what_it_tests(data):
    names = ["a.py", "b.py", "c.py", "test_a.py", "t/test_b.py", "test_x.py", "d/c_test.py", "t/a_test.py"]
    drawn = data.draw(st.lists(st.sampled_from(names), unique=True))
    modules = [path.rsplit("/", 1)[-1].removesuffix(".py") for path in drawn]
    imports = [data.draw(st.lists(st.sampled_from(modules), unique=True)) for _ in drawn]
    facts = [
        FileFacts(path, "python", tuple(Import(module, form="import") for module in found))
        for path, found in zip(drawn, imports, strict=True)
    ]
    paths = order_repository(RepositoryIndex(facts)).paths
    assert sorted(paths) == sorted(drawn)
    tested: dict[str, set[str]] = {}
    for test, implementation in pair_tests(drawn, drawn).items():
        tested.setdefault(implementation, set()).add(test)
    for implementation, tests in tested.items():
        place = paths.index(implementation) + 1
        assert set(paths[place : place + len(tests)]) == tests
