"""Brackets outside of strings and comments, by language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.languages.brackets import COMMENT, STRING, is_balanced, mask
from transforms.languages.lookup import find_language
from transforms.languages.table import LANGUAGES


def masked(text, language):
    return mask(text, find_language(language)).replace(STRING, "s").replace(COMMENT, "c")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("Python", "f('(') # (", "f(sss) ccc"),
        ("Python", "x = '''a\n(\n''' # )", "x = ssssssssss ccc"),
        ("Java", "f('(', \"(\") // (", "f(sss, sss) cccc"),
        ("Java", '"""\n"( """;', "ssssssssss;"),
        ("C", "/* (\n */ f(); // [", "cccccccc f(); cccc"),
        ("C++", "auto x = R\"d(()d\"; 1'000'000;", "auto x = ssssssss; 1'000'000;"),
        ("Rust", "let x: &'a str = r#\"(\"#; b'('", "let x: &'a str = ssssss; bsss"),
        ("Go", "x := `(\n` + '('", "x := ssss + sss"),
        ("Kotlin", 'val x = """ \\""" + "("', "val x = ssssssss + sss"),
        ("JavaScript", "x.replace(/[(/]/g, '(') / 2", "x.replace(ssssssg, sss) / 2"),
        ("JavaScript", "<p>Don't</p>", "<p>Don't</p>"),
        ("TypeScript", "`(${x})\n(`", "ssssssssss"),
        ("Shell", "cat <<EOF\n(\nEOF\necho $# # (", "cat sssssssssss\necho $# ccc"),
        ("Ruby", "x = <<~SQL\n  (\n  SQL\ny", "x = " + "s" * len("<<~SQL\n  (\n  SQL") + "\ny"),
        ("PHP", "<?php $x; ?> Don't ( <?php f('(');", "<?php $x; " + "c" * len("?> Don't ( <?php") + " f(sss);"),
        ("SQL", "SELECT 'it''s (' -- (", "SELECT sssssssss cccc"),
        ("Lua", "x = [==[ ( ]==] --[[ (\n ]]", "x = sssssssssss cccccccccc"),
        ("Markdown", "it's (", "it's ("),
        ("no such language", "'('", "'('"),
    ],
)
def test_strings_and_comments_are_masked(language, text, expected):
    assert masked(text, language) == expected


@given(st.text(alphabet="([{}])'\"/*#-\\`\n<E rR", max_size=60), st.sampled_from(LANGUAGES))
def test_a_mask_keeps_every_character_at_its_place(text, language):
    found = mask(text, language)
    assert len(found) == len(text)
    assert all(old == new or new in (STRING, COMMENT) for old, new in zip(text, found, strict=True))


@given(st.recursive(st.just("x"), lambda inner: st.tuples(st.sampled_from(["()", "[]", "{}"]), inner, inner)))
def test_nested_pairs_are_balanced_and_without_their_last_character_not(tree):
    def text_of(node):
        return node if node == "x" else node[0][0] + text_of(node[1]) + node[0][1] + text_of(node[2])

    text = text_of(tree).rstrip("x")
    assert is_balanced(text)
    assert not text or not is_balanced(text[:-1])


@pytest.mark.parametrize(
    "text", ["/*", '"\\"', "(*", "--[[", "<<A <<B\n", "'\\'", 'R"a(', "(/a", '"""', "`\\`", "=begin\n"]
)
def test_openers_that_nothing_closes_take_one_pass(text):
    for name in ("C++", "Ruby", "Shell", "JavaScript", "Lua", "OCaml", "Kotlin", "Python"):
        assert len(mask(text * 10_000, find_language(name))) == 10_000 * len(text)
