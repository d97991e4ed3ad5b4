"""Pairs of formulas that are the same or not, and hostile ones, compared in the child as jobs do."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms import bounded
from transforms.evaluation.texts import formulas
from transforms.evaluation.texts.formulas import check_comparing, same_formula

pytest.importorskip("math_verify", reason="the extra codemill[math] isn't installed")

SAME = [
    (r"\frac{1}{2}", "0.5"),
    (r"\dfrac12", r"\tfrac{1}{2}"),
    ("x+1", "1 + x"),
    ("(x-1)(x+1)", "x^2-1"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
    ("1,234", "1234"),
    ("10\\%", "10"),
    (r"\$5.00", "5"),
    (r"90^\circ", "90"),
    (r"\left(1, 2\right]", "(1,2]"),
    (r"\{2, 1\}", "1, 2"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
    ("x = 5", "5"),
    ("y = 2x + 3", "y=3+2x"),
    (r"5 \text{ cm}", "5"),
    (r"5\text{ cm}^2", "5"),
    (r"\text{Even}", "even"),
    ("(C)", "C"),
    (r"1\frac{1}{2}", "1.5"),
    (r"\begin{pmatrix} 1 \\ 2/4 \end{pmatrix}", r"\begin{pmatrix}1\\0.5\end{pmatrix}"),
    (r"2^{100}", "1267650600228229401496703205376"),
    (r"\log_2 8", "3"),
    (r"3\pi", r"\pi \cdot 3"),
    (r"\sin(\pi/6)", "0.5"),
    ("5!", "120"),
    ("2+3i", "3i+2"),
    ("-x^2", "-(x^2)"),
    ("(1,2),(3,4)", "(3,4), (1,2)"),
    (r"1 \pm \sqrt{2}", r"1\pm\sqrt2"[:-1] + "{2}"),
    (r"1 \pm \sqrt{2}", r"1+\sqrt{2}, 1-\sqrt{2}"),
    (r"(1+i)^2", "2i"),
    (r"e^{i\pi}", "-1"),
    (r"\sum_{i=1}^{4} i", "10"),
    (r"x \le 3", r"3 \geq x"),
    (r"10,\!080", "10080"),
    ("1101_2", "1101_{2}"),
    (r"\frac{2(x)}{2}", "x"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    ("101_{10}", "101"),
    (r"x \in (1, 2)", "(1,2)"),
    ("2,1", r"\{1,2\}"),
    (r"\gcd(4, 6)", "2"),
    ("1,000,000", "1000000"),
    ("3,333,333", r"3{,}333{,}333"),
    ("-1,000,000", "-10^6"),
    (r"\$100,100,100", "100100100"),
    (r"(2\sin(1), 3)", r"(2\sin 1, 3)"),
    (r"\left(3, \frac{(1)}{2}\right]", "(3, 0.5]"),
]
OTHER = [
    ("2", "3"),
    ("(1,2)", "[1,2]"),
    ("(2,1)", "(1,2)"),
    ("(1,2)", "1"),
    ("1,2", "1,2,3"),
    ("1, 1", "1, 2"),
    ("123456789012345678901", "123456789012345678902"),
    ("x+1", "x+2"),
    ("a", "b"),
    (r"\text{odd}", r"\text{even}"),
    ("", "5"),
    (r"\frac{1}{", "5"),
    ("0.333", r"\frac13"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("y = 2x", "y = 3x"),
    ("import os", "7"),
    ("__import__('os')", "7"),
    ("1-2i", "1+2i"),
    (r"x < 3", r"x \le 3"),
    ("1/0", "5"),
    ("101_2", "101_3"),
    ("101", "101_2"),
    ("101_2", "101"),
    ("1,2", "(1,2)"),
    ("(1,2)", "1,2"),
    (r"\{1,2\}", "(1,2)"),
    ("1,2", "[1,2)"),
    ("1,1", "1"),
    ("1", "1, 1"),
    ("1,2,2", "1,2"),
    ("1,2000,2000", "1,2000"),
    ("1, 000, 000", "1000000"),
    ("(1,2),(1,2)", "(1,2)"),
    ("0.333333", r"\frac13"),
    ("3.14159265", r"\pi"),
]
HOSTILE = [
    "9^{9^{9^{9^9}}}",
    "((9!)!)!",
    "(" * 5_000 + "1" + ")" * 5_000,
    r"\sqrt{" * 400 + "2" + "}" * 400,
    "^".join(["9"] * 500),
    "9" * 100_000,
    "*".join(["9999999999"] * 90),
    r"\frac{1}{" * 100 + "3" + "}" * 100,
    "1,2" * 50_000,
    r"\cup" * 10_000,
    "x=" * 10_000,
    r"\begin{pmatrix}" * 60,
    "-" * 100_000 + "1",
    "{" * 900,
    "a b " * 20_000,
    "1" + " a" * 40_000 + "!",
    r"\text{" * 5_000,
    "10^{10^{10}}*0",
    "0^{-1}",
    r"\tan(\pi/2)^{9999999}",
    "10**10**10",
    "(x+1)^{100000}",
    "(10^9)!",
    r"\binom{10^9}{10^8}",
    r"\sum_{k=1}^{10^{12}} \frac{1}{k}",
    r"\prod_{k=1}^{10^{9}} k",
    r"\int_0^1 e^{e^{e^x}} dx",
    "1 and " * 160,
    "\\" * 900,
    "|" * 900,
    "\udc80",
    "}" * 50,
    r"}\boxed{7",
]


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    check_comparing()
    monkeypatch.setattr(formulas, "CPU_S", 0.3)


@pytest.mark.parametrize(("answer", "gold"), SAME)
def test_the_same_answer_in_another_form_is_right(answer: str, gold: str) -> None:
    assert same_formula(answer, gold) is True
    assert same_formula(gold, answer) is True


@pytest.mark.parametrize(("answer", "gold"), OTHER)
def test_another_answer_is_wrong(answer: str, gold: str) -> None:
    assert same_formula(answer, gold) is False


def test_a_known_answer_that_can_not_be_read_gives_no_verdict() -> None:
    assert same_formula("5", r"\unknown{7}") is None
    assert same_formula(r"\unknown{7}", r"\unknown{7}") is True


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_formula_is_nothing_but_itself(hostile: str, short_limit: None) -> None:
    assert same_formula(hostile, "x+1") is False
    assert same_formula("x+1", hostile) in (False, None)
    assert same_formula(hostile, hostile) is True


@pytest.mark.parametrize("hostile", ["9^{9^{9^{9^9}}}", "((9!)!)!", "9" * 100_000])
def test_what_exceeds_the_limits_is_wrong_and_no_verdict_if_it_is_the_known_answer(
    hostile: str, short_limit: None
) -> None:
    assert same_formula(hostile, "7") is False
    assert same_formula("7", hostile) is None
    assert same_formula("2x", "x+x") is True, "the next answer gets its verdict"


def test_a_comparison_ends_by_its_processor_time(short_limit: None) -> None:
    with pytest.raises(bounded.LimitExceeded, match=r"more than 0\.3 s of processor time"):
        bounded.call("same_formula", ("9^{9^{9^{9^9}}}", "7"), cpu_s=formulas.CPU_S)


def test_what_the_text_alone_decides_needs_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "call", None)
    assert same_formula(r"\frac {1} {2}", r"\frac{1}{2}") is True
    assert same_formula("", "2") is False
    assert same_formula("1" * 2_000, "2") is False


def test_an_installation_that_does_not_work_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "call", lambda *_, **__: None)
    with pytest.raises(ConfigError, match="installed but doesn't work"):
        check_comparing.__wrapped__()


numbers = st.fractions(min_value=-1000, max_value=1000, max_denominator=50)


@settings(max_examples=8, deadline=None)
@given(numbers, numbers)
def test_values_are_those_of_exact_arithmetic(a: Fraction, b: Fraction) -> None:
    def written(n: Fraction) -> str:
        return rf"(\frac{{{n.numerator}}}{{{n.denominator}}})"

    # latex2sympy2_extended 1.11 reads (0)(3) as 3, so that products have a sign.
    for result, sign in ((a + b, "+"), (a - b, "-"), (a * b, r" \cdot ")):
        assert same_formula(written(a) + sign + written(b), written(result)) is True
        assert same_formula(written(a) + sign + written(b), written(result + Fraction(1, 99))) is False


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="0123456789x+-*/^(){}[]\\fracsqrt,.=! ", max_size=60), st.text(max_size=20))
def test_any_text_gets_a_verdict(answer: str, gold: str) -> None:
    assert same_formula(answer, gold) in (True, False, None)
    assert same_formula(answer, answer) is True
