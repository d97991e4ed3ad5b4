from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.duplicates.signatures import find_duplicates, sign

SYMBOLS = [
    "++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.\n",
    ">,>,<[->+<]>[-<+<+>>]<<[->>+<<]>.[-]<.\n" * 20,
    ",[.,]\n",
    "(\u00ac\u2375)\u2190{}\n",
    "<<< 1 >>>",
    "1 +++ [-]",
    " \t\n\t \n",
    "\t\n ",
]


def test_texts_of_symbols_that_differ_are_no_duplicates():
    assert find_duplicates(sign(str(number), text) for number, text in enumerate(SYMBOLS)) == {}


@pytest.mark.parametrize("text", SYMBOLS)
def test_a_text_of_symbols_is_a_duplicate_of_its_copy(text):
    found = find_duplicates([sign("a", text), sign("b", text)])
    assert [(d.key, d.kept, d.kind) for d in found.values()] == [("b", "a", "exact")]


@pytest.mark.parametrize(("one", "other"), [("12 3", "1 23"), ("return x", "returnx"), ("a = b c", "a = bc")])
def test_white_space_between_tokens_tells_short_texts_apart(one, other):
    assert find_duplicates([sign("a", one), sign("b", other)]) == {}
    assert list(find_duplicates([sign("a", one), sign("b", f" {one}\n".replace(" ", "  "))])) == ["b"]


@given(st.text(alphabet="+-<>[].,\n ", min_size=1).filter(lambda text: text.strip()))
def test_layout_makes_no_other_text_of_symbols(text):
    spread = "\n".join(text) + "\n"
    found = find_duplicates([sign("a", text), sign("b", spread)])
    assert [d.key for d in found.values()] == ["b"]
