from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.nested_files import nested_files
from transforms.bodies.placeholders import is_placeholder
from transforms.documentation.splice import is_same_code
from transforms.fim.spans import choose_spans
from transforms.languages import syntax
from transforms.languages.grammars import grammar_name
from transforms.languages.parsing import num_errors, parses, parses_as_before
from transforms.packing.facts import read_facts
from transforms.rows.row import content_sha256
from transforms.symbols import find_symbols
from transforms.symbols.python_ast import python_symbols

SIZE = 6_000
FILES = list(nested_files(SIZE))


def counted_steps(tree):
    """What `search_steps` estimates, counted exactly: each node's depth, and its distance to the next named sibling."""
    up = aside = 0
    stack = [(tree.root_node, 0)]
    while stack:
        node, depth = stack.pop()
        up += depth
        distance = 0
        for child in reversed(node.children):
            aside += distance if node.has_error else 0
            distance = 0 if child.is_named else distance + 1
            stack.append((child, depth + 1))
    return up, aside


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.language}-{file.shape}")
def test_a_deeply_nested_file_is_read_within_the_bound_or_refused(file):
    source = syntax.parse(file.text.encode(), grammar_name(file.language, file.path))
    if source is not None:
        up, aside = counted_steps(source.tree)
        assert up <= 1.2 * syntax.MAX_SEARCH_STEPS
        assert aside <= syntax.MAX_SEARCH_STEPS
        find_symbols(source)
    assert parses(file.text, file.language, file.path) in (True, False, None)
    assert parses_as_before(file.text, file.text, file.language, file.path) in (True, None)
    spans = choose_spans(
        file.text, file.language, job_seed=0, content_sha256=content_sha256(file.text), count=4, path=file.path
    )
    assert spans
    read_facts(file.path, file.text, file.language)


def test_the_set_has_sixteen_shapes_in_ten_languages():
    assert len({(file.language, file.shape) for file in FILES}) == 160
    assert {0.5 < len(file.text) / SIZE < 1.5 for file in FILES} == {True}


def test_errors_that_a_query_searches_for_seconds_are_refused_though_their_verdict_stands():
    text = "(" * 20_000
    assert syntax.parse(text.encode(), "javascript") is None
    assert num_errors(text, "javascript") is None
    assert parses(text, "JavaScript") is False


def test_a_tree_too_deep_for_its_parents_to_be_asked_for_is_refused():
    calls = "x = " + "f(" * 8_000 + ")" * 8_000 + "\n"
    assert syntax.parse(calls.encode(), "python") is None
    assert choose_spans(calls, "python", job_seed=0, content_sha256="0" * 64, count=2)
    assert syntax.parse(("x = " + "f(" * 500 + ")" * 500 + "\n").encode(), "python") is not None


def test_open_angles_that_java_reads_in_every_way_are_not_parsed(monkeypatch):
    monkeypatch.setattr(syntax.tree_sitter, "Parser", None)  # a parser that is made would fail
    assert syntax.parse(b"class A { void f() { x = " + b"a<" * 5_000, "java") is None


def test_comparisons_and_type_arguments_are_not_open_angles():
    comparisons = "class A { void f() { " + "if (a < b) { c(); } " * 2_000 + "} }"
    assert parses(comparisons, "Java") is True
    types = "class A {" + "List<Map<A, B>> x;" * 1_000 + "}"
    assert parses(types, "Java") is True


@given(st.lists(st.sampled_from(["f(", ")", "[", "]", "{", "}", "a", ";", "\n", "if (a) "]), max_size=60))
def test_the_estimated_steps_are_those_counted(pieces):
    tree = syntax.tree_sitter.Parser(syntax._language("javascript")).parse("".join(pieces).encode())
    up, aside = counted_steps(tree)
    assert syntax._steps_aside(tree.root_node) == aside
    assert syntax._steps_up(tree) <= 2 * up + tree.root_node.descendant_count


def test_long_code_and_long_chains_of_operators_are_still_searched():
    code = "def f(a, b):\n    return [g(a, b[0]), {'k': (a + b)}]\n\n" * 10_000
    assert syntax.parse(code.encode(), "python") is not None
    chain = "x = " + " + ".join(["a"] * 2_000) + "\n"
    assert syntax.parse(chain.encode(), "python") is not None


def test_calls_in_raised_expressions_are_no_calls():
    source = syntax.parse(b"def f():\n    raise Error('x')\ndef g():\n    raise h(i())\n", "python")
    assert source is not None
    assert [symbol.has_calls for symbol in find_symbols(source)[1:]] == [False, True]


@pytest.mark.parametrize("depth", [900, 2_000, 20_000])
def test_python_that_nests_too_deeply_to_be_followed_is_undecided(depth):
    """Python parses a chain of 2,000 operators, but its tree can't be followed by recursion."""
    chain = "x = " + "1 + " * depth + "1\n"
    assert is_same_code(chain.encode(), chain.encode(), "python") is (depth < 1_000)
    found = python_symbols(chain.encode())
    assert found is None or depth < 1_000
    assert python_symbols(("def f() -> " + "a." * depth + "a: pass\n").encode()) is None
    assert not is_placeholder("raise " + "a." * depth + "a", "python")


def test_an_exception_called_thousands_of_times_is_named_without_recursion():
    text = ("def f():\n    raise A" + "()" * 1_500 + "\n").encode()
    source = syntax.parse(text, "python")
    assert source is not None
    assert find_symbols(source)[1].raises == ("A",)


def test_a_use_tree_that_nests_too_deeply_names_no_file():
    assert len(read_facts("a.rs", "use " + "a::{" * 20 + "b" + "}" * 20 + ";").imports) == 1
    assert read_facts("a.rs", "use " + "a::{" * 2_000 + "b" + "}" * 2_000 + ";").imports == ()


def test_a_file_that_was_parsed_is_not_kept_in_memory():
    data = b"def f(x):\n    return x\n" * 100
    before = sys.getrefcount(data)
    for _ in range(5):
        assert syntax.parse(data, "python") is not None
    gc.collect()
    assert sys.getrefcount(data) == before


def test_parsing_leaves_no_objects_behind():
    data = "def f(x):\n    return 'é'\n".encode() * 100
    syntax.parse(data, "python")
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        syntax.parse(data, "python")
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


@given(text=st.text(alphabet="ab =()'\n\u00e9\u20ac\U0001f600", max_size=80), size=st.integers(4, 9))
def test_a_file_read_in_parts_has_the_tree_of_the_whole_file(text, size):
    data = text.encode()
    whole = syntax.tree_sitter.Parser(syntax._language("python")).parse(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(syntax, "_PART_BYTES", size)
        source = syntax.parse(data, "python")
    assert source is not None
    assert str(source.tree.root_node) == str(whole.root_node)
    assert source.tree.root_node.end_byte == whole.root_node.end_byte
