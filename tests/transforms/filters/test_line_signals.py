"""What is measured of many texts' lines at once is what Python's own functions say of each text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.filters.line_signals import LineSignals, line_signals
from transforms.filters.quality import measure, measure_all

PARTS = ["\n", "\n", "\r\n", " ", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "#", "//", "* ", "é", "ab", "x" * 9]
texts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=30).map("".join)
LONG = 8


def plainly(text: bytes, marks: list[bytes]) -> LineSignals:
    lines = text.split(b"\n")
    stripped = [line.strip() for line in lines]
    telling = [line for line in stripped if len(line) > 2]
    long_lines = [line for line in lines if len(line) >= LONG]
    return LineSignals(
        num_lines=len(lines) - (not lines[-1]),
        longest=max(map(len, lines)),
        filled=len(list(filter(None, stripped))),
        telling=len(telling),
        distinct=len(set(telling)),
        comments=sum(line.startswith(tuple(marks)) for line in stripped),
        long_lines=b"".join(long_lines),
        long_lengths=list(map(len, long_lines)),
    )


@given(st.lists(st.tuples(texts, st.sampled_from([[b"#"], [b"//", b"* "], []])), max_size=6))
def test_the_lines_of_texts_together_are_measured_as_those_of_each_alone(pairs):
    datas, marks = [text.encode() for text, _ in pairs], [marks for _, marks in pairs]
    assert line_signals(datas, marks, LONG) == list(map(plainly, datas, marks))


def test_signals_of_many_texts_are_those_of_each():
    some = ["", "a\n", "# b\n# b\n", "\ud800 \\x41" * 40, "A" * 90 + "\n" + "0x1f, " * 20, "\n\n"]
    languages = ["", "python", "c", "python", "javascript", "markdown"]
    assert measure_all(some, languages) == list(map(measure, some, languages))
    assert measure_all([], []) == []
    assert measure_all(some, languages)[3].longest_encoded == 0 and measure_all(some, languages)[4].encoded_share > 0.9
