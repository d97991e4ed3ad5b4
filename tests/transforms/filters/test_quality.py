from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.filters import quality
from transforms.filters.quality import Limits, fault, measure

PARTS = ["A" * 63, "b+/9" * 16, "x" * 64, "\\x9f" * 15, "\\x9f", "0x1f, " * 15, "0x1f,", "\\u00e9" * 7, "\\u00e9", " ",
         "\n", "\r\n", "==", "é", "value = [", "\\x9", "0x"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


@given(TEXTS)
@example("0x1f, " * 16)
@example("\\x9f" * 16)
@example("\\u00e9" * 8 + " " * 16)
def test_lines_that_are_skipped_hold_no_encoded_data(text):
    lines = [line for line in text.encode().split(b"\n") if len(line) >= 64]
    runs = [len(run) for line in lines for run in quality._ENCODED.findall(line)]
    signals = measure(text)
    assert signals.longest_encoded == max(runs, default=0)
    assert signals.encoded_share * signals.num_bytes == pytest.approx(sum(runs))


@given(TEXTS)
def test_the_mean_line_is_the_mean_of_the_lines_lengths(text):
    lines = text.encode().split(b"\n")
    lines = lines if lines[-1] else lines[:-1]
    signals = measure(text)
    assert signals.num_lines == len(lines)
    assert signals.mean_line == (sum(map(len, lines)) / len(lines) if lines else 0.0)
    assert signals.longest_line == max(map(len, lines), default=0)


LONG = "x = [" + "1, " * 600 + "]\n"
CODE = "".join(f"def f{number}(a):\n    return a + {number}\n" for number in range(600))


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        (LONG, "python", "line_too_long"),
        (CODE + LONG, "python", None),
        (CODE + LONG * 90, "python", "lines_too_long_on_average"),
        ('{"a": "' + "word " * 400 + '"}\n', "json", None),
        ("A paragraph of words. " * 100 + "\n", "markdown", None),
        ("* a bullet\n* another one\n* the third\n* the fourth\n* the fifth\n", "markdown", None),
        ("* a bullet\n* another one\n* the third\n* the fourth\n* the fifth\n", "", None),
        ("// a\n// b\n// c\n// d\n// e\n", "c", "too_many_comments"),
        ("if a:\n" + "\n".join(" " * 60 + f"b{number} = c" for number in range(9)) + "\n", "python", None),
        ("+-<>[].,\n" * 20 + "[-]" * 20, "brainfuck", "too_few_alphanumeric"),
    ],
)
def test_what_makes_a_file_of_low_quality_depends_on_its_language(text, language, reason):
    assert fault(measure(text, language), Limits(), language) == reason
