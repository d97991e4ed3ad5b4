"""What of a Python file a definition needs."""

from __future__ import annotations

import pytest

from transforms.verification.python_context import needed_context

FILE = '''\
"""A module."""
from __future__ import annotations
import os, nowhere
import elsewhere
LIMIT = 3; OTHER = 4
try:
    from fast import twice
except ImportError:
    def twice(x):
        return 2 * x


@nowhere.cached
def cached(x):
    return x


def plus(x):
    return twice(x) + LIMIT
'''


def test_a_file_of_the_library_alone_is_taken_whole() -> None:
    text = "import os\nx = os.sep\n\n\ndef f():\n    return 1\n"
    start = text.index("def")
    context = needed_context(text, start, len(text) - 1)
    assert (context.code, context.start, context.end) == (text, start, len(text) - 1)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_what_a_definition_uses_is_taken_and_its_place_is_right(newline: str) -> None:
    text = FILE.replace("\n", newline)
    start, end = text.index("def plus"), len(text.rstrip())
    context = needed_context(text, start, end)
    assert context.code[context.start : context.end] == text[start:end]
    assert "twice" in context.code and "LIMIT" in context.code and "from __future__" in context.code
    assert "nowhere" not in context.code and "elsewhere" not in context.code


def test_decorators_belong_to_a_definition() -> None:
    start = FILE.index("def cached")
    context = needed_context(FILE, start, FILE.index("def plus") - 3)
    assert "@nowhere.cached" in context.code and "import os, nowhere" in context.code
    assert context.code[context.start :].startswith("def cached")


def test_deep_expressions_and_broken_files_do_no_harm() -> None:
    deep = "import nowhere\nx = " + " + ".join(["y"] * 900) + "\n\n\ndef f():\n    return x\n"
    context = needed_context(deep, deep.index("def f"), len(deep) - 1)
    assert context.code.startswith("x = ")
    assert needed_context("def (:\n", 0, 3).code == "def (:\n"


@pytest.mark.parametrize(
    ("kept", "dropped"),
    [
        ("T['a'] = 1\n", "U['a'] = 1\n"),
        ("T.append(2)\n", "U.append(T)\n"),
        ("T.setdefault('a', []).append(1)\n", "print(T)\n"),
        ("T.a.b += 1\n", "U.a.b += 1\n"),
        ("for one in range(3):\n    T[one] = 1\n", "if __name__ == '__main__':\n    T.main(nowhere)\n"),
        ("del T['a']\n", "def other():\n    T['a'] = nowhere\n"),
        ("f.limit = 3\n", "other.limit = nowhere\n"),
    ],
)
def test_what_fills_a_needed_value_is_taken_and_nothing_else(kept: str, dropped: str) -> None:
    head = "import nowhere\nT = {}\nU = []\ndef f():\n    return T\n"
    text = head + kept + dropped
    code = needed_context(text, text.index("def f"), len(head) - 1).code
    assert code == head.replace("import nowhere\n", "").replace("U = []\n", "") + kept
