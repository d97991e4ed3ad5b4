"""Mutants: what each operator changes, in each language, and that drawing them depends on the seed alone."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.languages.syntax import Source, parse
from transforms.verification.mutants import draw_mutants, find_mutants

PYTHON = '''\
LIMIT = 9


def clamp(x, low=0):
    """Keeps x above 7 and < 3."""
    if x < low and not x == 4:
        log(x)
        return low
    x += 1  # 1 < 2
    return x + 1 if x in (5, 6) else True
'''
SOURCES = {
    "python": PYTHON,
    "javascript": "function f(a) { if (a === 3 || a < 2) { g(a); return a + 1; } a += 2; return true; }\n",
    "typescript": "function f(a: number): Array<number> { if (a < 2) { g(a); return [a + 1]; } return [3]; }\n",
    "go": "package p\n\nfunc f(a int) int {\n\tif a < 3 && a != 2 {\n\t\treturn 1\n\t}\n\tg(a)\n\treturn a * 2\n}\n",
    "java": "class A { boolean f(int a) { if (a < 3) { g(a); return a + 1 > 2; } return true; } }\n",
    "kotlin": "fun f(a: Int): Int { if (a < 3 && a != 2) { return a + 1 }\n g(a)\n return a }\n",
    "rust": "fn f(a: i32) -> i32 { if a < 3 { return a + 1; } g(a); a * 2 }\n",
    "cpp": "int f(int a) { std::vector<int> v; if (a < 3) { return a + 1; } g(a); return 7; }\n",
    "csharp": "class A { int F(int a) { if (a < 3) { return a + 1; } G(a); return 7; } }\n",
}
ALWAYS = {"flipped_comparison", "off_by_one", "swapped_arithmetic", "negated_condition", "removed_statement"}


def parsed(grammar: str) -> Source:
    source = parse(SOURCES[grammar].encode(), grammar)
    assert source is not None
    return source


def changes(source: Source, start: int = 0, end: int | None = None) -> set[tuple[str, str, str]]:
    found = find_mutants(source, start, len(source.data) if end is None else end)
    return {(one.kind, source.data[one.start : one.end].decode(), one.text) for one in found}


def test_each_operator_of_python_makes_its_change_and_leaves_strings_and_comments_alone() -> None:
    assert changes(parsed("python"), PYTHON.index("def")) == {
        ("changed_constant", "0", "2"),
        ("off_by_one", "0", "1"),
        ("negated_condition", "x < low and not x == 4", "(not (x < low and not x == 4))"),
        ("flipped_comparison", "<", ">="),
        ("off_by_one", "<", "<="),
        ("swapped_arithmetic", "and", "or"),
        ("flipped_comparison", "==", "!="),
        ("off_by_one", "4", "5"),
        ("changed_constant", "4", "0"),
        ("removed_statement", "log(x)", "pass"),
        ("removed_statement", "return low", "pass"),
        ("swapped_arithmetic", "+=", "-="),
        ("off_by_one", "1", "2"),
        ("changed_constant", "1", "0"),
        ("removed_statement", "x += 1", "pass"),
        ("removed_statement", "return x + 1 if x in (5, 6) else True", "pass"),
        ("swapped_arithmetic", "+", "-"),
        ("flipped_comparison", "in", "not in"),
        ("off_by_one", "5", "6"),
        ("changed_constant", "5", "0"),
        ("off_by_one", "6", "7"),
        ("changed_constant", "6", "0"),
        ("changed_constant", "True", "False"),
    }


@pytest.mark.parametrize("grammar", sorted(SOURCES))
def test_every_language_has_the_usual_operators_and_no_type_argument_changes(grammar: str) -> None:
    source = parsed(grammar)
    found = changes(source)
    assert {kind for kind, *_ in found} >= ALWAYS
    drawn = draw_mutants(source, 0, len(source.data), most=100, seed=1)
    assert len(drawn) >= len(ALWAYS)
    for one in drawn:
        changed = parse(one.of(source.data).encode(), grammar)
        assert changed is not None and changed.is_sound
        assert one.of(source.data) != SOURCES[grammar]
        assert "<int" not in SOURCES[grammar] or "<int" in one.of(source.data)


def test_only_the_range_that_is_asked_for_changes() -> None:
    start = PYTHON.index("def")
    source = parsed("python")
    assert all(start <= one.start for one in draw_mutants(source, start, len(source.data), most=100, seed=3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30))
def test_mutants_follow_from_the_seed_are_distinct_and_compile(seed: int, most: int) -> None:
    source = parsed("python")
    drawn = draw_mutants(source, 0, len(source.data), most=most, seed=seed)
    assert drawn == draw_mutants(source, 0, len(source.data), most=most, seed=seed)
    assert len(drawn) <= most and len(set(drawn)) == len(drawn)
    for one in drawn:
        assert ast.dump(ast.parse(one.of(source.data))) != ast.dump(ast.parse(PYTHON))


def test_a_bound_leaves_every_kind_in() -> None:
    source = parsed("python")
    kinds = {one.kind for one in draw_mutants(source, 0, len(source.data), most=6, seed=5)}
    assert len(kinds) == 6
