"""Types, defaults, type parameters and sections that a documentation states, against the code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.documentation.defaults import defaults_agree, stated_default
from transforms.documentation.examples import without_examples
from transforms.documentation.forms import cut_hole, own_words
from transforms.documentation.reading import read_facts
from transforms.documentation.types import is_no_generator, types_agree
from transforms.documentation.verify import verify
from transforms.languages.syntax import parse
from transforms.symbols import Parameter, find_symbols


def judged(code, language, text):
    source = parse(code.encode(), language)
    symbol = find_symbols(source)[-1]
    body = source.data[symbol.body_start : symbol.body_end].decode()
    return verify(symbol, read_facts(text, language), language, body=body, was_cut=False)


@pytest.mark.parametrize(
    ("description", "wanted"),
    [
        ("How many. Defaults to 3.", "3"),
        ("How many, 3 by default.", "3"),
        ("How many (default: `3`)", "3"),
        ("int, default 'fit'", "'fit'"),
        ("If None, defaults to 3.", ""),
        ("Defaults to 5 seconds.", ""),
        ("UTF-8 by default", ""),
        ("Defaults to the width.", ""),
        ("The 2-way default.", ""),
    ],
)
def test_a_stated_default_is_a_literal_without_a_condition_or_a_unit(description, wanted):
    assert stated_default(description) == wanted


@given(st.one_of(st.integers(), st.booleans(), st.text("abc xyz")))
def test_a_default_agrees_with_itself_as_python_writes_it(value):
    assert defaults_agree(repr(value), repr(value)) is True


@pytest.mark.parametrize(
    ("stated", "real", "wanted"),
    [
        ("3", "3.0", True),
        ("1000", "1_000", True),
        ("'a'", '"a"', True),
        ("0", "0L", True),
        ("'100'", "100", True),
        ("4", "3", False),
        ("'a'", "'b'", False),
        ("true", "False", False),
        ("3", "None", None),
        ("3", "DEFAULT", None),
        ("0", "False", None),
    ],
)
def test_defaults_are_compared_as_values(stated, real, wanted):
    assert defaults_agree(stated, real) is wanted


@pytest.mark.parametrize(
    ("documented", "real", "wanted"),
    [
        ("string", "Promise<Data>", False),
        ("Promise<Data>", "Promise<Data>", None),
        ("string", "Promise<string>", None),
        ("Promise<number>", "Promise<string>", False),
        ("number[]", "Iterable<number>", None),
        ("Map<string, number>", "Set<string>", False),
        ("{boolean=}", "boolean", True),
    ],
)
def test_promises_and_collections_of_typescript_are_compared(documented, real, wanted):
    assert types_agree(documented, [real], "typescript") is wanted


def test_a_generator_returns_no_list():
    assert is_no_generator("list of str", "python")
    assert not is_no_generator("Iterator[str]", "python")
    code = "def f(n):\n    yield n\n"
    assert judged(code, "python", "Count.\n\nReturns:\n    list: Numbers.")["result_agrees"] is False
    assert judged(code, "python", "Count.\n\nYields:\n    int: A number.")["result_agrees"] is True
    # A decorator may make anything of a generator.
    assert judged(f"@collected\n{code}", "python", "Count.\n\nReturns:\n    list: Numbers.")["result_agrees"] is True


def test_several_results_of_numpy_are_the_items_of_a_tuple():
    text = "Split.\n\nReturns\n-------\na : float\n    One.\nb : float\n    Another."
    assert judged("def f(x):\n    return (x, x)\n", "python", text)["result_agrees"] is True


@pytest.mark.parametrize(
    ("code", "language", "text"),
    [
        ("class A { <T> T f(T x) { return x; } }", "java", "Area.\n\n@param <E> its type\n@param x it"),
        ("template <typename T> T f(T x) { return x; }", "cpp", "Area.\n\n@tparam U its type\n@param x it"),
        ("function f<T>(x: T): T { return x; }", "typescript", "Area.\n\n@typeParam U - its type\n@param x - it"),
    ],
)
def test_a_type_parameter_that_is_not_declared_is_invented(code, language, text):
    assert judged(code, language, text)["no_invented_parameter"] is False
    right = text.replace("<E>", "<T>").replace(" U ", " T ")
    assert judged(code, language, right)["no_invented_parameter"] is True


@pytest.mark.parametrize(
    ("code", "section", "wanted"),
    [
        ("fn f(x: u32) -> u32 { x >> 1 }", "Panics", False),
        ("fn f(x: u32) -> u32 { x + 1 }", "Panics", None),
        ("fn f(x: u32) -> u32 { g(x) }", "Panics", None),
        ("fn f(x: u32) -> u32 { x }", "Errors", False),
        ("fn f(x: u32) -> i32 { 0 }", "Errors", None),
        ("fn f(x: u32) -> Result<u32, E> { Ok(x) }", "Errors", None),
        ("fn f(x: u32) -> Fallible { g(x) }", "Errors", None),
    ],
)
def test_errors_and_panics_of_rust_need_code_that_can(code, section, wanted):
    assert judged(code, "rust", f"Halves it.\n\n# {section}\n\nIf it is odd.")["raises_agree"] is wanted


def test_parameters_that_the_prose_marks_as_code_are_documented():
    code = "class A { int f(int w, int h) { return w; } }"
    assert judged(code, "java", "Area of {@code h}.\n\n@param w how wide")["no_missing_parameter"] is True
    assert judged(code, "java", "Area of h.\n\n@param w how wide")["no_missing_parameter"] is False


@pytest.mark.parametrize(
    "junk", ["I'm sorry, I cannot do that.", "TODO: document", "s.total += count", "Docs for Add."]
)
def test_what_the_model_wrote_is_judged_without_the_name_that_go_puts_before_it(junk):
    source = parse(b"package a\n\nfunc Add(count int) int { return count }\n", "go")
    symbol = find_symbols(source)[-1]
    text = f"Add {junk}"
    own = own_words(cut_hole(source, symbol), text)
    assert own == junk
    verdicts = verify(symbol, read_facts(text, "go"), "go", body="", written=own, was_cut=False)
    assert False in verdicts.values()


def test_examples_are_taken_out_and_prose_stays():
    for text, language in (
        ("Area.\n\n```\nf(1);\n```\n\nOf it.", "rust"),
        ("Area.\n\n<pre>\nf(1);\n</pre>\nOf it.", "java"),
        ("Area. Of it.\n\n@example\nf(1);\n", "javascript"),
        ("Area.\n\n@code\nf(1);\n@endcode\nOf it.", "cpp"),
        ("Area.\n\n\tf(1);\n\nOf it.", "go"),
        ("Area. Of it.\n\n>>> f(1);\n2", "python"),
    ):
        bare = without_examples(text, language)
        assert "f(1)" not in bare, text
        assert "Area." in bare
        assert "Of it." in bare


@given(st.text("ab .\n"))
def test_prose_without_examples_stays_as_it_is(text):
    assert without_examples(text, "python") == text


@pytest.mark.parametrize(
    ("code", "language", "wanted"),
    [
        (
            "def f(a: int, b='x', *c, d: str = None): pass",
            "python",
            [("a", "int", ""), ("b", "", "'x'"), ("c", "", "")],
        ),
        ("function f(a: number, b = 2, ...c: string[]) {}", "typescript", [("a", "number", ""), ("b", "", "2")]),
        ("function f(a, b = 2) {}", "javascript", [("a", "", ""), ("b", "", "2")]),
        ("fun f(a: Int, b: Int = 2) {}", "kotlin", [("a", "", ""), ("b", "", "2")]),
        ("int f(int a, int b = 2);", "cpp", [("a", "int", ""), ("b", "int", "2")]),
        ("class A { void F(int a, int b = 2) {} }", "csharp", [("a", "int", ""), ("b", "int", "2")]),
    ],
)
def test_types_and_defaults_of_parameters_are_read(code, language, wanted):
    found = find_symbols(parse(code.encode(), language))[-1].parameters
    assert [(p.name, p.type, p.default) for p in found][: len(wanted)] == wanted
    assert all(isinstance(parameter, Parameter) for parameter in found)
