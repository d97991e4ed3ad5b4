"""Prose or not: what a model writes where documentation should be."""

from __future__ import annotations

import pytest

from transforms.documentation.facts import foreign_form, read_facts
from transforms.documentation.prose import is_unfinished, reads_as_code, repeats_itself, repeats_name
from transforms.documentation.types import types_agree


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("return width * height", "python"),
        ("x = 1\ny = 2", "python"),
        ("import os\n\nGives the area.", "python"),
        ("for x in y:\n    print(x)", "python"),
        ("const a = 1;\nreturn a;", "javascript"),
        ("int x = 1;", "c"),
        ("```\nanything\n```", "go"),
        ("function f(x) {\n  return x;\n}", "python"),
        ("self.width", "python"),
        ("area(w, h)", "javascript"),
    ],
)
def test_code_is_no_prose(text, grammar):
    assert reads_as_code(text, grammar)


@pytest.mark.parametrize(
    "text",
    [
        "Return the width.",
        "return value",
        "Deprecated",
        "Note: this",
        "area(w, h) -> the area",
        ">>> area(1, 2)\n2",
        "Parse a file;\nthen close it.",
        "Usage:\n\n    x = area(1, 2)\n",
        "The class that holds all of it",
        "package.module\n\nHolds shapes.",
        "Width",
        "{@inheritDoc}",
        "Gibt die Fläche zurück.",
        "返回面积。",
    ],
)
@pytest.mark.parametrize("grammar", ["python", "javascript", "go"])
def test_prose_is_no_code(text, grammar):
    assert not reads_as_code(text, grammar)


def test_epytext_is_read_as_pythons_fourth_style():
    facts = read_facts(
        "Area.\n\n@param w: The width.\n@type w: C{int}\n@return: It.\n@raise KeyError: Never.", "python"
    )
    assert (facts.parameters, facts.has_result, facts.raises, facts.style) == (("w",), True, ("KeyError",), "epytext")


def test_names_and_words_of_other_scripts_are_read_as_such():
    assert repeats_name("größe", "Größe.")
    assert repeats_name("читатьФайл", "читатьфайл")
    assert repeats_name("read_HTTPServer2", "Read HTTP server 2.")
    assert not repeats_name("größe", "Die Größe eines Rechtecks.")
    assert not repeats_name("面积", "返回矩形的面积。")
    assert repeats_itself("он читает этот файл " * 6)
    assert not is_unfinished("返回矩形的面积。")


@pytest.mark.parametrize(
    ("text", "grammar", "wanted"),
    [
        ("Area.\n\n@param w width", "python", "JSDoc tags"),
        ("Area.\n\n@param w: The width.\n@type w: C{int}", "python", ""),
        ("Area.\n\n@param w width", "go", "tags"),
        ("Area.\n\n:param w: width", "java", "reST fields"),
        ("Area.\n\nArgs:\n    w: width", "javascript", "Google sections"),
        ("Area.\n\nParameters\n----------\nw", "rust", "NumPy sections"),
        ("<summary>Area.</summary>", "kotlin", "XML tags"),
        ("/** Area. */", "python", "a comment's delimiters"),
        ("Area.\n\n@param w width", "cpp", ""),
        ("Area.\n\nArgs:\n    w: width", "python", ""),
        ("Sends mail to @param of anybody.", "python", ""),
    ],
)
def test_the_form_of_another_language_is_named(text, grammar, wanted):
    assert foreign_form(text, grammar) == wanted


@pytest.mark.parametrize(
    ("documented", "real", "grammar", "wanted"),
    [
        ("int", ["str"], "python", False),
        ("a str", ["str"], "python", None),
        ("string", ["str"], "python", True),
        ("int or None", ["Optional[int]"], "python", True),
        ("bool", ["int"], "python", True),
        ("list of str", ["List[str]"], "python", True),
        ("dict", ["list[dict]"], "python", False),
        ("Shape", ["Shape"], "python", None),
        ("int", ["Shape"], "python", None),
        ("int", ["int | Shape"], "python", None),
        ("number", ["string"], "typescript", False),
        ("string[]", ["Array<string>"], "typescript", True),
        ("?string", ["string | null"], "typescript", True),
    ],
)
def test_types_are_compared_where_both_can_be_read(documented, real, grammar, wanted):
    assert types_agree(documented, real, grammar) is wanted
