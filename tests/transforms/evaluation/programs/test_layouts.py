from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.evaluation.programs.layouts import code_of, outer_of, replace_code, take_out, types_around

LANGUAGES = ("C#", "C++", "Go", "Java", "Kotlin", "Rust")
PIECES = st.sampled_from(
    ['"', "'", "//", "/*", "*/", "\n", "{", "}", "\\", "`", 'r#"', '"#', '"""', "a", " ", '@"', "é"]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(LANGUAGES))
def test_code_has_the_places_and_lines_of_its_text(text: str, language: str) -> None:
    code = code_of(text, language)
    assert len(code) == len(outer_of(code)) == len(text)
    assert [at for at, one in enumerate(code) if one == "\n"] == [at for at, one in enumerate(text) if one == "\n"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Go", "x := `main \" //`; y := '\"'; main"),
        ("Rust", 'fn f<\'a>(x: &\'a str) { r#"main "#; \'"\'; "\\"main" /* main */ } main'),
        ("Java", '/* main */ String s = """\n main " \n"""; main'),
        ("C#", 'var s = @"main ""{"; main'),
        ("C++", 'auto s = R"x(main )" )x"; main'),
        ("Kotlin", 'val s = """main"""" // main\nmain'),
    ],
)
def test_a_word_in_strings_and_comments_is_no_code(language: str, text: str) -> None:
    assert [found.start() for found in re.finditer("main", code_of(text, language))] == [text.rindex("main")]


def test_pieces_are_taken_out_once_and_lines_stay() -> None:
    text = "import a;\nclass A {\n  import b;\n}\nimport a;\n"
    pieces, rest = take_out(text, re.compile(r"import \w;"), "Java")
    assert pieces == ["import a;"]
    assert rest.splitlines()[1:4] == ["class A {", "  import b;", "}"]
    assert rest.count("\n") == text.count("\n")


def test_only_code_is_replaced() -> None:
    assert replace_code('f(); "f()"; // f()', re.compile(r"f\(\)"), "g()", "Java") == 'g(); "f()"; // f()'


def test_the_types_around_a_place_are_told_outermost_first() -> None:
    code = "class A { class B { } class C { here } }"
    assert types_around(code, code.index("here")) == ["A", "C"]
