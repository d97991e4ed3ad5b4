"""Spans: natural, bounded, never blank, the same for the same content whatever else happens."""

from __future__ import annotations

import pytest
import tree_sitter
import tree_sitter_language_pack
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.fim.kinds import KINDS, LINE_KINDS
from transforms.fim.settings import parse_mix
from transforms.fim.spans import WINDOW_BYTES, Recipe, choose_spans
from transforms.languages import syntax
from transforms.languages.grammars import SPAN_NODES, SYNTAX_KINDS, grammar_name, query_source
from transforms.rows.row import content_sha256

from .samples import ABSENT, SAMPLES


def spans_of(text, language="Python", *, kinds=KINDS, count=20, seed=0, path="", **lengths):
    recipe = Recipe(mix=dict.fromkeys(kinds, 1.0), **lengths)
    return choose_spans(
        text, language, job_seed=seed, content_sha256=content_sha256(text), count=count, recipe=recipe, path=path
    )


def middles(text, language="Python", **options):
    return [text[span.start : span.end] for span in spans_of(text, language, **options)]


@pytest.mark.parametrize("grammar", SPAN_NODES)
def test_every_query_compiles_against_its_grammar(grammar):
    language = tree_sitter_language_pack.get_language(grammar)
    for kind in SYNTAX_KINDS:
        tree_sitter.Query(language, query_source(grammar, kind))


@pytest.mark.parametrize("kind", SYNTAX_KINDS)
@pytest.mark.parametrize("language", SAMPLES)
def test_every_language_yields_every_kind(language, kind):
    path, text = SAMPLES[language]
    found = spans_of(text, language, kinds=[kind], path=path, count=4)
    assert {span.kind for span in found} == (set() if kind in ABSENT.get(language, ()) else {kind})


@pytest.mark.parametrize("language", SAMPLES)
def test_a_sample_is_free_of_syntax_errors(language):
    path, text = SAMPLES[language]
    source = syntax.parse(text.encode(), grammar_name(language, path))
    assert source is not None and source.num_errors == 0


def test_delimiters_stay_outside_the_hole():
    text = SAMPLES["Python"][1]
    assert set(middles(text, kinds=["docstring"])) == {"What this module is.", "What a class is."}
    assert set(middles(text, kinds=["comment"])) == {"A comment of its own."}
    assert "area, width" in middles(text, kinds=["argument_list"])
    java = SAMPLES["Java"][1]
    assert middles(java, "Java", kinds=["docstring"]) == ["What a class is."]
    assert all(not middle.startswith("{") for middle in middles(java, "Java", kinds=["function_body", "class_body"]))


def test_a_python_function_body_ends_where_its_last_statement_ends():
    text = "def f():\n    a = 1\n    return a\n\n\ndef g():\n    pass\n"
    assert "a = 1\n    return a" in middles(text, kinds=["function_body"])


def test_a_string_that_only_stands_alone_is_no_docstring():
    assert spans_of("def f():\n    x = 1\n    'not a docstring'\n", kinds=["docstring"]) == []


def test_a_single_line_leaves_its_indentation_and_its_line_break():
    text = "if x:\r\n\ty = call(1)  \r\n\r\nz = 'é\U0001f600'\r\n"
    assert set(middles(text, kinds=["single_line"])) == {"if x:", "y = call(1)", "z = 'é\U0001f600'"}


def test_several_lines_begin_and_end_with_lines_that_are_not_blank():
    text = "\n\n".join(f"line_{n} = {n}" for n in range(30))
    for middle in middles(text, kinds=["multi_line"]):
        assert "\n" in middle and middle == middle.strip()


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_offsets_are_characters_whatever_the_line_ends_and_the_width_of_characters(ending):
    text = '\ufeff# é\U0001f600 ü\nname = "日本"\n\ncall(name, "\U0001f600")\n'.replace("\n", ending)
    assert '"\U0001f600"' in text
    found = middles(text, kinds=["argument_list"])
    assert found == ['name, "\U0001f600"'] or ending == "\r"  # to tree-sitter a lone CR is a blank, so all is a comment
    assert "\ufeff" not in "".join(middles(text, kinds=KINDS, count=50))


def test_lone_surrogates_do_not_shift_offsets():
    text = 'x = "\ud800é"\ncall(first, second)\n'
    assert "first, second" in middles(text, kinds=["argument_list"])


def test_a_file_with_syntax_errors_still_gives_syntax_spans():
    text = "def broken(:\n    pass\n\n\ndef fine(a):\n    return compute(a, 1)\n"
    assert "a, 1" in middles(text, kinds=["argument_list"])


@pytest.mark.parametrize(("language", "path"), [("COBOL", "a.cob"), ("", ""), ("Markdown", "a.md")])
def test_a_language_without_grammar_falls_back_to_lines(language, path):
    found = spans_of("some text here\nand more text\nthe end\n", language, kinds=SYNTAX_KINDS, path=path)
    assert found and {span.kind for span in found} <= set(LINE_KINDS)


def test_nul_bytes_and_huge_files_fall_back_to_lines():
    for text in ("x = call(a)\0\ny = call(b)\n", "x = call(a)\n" * 100_000):
        found = spans_of(text, kinds=["argument_list"], count=3)
        assert found and {span.kind for span in found} <= set(LINE_KINDS)


