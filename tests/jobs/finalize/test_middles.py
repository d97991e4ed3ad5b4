"""A card's section on middles: rates by documents and by tokens, kinds, lengths."""

from __future__ import annotations

from jobs.finalize.middles import MOST_LANGUAGES, middles_section

COUNTS = {
    "documents": 10,
    "middles/language/Go/psm/documents": 3,
    "middles/language/Go/psm/tokens": 30,
    "middles/language/Go/none/documents": 1,
    "middles/language/Go/none/tokens": 70,
    "middles/language/C#/spm_v2/documents": 1,
    "middles/language/C#/spm_v2/tokens": 100,
    "middles/kind/block/documents": 3,
    "middles/kind/block/tokens": 45,
    "middles/kind/block/trivial": 1,
    "middles/kind/single_line/documents": 1,
    "middles/kind/single_line/tokens": 3,
    "middles/kind/single_line/comment_only": 1,
    "middles/length/4": 1,
    "middles/length/64": 3,
}


def test_rates_are_told_by_documents_and_by_tokens_for_each_language():
    lines = list(middles_section(COUNTS))
    assert lines[0] == "## Middles"
    assert "| all | 5 | 80.0% | 75.0% | 25.0% | 200 | 65.0% | 23.1% | 76.9% |" in lines
    assert "| Go | 4 | 75.0% | 100.0% | 0.0% | 100 | 30.0% | 100.0% | 0.0% |" in lines
    assert next(line for line in lines if line.startswith("| C")).endswith("100.0% | 0.0% | 100.0% |")


def test_kinds_are_told_with_their_lengths_and_with_what_says_nothing():
    lines = list(middles_section(COUNTS))
    assert "| block | 3 | 75.0% | 15.0 | 33.3% | 0.0% |" in [line.replace("\\", "") for line in lines]
    assert "| single_line | 1 | 25.0% | 3.0 | 0.0% | 100.0% |" in [line.replace("\\", "") for line in lines]
    assert "Tokens of a middle: 1 to 4 25.0%, 17 to 64 75.0%" in lines[-1]


def test_a_job_without_middles_has_no_such_section():
    assert list(middles_section({"documents": 3, "middles/language/Go/none/documents": 3})) == []


def test_rare_languages_are_told_together():
    many = {f"middles/language/L{n:02}/psm/documents": 100 - n for n in range(MOST_LANGUAGES + 3)}
    lines = list(middles_section({**COUNTS, **many}))
    shown = [line for line in lines if line.startswith("| L")]
    assert len(shown) == MOST_LANGUAGES
    assert any(line.startswith("| other | ") for line in lines)


def test_the_counts_of_several_editions_are_said_to_be_their_sum():
    one, both = (list(middles_section(COUNTS, editions)) for editions in (1, 2))
    assert [line for line in both if line not in one] == [
        "Of all that was packed in 2 editions, rows that later ones have replaced or dropped among it."
    ]
