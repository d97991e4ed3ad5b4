"""Verdicts: what counts as parsing, as an echo, as a leak."""

from __future__ import annotations

import threading
import warnings

import pytest

from transforms.checks import compiles, echoes_suffix, edit_similarity, has_control_text, is_exact_match, parses


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("x = 1\n", True),
        ("\ufeffx = 1\n", True),
        ("print 'hi'\n", False),
        ("def f():\n", False),
        ("return 1\n", False),
        ("x = '\0'\n", False),
        ("x = '\ud800'\n", False),
        ("(" * 10_000, False),
        ("-" * 100_000 + "1", None),
        ("not " * 20_000 + "x", None),
    ],
)
def test_python_is_judged_by_its_compiler(text, verdict):
    assert compiles(text) is verdict


def test_the_compiler_s_warnings_are_not_shown_and_others_still_are():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert compiles("x = '\\d'; 1 is 1\n")
        warnings.warn("something else", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else"]


def test_nothing_is_executed():
    assert compiles("raise SystemExit(1)\n")


def test_a_verdict_is_relative_to_the_original():
    assert parses("print 'hi'\n", "print 'ho'\n", "python") is None
    assert parses("x = (1\n", "x = 1\n", "python") is False
    assert parses("x = 2\n", "x = 1\n", "Python") is True


@pytest.mark.parametrize(
    ("language", "original", "good", "bad"),
    [
        ("Java", "class A { int x = f(1); }", "class A { int x = g(2); }", "class A { int x = f(1; }"),
        ("Go", "package a\nfunc f() { g(1) }\n", "package a\nfunc f() { h() }\n", "package a\nfunc f() { g(1 }\n"),
        ("C++", "int f() { return 1; }", "int f() { return 2; }", "int f() { return }}"),
    ],
)
def test_other_languages_may_have_no_more_errors_than_before(language, original, good, bad):
    assert parses(good, original, language) is True
    assert parses(bad, original, language) is False
    assert parses(bad, bad, language) is True


def test_no_verdict_without_a_parser_or_above_the_size_limit():
    assert parses("a", "b", "COBOL") is None
    assert parses("x" * 1_000_001, "x", "python") is None


def test_parses_is_safe_in_many_threads():
    verdicts: list[bool | None] = []

    def judge(n):
        verdicts.append(parses(f"x = '\\d{n}'\n", f"x = {n}\n", "python"))

    threads = [threading.Thread(target=judge, args=(n,)) for n in range(30)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert verdicts == [True] * 30


def test_exact_match_ignores_blanks_at_the_ends_only():
    assert is_exact_match("  x = 1\n", "x = 1")
    assert not is_exact_match("x  = 1", "x = 1")


def test_edit_similarity_is_one_for_equal_texts_and_zero_for_disjoint_ones():
    assert edit_similarity("same", "same") == 1.0
    assert edit_similarity("abc", "xyz") == 0.0
    assert edit_similarity("", "") == 1.0


SUFFIX = "\n    return combine(first, second)\n\nprint(1)\n"


@pytest.mark.parametrize(
    ("generated", "is_echo"),
    [
        ("x = 1", False),
        ("x = 1\n    return combine(first, second)", True),
        ("x = 1\n    return combine(first", True),
        ("x = 1\n    return comb", False),  # nine characters without the indentation: too short to say
        ("x = 1\nreturn combine(first, second)\ny = 2", True),
        ("x = combine(first, second)", False),
        ("", False),
    ],
)
def test_an_echo_repeats_the_beginning_of_the_suffix(generated, is_echo):
    assert echoes_suffix(generated, "x = 0", SUFFIX) is is_echo


def test_an_echo_that_the_original_has_too_is_none():
    repeated = "    values.append(value)\n"
    assert not echoes_suffix(repeated * 2, repeated * 3, repeated)


def test_control_text_counts_only_where_the_file_has_none_of_it():
    names = ["<|fim_suffix|>", "<eos>"]
    assert has_control_text("a <|fim_suffix|>", "no such thing", names)
    assert not has_control_text("a <eos>", "tokens = ['<eos>']", names)


@pytest.mark.parametrize(
    ("original", "middle", "verdict"),
    [
        ("import os\n\n\ndef f():\n    return <1>\n", "2", True),
        ("import os\n\n\ndef f():\n    return <1>\n", "(2", False),
        (
            "print 'old'\n\n\ndef f():\n    return <1>\n",
            "2",
            True,
        ),  # what else is wrong with the file is none of its fault
        ("print 'old'\n\n\ndef f():\n    return <1>\n", "(2", False),
        ("print 'old'\n\n\nprint <'hi'>\n", "'ho'", None),
        ("if a:\n    b()\n<c()>\n", "else:\n    c()", True),  # compiles with its neighbour alone
        ("x = [\n1,\n<2,>\n]\n", "2", True),
        ("x = [\n1,\n<2,>\n]\n", "2]", False),
        ('"""\nimport os\n<text>\n"""\n', 'a """', False),
        ("class A:\n    x = 1\n\n    def f(self):\n        <pass>\n\n    def g(self): pass\n", "return 1", True),
        ("class A:\n    def f(self):\n        <pass>\n\n    def g(self): pass\n", "pass\n\ndef h():\n  pass", False),
        ("class A:\n    @property\n    def f(self):\n        <pass>\n", "return self.x", True),
        ("class A:\n    @property\n<    def f(self): pass>\n", "    x = 1", False),
        ("x = 1\n<y = 2>\n", "global x", False),
        ("import os\n<y = 2>\n", "from __future__ import annotations", False),
        ('<"""Doc."""\n>from __future__ import annotations\n', "import os\n", False),
        ('"<>""Doc."""\nfrom __future__ import annotations\n', 'x"""\n"""', False),  # the docstring becomes two
        ('<"""Doc."""\n>from __future__ import annotations\n', "# a comment\n", True),
        ("def f():\n    <pass>\n", "break", False),
    ],
)
def test_a_change_is_judged_by_the_statement_that_it_is_in(original, middle, verdict):
    start = original.index("<")
    end = original.index(">") - 1
    original = original.replace("<", "").replace(">", "")
    changed = original[:start] + middle + original[end:]
    assert parses(changed, original, "python", hole=(start, end)) is verdict
