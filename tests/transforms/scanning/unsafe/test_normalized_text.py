"""Normalized text is what Unicode's own functions give, and every character of it knows where it came from."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from transforms.scanning.unsafe.normalized_text import _MARKS, NormalizedText, _spans
from transforms.scanning.unsafe.terms import IGNORED

CHARS = "ab]-\U0001d401 é\u0301\u0308…\u00a0²ﬁＡ\u200b\ufe0f☃✓ßÄя\u1100\u1161\u11a8가\u0915\u093c\u09be\U0001f600\ud800"
texts = st.text(st.sampled_from(CHARS), max_size=20)


def without_marks(text: str) -> bool:
    return not any(unicodedata.category(char)[0] == "M" or "\u1100" <= char <= "\u11ff" for char in text)


@given(texts, st.booleans())
def test_text_without_marks_is_normalized_as_unicode_says(text, folds_case):
    text = "".join(filter(without_marks, text))
    expected = IGNORED.sub("", unicodedata.normalize("NFKC", text))
    found = NormalizedText(text, folds_case=folds_case).text
    assert found.casefold() == expected.casefold()
    assert not folds_case or text.isascii() or all(char.isascii() or char.casefold() == char for char in found)


@given(texts, st.sampled_from(["", "²", "\u200b²", "-\\]^\u0301", "\U0001d400\U0001d401\U0001d402"]))
def test_what_is_replaced_is_what_a_search_of_the_entire_text_finds(text, changed):
    alone = f"[{re.escape(changed)}]" if changed else "(?!)"
    everywhere = re.finditer(f"{alone}{_MARKS}*|(?s:.){_MARKS}+", text)
    assert list(_spans(text, changed)) == [match.span() for match in everywhere]


@given(texts, st.booleans())
def test_each_normalized_character_comes_from_what_it_stands_for(text, folds_case):
    view = NormalizedText(text, folds_case=folds_case)
    assert view.data == view.text.encode("utf-8", "surrogatepass")
    ends = [view.original(position) for position in range(len(view.text))]
    assert all(0 <= start < end <= len(text) for start, end in ends) and ends == sorted(ends)
    for position, (start, end) in enumerate(ends):
        normalized = unicodedata.normalize("NFKC", text[start:end])
        assert view.text[position].casefold() in normalized.casefold()
