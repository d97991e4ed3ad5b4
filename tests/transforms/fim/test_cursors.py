"""Middles of the mix `ide`: a cursor stands where one types; what is typed ends with a name, a bracket or a line."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.fim.cursors import CURSOR_KINDS, draw_cursor
from transforms.fim.kinds import DEFAULT_MIX, IDE_MIX, KINDS, MIXES, expand_mix
from transforms.fim.line_runs import Lines
from transforms.fim.settings import SpanSettings
from transforms.fim.spans import Recipe, choose_spans
from transforms.languages.brackets import is_balanced
from transforms.languages.lookup import find_language
from transforms.rows.row import content_sha256

from .samples import SAMPLES


def middles(text, language, kind, seeds=60):
    """What is drawn of a kind: prefix, middle, suffix."""
    lines = Lines(text, find_language(language))
    for seed in range(seeds):
        found = draw_cursor(lines, kind, random.Random(seed), max_lines=20, max_chars=600)
        if found:
            yield text[: found[0]], text[slice(*found)], text[found[1] :]


@pytest.mark.parametrize("kind", CURSOR_KINDS)
@pytest.mark.parametrize("language", SAMPLES)
def test_every_middle_is_balanced_and_the_three_parts_are_the_file(language, kind):
    _, text = SAMPLES[language]
    lines = Lines(text, find_language(language))
    for prefix, middle, suffix in middles(text, language, kind):
        assert prefix + middle + suffix == text
        assert is_balanced(lines.masked[len(prefix) : len(prefix) + len(middle)])
        assert middle.strip() and middle == middle.rstrip()


@pytest.mark.parametrize("language", SAMPLES)
def test_every_middle_starts_where_a_cursor_may_stand_and_ends_with_a_name_a_bracket_or_a_line(language):
    _, text = SAMPLES[language]
    for kind in CURSOR_KINDS:
        for prefix, middle, suffix in middles(text, language, kind):
            if kind == "partial_name":
                assert (prefix[-1] + middle[0]).isidentifier() or prefix[-1].isdigit()
            elif kind == "after_dot":
                assert prefix.endswith((".", "->", "::"))
            elif kind == "in_arguments":
                assert prefix.rstrip().endswith(("(", ",")) and suffix.lstrip().startswith((")", ","))
            elif kind == "line_end":
                assert middle.lstrip(" \t").startswith("\n") and prefix.rsplit("\n", 1)[-1].strip()
            else:
                assert not prefix.rsplit("\n", 1)[-1].strip()
            if kind in ("line_end", "empty_line"):
                assert not suffix.split("\n", 1)[0].strip(" \t")
            elif kind != "in_arguments":
                ends_name = middle[-1].isalnum() or middle[-1] == "_"
                ends_line = not suffix.split("\n", 1)[0].strip()
                assert not ends_name or not suffix[:1].isidentifier() or ends_line
                assert ends_name or ends_line or middle.endswith(")") or suffix.lstrip()[:1] in tuple("()[]{}")


def test_a_partly_typed_name_ends_with_the_name_its_call_or_its_line():
    text = "total = values(first, 2) + 1\n"
    ends = {
        prefix + middle for prefix, middle, _ in middles(text, "Python", "partial_name", 400) if "total" not in middle
    }
    from_values = {end for end in ends if end.startswith("total = values")}
    assert {"total = values", "total = values(first, 2)", "total = values(first, 2) + 1"} <= from_values
    assert {end for end in ends if "first" in end} <= from_values | {"total = values(first", "total = values(first, 2"}


def test_after_a_dot_the_member_is_asked_for():
    text = "int x = self.scale(a, b);\n"
    assert {middle for _, middle, _ in middles(text, "C", "after_dot")} == {"scale", "scale(a, b)", "scale(a, b);"}


def test_arguments_end_at_the_next_comma_or_with_their_list():
    text = "run(first, second(1, 2), third)\n"
    found = {middle for _, middle, _ in middles(text, "Python", "in_arguments", 200)}
    assert found == {
        "first", "first, second(1, 2), third", "second(1, 2)", "second(1, 2), third", "third", "1", "1, 2", "2",
    }  # fmt: skip


def test_at_the_end_of_a_line_that_opens_a_block_all_of_the_block_is_asked_for():
    text = "for x in y:\n    a = 1\n\n    if x:\n        b()\nrest = 1\n"
    found = {prefix.rsplit("\n", 1)[-1]: middle for prefix, middle, _ in middles(text, "Python", "line_end")}
    assert found["for x in y:"] == "\n    a = 1\n\n    if x:\n        b()"
    assert found["    if x:"] == "\n        b()"
    assert "    a = 1" not in found  # a blank line follows


def test_no_cursor_stands_in_a_string_or_a_comment():
    text = 'x = "alpha.beta(gamma, delta)"  # alpha.beta(gamma, delta)\n'
    for kind in ("partial_name", "after_dot", "in_arguments"):
        assert not list(middles(text, "Python", kind))


@given(
    st.lists(
        st.sampled_from(
            ["name", "a.b(", ")", "(", ", ", "{", "}", "\n", "\n    ", "'", "# c", "x->y::z", "if q:", "\r\n", " "]
        ),
        max_size=30,
    ).map("".join),
    st.sampled_from(["Python", "C", "JavaScript", "Markdown", ""]),
    st.sampled_from(CURSOR_KINDS),
)
def test_whatever_the_text_a_middle_is_balanced(text, language, kind):
    lines = Lines(text, find_language(language))
    for seed in range(8):
        found = draw_cursor(lines, kind, random.Random(seed), max_lines=20, max_chars=600)
        if found:
            assert 0 <= found[0] < found[1] <= len(text)
            assert is_balanced(lines.masked[slice(*found)])


def test_a_mix_is_named_among_kinds_and_its_kinds_share_its_weight():
    assert Recipe.of(SpanSettings(span_kinds=("ide",))).mix == expand_mix({"ide": 1})
    assert set(IDE_MIX) == set(CURSOR_KINDS)
    both = Recipe.of(SpanSettings(span_kinds=("ide=3", "default=1", "comment=1"))).mix
    assert sum(both[kind] for kind in IDE_MIX) == pytest.approx(3)
    assert both["comment"] == pytest.approx(1 + DEFAULT_MIX["comment"] / sum(DEFAULT_MIX.values()))
    assert Recipe.of(SpanSettings()).mix == dict(DEFAULT_MIX)
    assert not set(MIXES) & set(KINDS)


def test_an_unknown_mix_is_refused_with_the_names_of_kinds_and_mixes():
    with pytest.raises(ConfigError, match=r"unknown span kind idea; kinds are single_line.*; mixes are default, ide"):
        Recipe.of(SpanSettings(span_kinds=("idea",)))


def test_the_mix_yields_all_of_its_kinds_for_the_same_content_the_same():
    _, text = SAMPLES["Python"]
    again = [
        choose_spans(
            text, "Python", job_seed=1, content_sha256=content_sha256(text), count=30, recipe=Recipe(mix=dict(IDE_MIX))
        )
        for _ in range(2)
    ]
    assert again[0] == again[1]
    assert {span.kind for span in again[0]} == set(IDE_MIX)
