"""One entry per language, under any of its names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter_language_pack import get_language

from transforms.filters.quality import measure
from transforms.languages.files import _BY_FILE_NAME, language_of
from transforms.languages.grammars import SPAN_NODES, grammar_name
from transforms.languages.lookup import find_language
from transforms.languages.table import BY_EXTENSION, BY_NAME, COMMENT_MARKS, LANGUAGES, fold
from transforms.symbols.grammars import SYMBOL_GRAMMARS

# The names of the folders of The Stack v1 that StarCoder was trained on, and those of github-code.
STACK_V1 = """
ada agda alloy antlr applescript assembly augeas awk batchfile bluespec c c-sharp clojure cmake coffeescript
common-lisp cpp css cuda dart dockerfile elixir elm emacs-lisp erlang f-sharp fortran glsl go groovy haskell html idris
isabelle java java-server-pages javascript json julia kotlin lean literate-agda literate-coffeescript literate-haskell
lua makefile maple markdown mathematica matlab ocaml pascal perl php powershell prolog protocol-buffer python r racket
restructuredtext rmarkdown ruby rust sas scala scheme shell smalltalk solidity sparql sql stan standard-ml stata
systemverilog tcl tcsh tex thrift typescript verilog vhdl visual-basic xslt yacc yaml zig
"""
GITHUB_CODE = """
Assembly Batchfile C C# C++ CMake CSS Dockerfile FORTRAN GO Haskell HTML Java JavaScript Julia Lua Makefile Markdown PHP
Perl PowerShell Python Ruby Rust SQL Scala Shell TypeScript TeX
"""


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_name_each_alias_and_each_extension_lead_to_the_same_entry(language):
    assert find_language(language.name) is language
    for alias in language.aliases:
        assert fold(alias) == alias and find_language(alias) is language
    for extension in language.extensions:
        assert BY_EXTENSION[extension] is language
        if extension not in ("m", "mli"):  # MATLAB has the first too; an interface has a grammar of its own
            assert find_language("", f"src/a.{extension.upper()}") is language
        assert language_of(f"a.{extension}", "@end\n") == language.name or extension == "h"


def test_no_name_and_no_extension_belongs_to_two_languages():
    names = [key for language in LANGUAGES for key in (fold(language.name), *language.aliases)]
    extensions = [extension for language in LANGUAGES for extension in language.extensions]
    assert len(names) == len(set(names)) == len(BY_NAME)
    assert len(extensions) == len(set(extensions))


@given(st.sampled_from(sorted(BY_NAME)), st.integers(0, 2**32))
def test_case_and_surrounding_blanks_change_nothing(name, seed):
    rng = random.Random(seed)
    written = "".join(rng.choice((char.lower(), char.upper())) if char.isascii() else char for char in name)
    assert find_language(f" \t{written}\n") is BY_NAME[name]


@given(st.text(max_size=20))
def test_folding_twice_equals_folding_once(name):
    assert fold(fold(name)) == fold(name)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("c_sharp", "C#"), ("c-sharp", "C#"), ("C Sharp", "C#"), ("csharp", "C#"), ("cs", "C#"), ("F-Sharp", "F#"),
        ("objective_c", "Objective-C"), ("ObjC", "Objective-C"), ("shell-script", "Shell"), ("zsh", "Shell"),
        ("jsx", "JavaScript"), ("py", "Python"), ("python3", "Python"), ("golang", "Go"), ("c++", "C++"),
        ("ts", "TypeScript"),
        ("hcl", "HCL"), ("Terraform", "HCL"), ("latex", "TeX"), ("Visual Basic .NET", "Visual Basic .NET"),
    ],
)  # fmt: skip
def test_common_spellings_are_known(written, name):
    assert find_language(written).name == name


@pytest.mark.parametrize("written", ["c--", "c+", "#", "-", "python2", "no such language", "F*", "c#++"])
def test_what_only_looks_like_a_name_is_not_known(written):
    assert find_language(written) is None and find_language(written, "a.py") is None


@pytest.mark.parametrize("name", [*STACK_V1.split(), *GITHUB_CODE.split(), "Visual Basic", "Jupyter Notebook"])
def test_the_names_that_corpora_use_are_known(name):
    assert find_language(name) is not None


def test_every_grammar_is_there_and_every_span_grammar_is_found_by_its_own_name():
    for language in LANGUAGES:
        for grammar in {language.grammar, language.reader} - {""}:
            get_language(grammar)
    assert {grammar_name(grammar): grammar for grammar in SPAN_NODES} == {grammar: grammar for grammar in SPAN_NODES}
    assert set(SYMBOL_GRAMMARS) <= set(SPAN_NODES)


def test_file_names_and_interpreters_lead_to_names_of_the_table():
    assert all(BY_NAME[fold(name)].name == name for name in _BY_FILE_NAME.values())
    for interpreter, name in {"node": "JavaScript", "rscript": "R", "pypy3": "Python", "tclsh8.6": "Tcl"}.items():
        assert language_of("bin/x", f"#!/usr/bin/env {interpreter}\n") == name
    assert language_of("bin/x", "#!/bin/text\n") is None


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_language_s_own_comments_are_counted(language):
    marks = COMMENT_MARKS[language.comments]
    text = "".join(f"{mark.decode()} x\n" for mark in marks) + "x\n"
    for name in (language.name, *language.aliases):
        assert measure(text, name).comment_line_share == pytest.approx(len(marks) / (len(marks) + 1))