def test_a_parse_that_runs_away_is_refused_by_the_work_it_does(monkeypatch):
    monkeypatch.setattr(syntax, "BYTES_PER_CALL", 10**9)
    monkeypatch.setattr(syntax, "SPARE_CALLS", 3)
    assert syntax.parse(b"x = [1]\n" * 5_000, "python") is None
    monkeypatch.undo()
    assert syntax.parse(b"x = [1]\n" * 5_000, "python") is not None


def test_a_parse_that_takes_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(syntax, "MAX_PARSE_S", 0.0)
    assert syntax.parse(b"x = [1]\n" * 5_000, "python") is None


def test_a_one_line_file_of_ten_megabytes_gives_character_spans_without_a_parse():
    text = "a = 1; " * 1_500_000
    found = spans_of(text, count=3)
    assert {span.kind for span in found} == {"random_chars"}
    assert all(span.end - span.start <= 600 for span in found)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\r\n", "\ufeff", "\ufeff\n", "\x0c\x1c"])
def test_a_blank_file_has_no_span(text):
    assert spans_of(text) == []


def test_a_file_shorter_than_the_shortest_middle_has_no_span():
    assert spans_of("ab", min_chars=3) == []


def test_more_spans_keep_the_earlier_ones():
    text = SAMPLES["Python"][1]
    assert spans_of(text, count=8)[:3] == spans_of(text, count=3)


def test_nodes_come_in_the_order_of_the_file():
    data = SAMPLES["Python"][1].encode() * 20
    for kind in SYNTAX_KINDS:
        source = syntax.parse(data, "python")
        assert source is not None
        starts = [node.start_byte for node in syntax.nodes(source, kind)]
        assert starts == sorted(starts)


def test_spans_depend_on_seed_and_content_alone():
    text = SAMPLES["Python"][1]
    assert all(spans_of(text) == spans_of(text) for _ in range(5))
    assert spans_of(text, seed=1) != spans_of(text, seed=2)


def test_spans_of_one_file_are_all_different():
    found = spans_of(SAMPLES["Go"][1], "Go", count=60)
    assert len({(span.start, span.end) for span in found}) == len(found) > 20


def test_weights_decide_how_often_a_kind_is_drawn():
    text = SAMPLES["Python"][1] * 5
    recipe = Recipe(mix={"single_line": 9.0, "expression": 1.0})
    kinds = [
        span.kind
        for seed in range(300)
        for span in choose_spans(text, "python", job_seed=seed, content_sha256="c", count=1, recipe=recipe)
    ]
    assert 0.03 < kinds.count("expression") / len(kinds) < 0.2


def test_bad_recipes_are_refused_with_what_is_allowed():
    with pytest.raises(ConfigError, match="unknown span kind line; kinds are single_line"):
        Recipe(mix={"line": 1})
    with pytest.raises(ConfigError, match="one must be above 0"):
        Recipe(mix={"single_line": 0})
    with pytest.raises(ConfigError, match="min_chars"):
        Recipe(min_chars=9, max_chars=3)


@pytest.mark.parametrize("word", ["single_line=lots", "single_line=-1", "single_line=nan", "block=2,single_line=inf"])
def test_a_weight_that_is_no_number_from_0_up_is_refused_in_the_words_of_who_gave_it(word):
    with pytest.raises(ConfigError, match=r"^--span_kinds single_line=.*: expected KIND=WEIGHT, as in single_line=3$"):
        parse_mix([word], "--span_kinds")


PIECES = [
    "def f(a):\n",
    "    return a\n",
    "\t",
    "\r\n",
    "\r",
    "é",
    "\U0001f600",
    "\ufeff",
    "\0",
    "(",
    ")",
    '"""',
    "#",
    "x = ",
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, language=st.sampled_from([*SAMPLES, ""]), low=st.integers(1, 5), extra=st.integers(0, 30))
def test_a_span_is_never_blank_nor_out_of_bounds(text, language, low, extra):
    for span in spans_of(text, language, count=5, min_chars=low, max_chars=low + extra):
        middle = text[span.start : span.end]
        assert low <= len(middle) == span.end - span.start <= low + extra
        assert middle.strip()
        if span.kind == "line_end":
            assert middle == middle.rstrip()
        elif span.kind != "random_chars":
            assert middle == middle.strip()


LARGE = "\n\n".join(
    f"def function_{n}(first, second):\n    total = first * {n} + second\n    return max(total, len(str(first)))\n"
    for n in range(2500)
)


def test_nodes_of_a_large_file_come_from_all_of_it():
    for kind in ("expression", "statement", "function_body"):
        places = [span.start * 8 // len(LARGE) for span in spans_of(LARGE, kinds=[kind], count=160)]
        assert len(LARGE) > 10 * WINDOW_BYTES and len(places) == 160
        assert all(6 <= places.count(eighth) <= 36 for eighth in range(8))


def test_a_node_that_stands_in_one_place_of_a_large_file_is_found():
    text = LARGE + "\n\nclass Single:\n    def method(self):\n        return self\n"
    (middle,) = middles(text, kinds=["class_body"], count=4)
    assert middle == "def method(self):\n        return self"


def test_a_node_belongs_to_the_window_in_which_it_begins():
    source = syntax.parse(LARGE.encode(), "python")
    for kind in ("expression", "function_body", "argument_list"):
        whole = syntax.nodes(source, kind)
        parts = [
            node
            for start in range(0, len(source.data), WINDOW_BYTES)
            for node in syntax.nodes(source, kind, (start, start + WINDOW_BYTES))
        ]
        assert [(node.start_byte, node.end_byte) for node in parts] == [(n.start_byte, n.end_byte) for n in whole]
