"""A changed statement that compiles alone compiles in its file as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.languages.parsing import compiles, parses_as_before
from transforms.languages.python_statements import find_statements, future_flags, standing_alone

ROOT = Path(__file__).parents[3]
FILES = [path.read_text() for name in ("jobs", "transforms") for path in sorted((ROOT / name).glob("*.py"))]
FILES = [text for text in FILES if 0 < len(text) < 9_000]
FRAGMENTS = [
    "",
    "\n",
    "x",
    "(",
    ")",
    '"""',
    "'",
    "    return 1\n",
    "else:\n",
    "def f():\n",
    "    pass\n",
    "# c",
    "\\\n",
]
FRAGMENTS += [
    "@d\n",
    "class A:\n",
    "[1,",
    "}\n",
    "f(x)",
    ": ",
    "if a: b",
    "\n\n",
    "        y = 2\n",
    '"""doc"""',
    "yield",
]
FRAGMENTS += [
    "x = 1\ndef g():\n  pass\n",
    "await z",
    "break",
    "return",
    "nonlocal q",
    "*a, = b",
    "\t",
    "global x\n",
    "\r\n",
]


def cut(text: str, start: int, end: int) -> str | None:
    statements = find_statements(text, start, end)
    return text[statements.start : statements.end] if statements else None


TEXT = '''import os

@decorated
class Area(Base):
    """Text
of several lines."""

    unit = [
"m",
    ]

    @property
    def side(self):
        if self:
            return 1
        else:
            return 2

    class Inner:
        a = 1
        b = 2

if os:
    pass
else:
    x = "\\
import re"
'''


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("import os", "import os\n\n"),
        ("return 2", TEXT[TEXT.index("    @property") : TEXT.index("    class Inner")]),
        ('"m"', TEXT[TEXT.index("    unit") : TEXT.index("    @property")]),
        ("of several", TEXT[TEXT.index('    """Text') : TEXT.index("    unit")]),
        ("b = 2", "        b = 2\n\n"),
        ("class Area", TEXT[TEXT.index("@decorated") : TEXT.index("if os")]),
        ("import re", TEXT[TEXT.index("if os") :]),
    ],
)
def test_the_statement_of_the_module_or_class_is_found(place, expected):
    start = TEXT.index(place)
    assert cut(TEXT, start, start + len(place)) == expected


def test_a_hole_over_two_statements_takes_both():
    start, end = TEXT.index('"m"'), TEXT.index("return 1")
    assert cut(TEXT, start, end) == TEXT[TEXT.index("    unit") : TEXT.index("    class Inner")]


def test_a_hole_that_leaves_its_class_takes_whole_statements_of_the_module():
    start, end = TEXT.index("b = 2"), TEXT.index("x = ")
    assert cut(TEXT, start, end) == TEXT[TEXT.index("@decorated") :]


def test_where_quotes_or_brackets_do_not_match_nothing_is_found():
    assert cut("x = (1]]\ny = 2\n", 9, 10) is None
    assert cut("x = '\ny = 2\n", 7, 8) is None
    assert cut("x = 1\ry = 2\n", 7, 8) is None


def test_a_quote_that_nothing_closes_beyond_a_method_does_not_matter():
    text = "class A:\n    x = 1\n    def f(self):\n        return 1\n    y = '\n"
    assert cut(text, text.index("return"), text.index("return")) == "    def f(self):\n        return 1\n"
    assert cut(text, text.index("y ="), text.index("y =")) is None


@pytest.mark.parametrize("depth", [1, 5, 6, 7, 30])
def test_brackets_may_stand_in_brackets(depth):
    nested = "(\n" * depth + "'#'  # )\n" + "]\n" * depth
    text = f"a = 1\nx = {nested}\nb = 2\n"
    assert cut(text, text.index("#"), text.index("#")) == f"x = {nested}\n"
    assert cut(text, len(text) - 2, len(text) - 2) == "b = 2\n"
    assert cut(text.replace("]", "", 1), 0, 0) == "a = 1\n"
    assert cut(text.replace("]", "]]", 1), len(text), len(text)) is None


def test_a_decorator_belongs_to_what_follows_it_wherever_it_stands():
    text = "if a:\n    b\n    @c(\n    )\ndef f(): ...\n@d\n\n# e\nclass G: ...\n"
    assert cut(text, text.index("def f"), text.index("def f")) == text[: text.index("@d")]
    assert cut(text, text.index("class"), text.index("class")) == text[text.index("@d") :]


def test_a_file_s_own_future_counts():
    assert future_flags("from __future__ import annotations\n")
    assert future_flags("from __future__ import (\n    annotations,\n)\n")
    assert not future_flags("from __future__ import division\nannotations = 1\n")


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_statement_that_compiles_alone_compiles_in_its_file(data):
    text = data.draw(st.sampled_from([*FILES, TEXT]))
    start = data.draw(st.integers(0, len(text)))
    if data.draw(st.booleans()):
        start = text.rfind("\n", 0, start) + 1
    end = min(len(text), start + data.draw(st.sampled_from([0, 1, 3, 20, 100, 400])))
    middle = "".join(data.draw(st.lists(st.sampled_from(FRAGMENTS), max_size=4)))
    changed = text[:start] + middle + text[end:]
    assert parses_as_before(changed, text, "python", hole=(start, end)) is compiles(changed)


@pytest.mark.parametrize("text", FILES)
def test_every_statement_of_a_sound_file_stands_alone(text):
    for start in range(0, len(text), 97):
        statements = find_statements(text, start, start)
        assert statements is not None
        assert statements.start <= start <= statements.end
        alone = standing_alone(text, statements, "")
        assert alone is None or compiles(alone, future_flags(text))
