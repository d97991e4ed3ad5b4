"""Stop texts: a completion that ends early has the text that cutting the whole one afterward has."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.engine.stopping import StopTexts
from model.tokenizer import Tokenizer
from transforms.evaluation.protocol import Stops


class Pieces:
    """A vocabulary of given pieces."""

    def __init__(self, pieces: list[bytes]):
        self.pieces = pieces

    def decode_bytes(self, ids: Iterable[int], *, keep_control: bool = False) -> bytes:
        return b"".join(self.pieces[id_] for id_ in ids)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


# Pieces of several characters, parts of one character (of two and of four bytes), bytes that are none, and control
# tokens, which stand for nothing.
PIECES = Pieces(
    [b"", b"a", b"b", b"ab", b"ba", b"\n", b"\nd", b"c\n", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", b"\xff"]
)
TEXTS = st.text("ab\ncd\u00e9\U0001f600\ufffd", min_size=1, max_size=4)


def ended_early(stops: StopTexts, tokens: list[int], bursts: list[int]) -> int | None:
    """After how many tokens a completion ends, if they come in bursts."""
    watch, count = stops.watch(), 0
    for burst in [*bursts, len(tokens)]:
        count = min(count + burst, len(tokens))
        if (end := watch.end(tokens[:count])) is not None:
            return end
    return None


@given(
    tokens=st.lists(st.integers(0, len(PIECES.pieces) - 1), max_size=24),
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    bursts=st.lists(st.integers(1, 9), max_size=9),
    keeps_stop=st.booleans(),
    is_complete=st.booleans(),
)
def test_an_answer_is_the_same_whether_it_ends_early_or_is_cut_afterward(
    tokens, texts, bursts, keeps_stop, is_complete
):
    cutting = Stops(stops=tuple(texts), keeps_stop=keeps_stop, closing="!" if keeps_stop else "")
    stops = StopTexts(tuple(texts), PIECES)
    end = ended_early(stops, tokens, bursts)
    assert end == ended_early(stops, tokens, []), "how many tokens a burst has decides nothing"
    if end is not None:
        whole = cutting.cut(PIECES.decode(tokens), is_complete=is_complete)
        assert cutting.cut(PIECES.decode(tokens[:end]), is_complete=False) == whole
        assert any(text in PIECES.decode(tokens[:end]) for text in texts)
    else:  # then no stop has ended, or one that begins earlier could still be completed
        text = PIECES.decode(tokens)
        first = min((at for stop in texts if (at := text.find(stop)) >= 0), default=None)
        lasts = [at for stop in texts for at in range(max(0, len(text) - len(stop) + 1), len(text))]
        assert first is None or "\ufffd" in text or any(at < first for at in lasts)


def test_a_completion_ends_with_the_first_token_that_completes_a_stop():
    stops = StopTexts(("\nd",), PIECES)
    assert ended_early(stops, [1, 5, 3, 6, 1], []) == 4
    assert ended_early(stops, [1, 5, 3, 5], []) is None


def test_a_stop_that_begins_earlier_is_waited_for():
    stops = StopTexts(("b", "abba"), PIECES)
    assert ended_early(stops, [3, 1], []) == 2, "of `aba`, `b` ends it, as `abba` can't come any more"
    assert ended_early(stops, [3], []) is None
    assert ended_early(stops, [3, 4], []) == 2, "`abba` begins first"


def test_a_character_may_come_in_two_tokens():
    stops = StopTexts(("\U0001f600",), PIECES)
    assert ended_early(stops, [1, 10], []) is None
    assert ended_early(stops, [1, 10, 11, 1], []) == 3


@pytest.mark.parametrize("text", ["\nclass", "é!", "\n```", "        x"])
def test_stops_are_found_over_the_borders_of_a_real_vocabularys_tokens(text):
    tokenizer = Tokenizer.load("embedded")
    tokens = tokenizer.encode(f"def f():\n    return 1{text} and so on")
    end = ended_early(StopTexts((text,), tokenizer), tokens, [3, 2, 1])
    assert end is not None and text in tokenizer.decode(tokens[:end])
    assert text not in tokenizer.decode(tokens[: end - 1])
