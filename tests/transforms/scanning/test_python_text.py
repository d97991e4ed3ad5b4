from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.languages.parsing import compiles
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding
from transforms.scanning.python_text import keeps_python_sound

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="formatted strings may contain their own quotes")
VALUE = "VALUE"
TRIPLE = '"' * 3


def finding(text: str, at: int, placeholder: str) -> Finding:
    start, end = (len(text[:index].encode()) for index in (at, at + len(VALUE)))
    return Finding("email", "r", at, at + len(VALUE), start, end, 0.9, True, 1, "00", "redact", placeholder)


def is_kept(text: str, placeholder: str = "<EMAIL_1>") -> bool:
    return keeps_python_sound(text, [finding(text, text.index(VALUE), placeholder)])


@pytest.mark.parametrize(
    "text",
    [
        "# by VALUE\n",
        "x = 1  # é VALUE é\n",
        "x = 'a VALUE'\n",
        f"x = {TRIPLE}\n# é VALUE\n{TRIPLE}\n",
        "x = rb'VALUE'\n",
        "x = r'a\\'' + 'more and VALUE'\n",
        "if x:  # 'quote\n    y = 'VALUE'\n",
        "x = 'a' \\\n    'many words, VALUE'\r\n",
    ],
)
def test_a_comment_or_a_plain_string_keeps_a_file_sound(text):
    assert is_kept(text)


@pytest.mark.parametrize(
    "text",
    [
        "VALUE = 1\n",
        "f(VALUE)\n",
        "x = f'{VALUE}'\n",
        "x = Rf'{VALUE}'\n",
        f"x = F{TRIPLE}{{\nVALUE}}{TRIPLE}\n",
        "# a\rVALUE = 1\n",
        "x = '\\x4VALUE'\n",
        "x = '\\VALUE'\n",
        "x = 'a' + VALUE + 'b'\n",
        "x = 'a' 'b' % VALUE\n",
    ],
)
def test_elsewhere_the_file_is_compiled(text):
    assert not is_kept(text)


@pytest.mark.parametrize("placeholder", ["a'b", "a\nb", "{a}", "\\"])
def test_a_placeholder_that_could_end_a_string_is_not_trusted(placeholder):
    assert not is_kept("x = 'VALUE'\n", placeholder)


PIECES = [
    *(VALUE, "'", '"', "'''", TRIPLE, "#", "\n", "\r", " ", "x", "=", "f", "rb", "\\", "{", "}", "(", ")", "é"),
    *("x = 1\n", "'a'", "x = 'a VALUE b'\n", "# VALUE\n"),
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14))
def test_what_is_trusted_compiles_if_the_original_does(pieces):
    text = "".join(pieces)
    at = text.find(VALUE)
    if at < 0 or not compiles(text) or not is_kept(text):
        return
    for placeholder in ("<EMAIL_1>", "< eos>", "192.0.2.1"):
        assert compiles(text[:at] + placeholder + text[at + len(VALUE) :])


def test_a_file_whose_redaction_is_trusted_is_not_compiled(monkeypatch):
    made = ContentFilter("default")
    made.open()
    address = "ann.lee" + "@" + "gmail.com"
    monkeypatch.setattr("transforms.scanning.content.parses", lambda *_: pytest.fail("compiled"))
    assert made.filter_input(f"# {address}\n", "python").text == "# <EMAIL_1>\n"
    monkeypatch.undo()
    assert made.filter_input(f"x = ann\ny = {address}\n", "python").dropped == "redaction_breaks_syntax"
