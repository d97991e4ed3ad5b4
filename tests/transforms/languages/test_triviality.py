"""Pieces of code that say nothing are told from those that say little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.languages.table import LANGUAGES
from transforms.languages.triviality import is_comment_only, is_trivial

COMMENTS = [
    ("Python", "# first\n    # second\n"),
    ("Java", "// first\n\n/* second\n third */"),
    ("Java", " * the rest of it\n *\n */"),
    ("Kotlin", "/** What it is. */"),
    ("Go", "// Area is what it is."),
    ("Rust", "/// What it is.\n//! And more.\n"),
    ("C", "/* not closed\n x = 1;"),
    ("PHP", "# first\n// second"),
    ("Lua", "--[[ first\nsecond ]]\n-- third"),
    ("Haskell", "{- first\nsecond -}"),
    ("SQL", "-- first\n/* second */"),
    ("Ruby", "=begin\nfirst\n=end\n# second"),
    ("OCaml", "(* first *)"),
    ("HTML", "<!-- first\nsecond -->"),
    ("Batchfile", "REM first\n:: second"),
    ("MATLAB", "% first"),
]
CODE = [
    ("Python", "x = 1  # first"),
    ("Python", "# first\nx = 1"),
    ("Python", '"""What it is."""'),
    ("Java", "// first\nrun();"),
    ("Java", "/* first */ run();"),
    ("C", "*place = 1;"),
    ("C", "#include <a.h>"),
    ("Rust", "#[derive(Debug)]"),
    ("PHP", "#[Attribute]"),
    ("Lua", "n = n - 1 -- first"),
    ("SQL", "SELECT 1 -- first"),
    ("Python", "#\nyield"),
]


@pytest.mark.parametrize(("language", "text"), COMMENTS)
def test_comments_alone_are_told(language, text):
    assert is_comment_only(text, language)
    assert is_trivial(text, language)


@pytest.mark.parametrize(("language", "text"), CODE)
def test_code_beside_a_comment_is_code(language, text):
    assert not is_comment_only(text, language)
    assert not is_trivial(text, language)


@pytest.mark.parametrize("text", ["", " \n\t", "}", "});\n}", "pass", "   pass\n", "...", "end\nend", "fi", "{}", "_"])
def test_what_says_nothing_is_trivial_in_every_language(text):
    for language in LANGUAGES:
        assert is_trivial(text, language.name)


@pytest.mark.parametrize("text", ["return", "x", "0", "é", "passed", "pass_", "ending()", '" "', "''", "break;"])
def test_what_says_little_is_not_trivial(text):
    assert not is_trivial(text, "Python")


def test_a_blank_piece_is_no_comment_and_neither_is_one_of_an_unknown_language():
    assert not is_comment_only("", "Python")
    assert not is_comment_only(" \n", "Python")
    assert not is_comment_only("# first", "no such language")
    assert is_comment_only("# first", "", "a/b.py")


@given(st.text(alphabet="#/*-; \n{}()x'\"", max_size=40), st.sampled_from(LANGUAGES))
def test_a_comment_only_piece_stays_one_with_blank_lines_around_it(text, language):
    if is_comment_only(text, language.name):
        assert is_comment_only(f"\n\n{text}\n", language.name)
        assert is_trivial(text, language.name)


@pytest.mark.timeout(20)  # a pass for each opener takes minutes
@pytest.mark.parametrize(
    ("text", "comment_in"),
    [
        ("/*" * 50_000, set()),
        ("(*" * 50_000, {"OCaml"}),
        ("* " * 50_000, {"C", "Lua", "Haskell"}),  # the rest of a comment
        ("--[[" * 30_000, {"Lua", "Haskell"}),
        ("{-" * 50_000, {"Lua", "Haskell"}),
    ],
)
def test_long_openers_take_one_pass(text, comment_in):
    languages = ("C", "OCaml", "Lua", "Haskell")
    assert {language for language in languages if is_comment_only(text + "x", language)} == comment_in
