"""Where a text that does not parse is at fault."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.transforms.languages.test_parsing import SOUND
from transforms.languages.faults import first_fault
from transforms.languages.parsing import parses

PLACE = re.compile(r"line (\d+)(?:, column (\d+))?: (.+)")


@pytest.mark.parametrize("name", SOUND)
def test_every_language_tells_the_place_of_a_fault_and_none_for_sound_text(name):
    sound, broken = SOUND[name]
    assert first_fault(sound, name) == ""
    line, column, what = PLACE.fullmatch(first_fault(broken, name)).groups()
    assert 1 <= int(line) <= broken.count("\n") + 1 and int(column or 1) >= 1 and what


def test_python_says_what_the_compiler_says_at_its_line_and_column():
    text = "import os\n\nx = f(1,\n"
    assert first_fault(text, "Python") == "line 3, column 6: '(' was never closed"
    assert first_fault("def f():\nreturn 1\n", "Python").startswith("line 2, column 1: expected an indented block")


def test_columns_count_characters_and_not_bytes():
    assert first_fault("// ééé\nlet é = 'é' +;\n", "JavaScript").startswith("line 2, column 13: ")


def test_a_missing_token_is_named_as_the_grammar_does():
    assert first_fault("class A { int x = 1 }\n", "Java") == "line 1, column 20: ; is missing"


def test_the_fault_of_a_change_comes_before_those_that_the_file_had():
    original = "int a = ;\nint f() { return 1; }\nint b = ;\n"
    start = original.index("1")
    changed = original[:start] + "(1" + original[start + 1 :]
    assert first_fault(changed, "Java", original=original, hole=(start, start + 1)).startswith("line 2, ")
    python = "print 'old'\n\n\ndef f():\n    return 1\n\n\nprint 'older'\n"
    start = python.index("1")
    changed = python[:start] + "(1" + python[start + 1 :]
    found = first_fault(changed, "Python", original=python, hole=(start, start + 1))
    assert found == "line 5, column 12: '(' was never closed"


def test_in_a_class_the_line_is_that_of_the_file():
    python = "print 'old'\n\n\nclass A:\n    def f(self):\n        return 1\n"
    start = python.index("1")
    found = first_fault(python[:start] + ")" + python[start + 1 :], "Python", original=python, hole=(start, start + 1))
    assert found == "line 6, column 16: unmatched ')'"


NAMES = ["zebrafish", "quokka", "Wolperzquick"]
SHAPES = [
    "def f({0}, {0}): pass\n",
    "f({0}=1, {0}=2)\n",
    "from __future__ import {0}\n",
    "def f():\n    {0} = 1\n    global {0}\n",
    "def f({0}):\n    global {0}\n",
    "def f():\n    nonlocal {0}\n",
    "class A:\n    def f(self):\n        x = '{0}\n",
    "match 1:\n    case A({0}=1, {0}=2): pass\n",
    "match 1:\n    case ({0}, {0}): pass\n",
    "match 1:\n    case {0}: pass\n    case {1}: pass\n",
    "[({0} := 1) for {0} in y]\n",
    "print {0}\n",
    "x = f'{{{0}!{1}}}'\n",
    "x = '\\N{{{0}}}'\n",
    "{0} {1}\n",
    "f() = {0}\n",
]


@given(st.sampled_from(SHAPES), st.permutations(NAMES), st.text("()[]{}'\"\\:,=\n ", max_size=5), st.integers(0, 60))
@settings(max_examples=400, deadline=None)
def test_no_word_of_the_text_is_in_what_is_told_of_it(shape, names, noise, place):
    text = shape.format(*names)
    text = text[:place] + noise + text[place:]
    told = first_fault(text, "Python")
    pieces = {name[at : at + 4] for name in NAMES for at in range(len(name) - 3)}
    assert not [piece for piece in pieces if piece in told]


@given(st.text(max_size=60), st.sampled_from(sorted(SOUND)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_answered_with_one_line_that_quotes_none_of_its_long_words(text, name):
    assume(parses(text, name) is False)
    told = first_fault(text, name)
    assert "\n" not in told and told.isascii()
