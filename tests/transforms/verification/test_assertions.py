"""Tests that only call the code are refused, and what the code does by itself isn't what tests notice."""

from __future__ import annotations

import pytest

from tests.transforms.verification.test_generated_tests import reason, trial_of
from transforms.evaluation.problems import Verdict
from transforms.verification.assertions import can_fail, have_failed
from transforms.verification.verifier import Verifier

# language: a call in a test, and forms of the same test that can fail
CALLS = {
    "C++": ("int main() { half(4); return 0; }", "assert(half(4) == 2)", "if (half(4) != 2) return 1", "throw 1"),
    "C#": (
        'class P { static void Main() { A.Half(4); System.Console.WriteLine("assert"); } }',
        *("Debug.Assert(A.Half(4) == 2)", 'throw new System.Exception("")', "Environment.Exit(A.Half(4) - 2)"),
    ),
    "Go": (
        'package p\nfunc TestHalf(t *testing.T) { half(4); t.Log("panic(") }',
        *('if half(4) != 2 { t.Errorf("") }', "panic(1)", "half(4)\n// Output: 2"),
    ),
    "Java": (
        "class T { public static void main(String[] a) { A.half(4); /* throw */ } }",
        *("assert A.half(4) == 2;", "throw new AssertionError();", "assertEquals(2, A.half(4))"),
        'try { A.half(0); fail("no"); } catch (ArithmeticException e) {}',
    ),
    "JavaScript": ("test('asserts', () => { half(4); });", "assert.equal(half(4), 2)", "throw 1", "expect(half(4))"),
    "Kotlin": (
        "fun main() { half(4) }",
        *("check(half(4) == 2)", "assertEquals(2, half(4))", "require(half(4) == 2)", "if (half(4) != 2) fail()"),
    ),
    "Python": (
        'def test_half():\n    half(4)\n    "assert"\n',
        *("assert half(4) == 2", "self.assertEqual(half(4), 2)", "with raises(ValueError): half(4)", "raise E"),
    ),
    "Rust": ('#[test]\nfn it() { half(4); let s = "panic!"; }', "assert_eq!(half(4), 2)", "panic!(1)"),
}
HALF = "def half(x):\n    return x // 2 + int('00000'[x + 0])\n"


@pytest.mark.parametrize("language", sorted(CALLS))
def test_calls_are_told_from_tests_that_can_fail(language: str) -> None:
    call, *others = CALLS[language]
    assert not can_fail(language, call)
    for one in others:
        assert can_fail(language, one), one


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("def test_it():\n    half(4)\n", "asserts_nothing"),
        ("def test_it():\n    result = half(4)\n    assert True\n", "no_mutant_killed"),
        ("import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        half(4)\n", "asserts_nothing"),
        ("def test_it():\n    assert half(4) == 2\n", None),
        ("def test_it():\n    if half(4) != 2:\n        raise ValueError\n", None),
    ],
)
def test_mutants_that_raise_by_themselves_are_not_killed_by_calls(
    verifier: Verifier, tests: str, why: str | None
) -> None:
    trial = trial_of(tests, HALF, "half")
    verdicts = [verifier.judge(trial.problem, mutant.of(HALF.encode())) for mutant in trial.mutants]
    assert any(verdict.reason == "exception" for verdict in verdicts), "what would count, if anything did"
    found = verifier.submit(trial).result()
    assert reason(found) == why


@pytest.mark.parametrize(
    ("language", "tests", "verdict", "noticed"),
    [
        ("Go", "t.Error(1)", Verdict(reason="exception", stdout="--- FAIL: TestHalf (0.00s)\nFAIL\n", exit=1), True),
        (
            "Go",
            "t.Error(1)",
            Verdict(reason="exception", stdout="--- FAIL: TestHalf (0.00s)\n", stderr="panic: division\n", exit=2),
            False,
        ),
        ("Rust", "assert!(x)", Verdict(reason="exception", stdout="panicked at 'assertion failed: x'", exit=101), True),
        ("Rust", "assert!(x)", Verdict(reason="exception", stdout="panicked at 'divide by zero'", exit=101), False),
        ("Java", "assert x;", Verdict(reason="exception", stderr="java.lang.ArithmeticException", exit=1), False),
        ("Java", "throw new E();", Verdict(reason="exception", stderr="java.lang.ArithmeticException", exit=1), True),
        ("C++", "assert(x)", Verdict(reason="crashed", signal="SIGFPE"), False),
        ("C++", "return f() != 1;", Verdict(reason="exception", exit=1), True),
        ("Python", "assert x", Verdict(reason="wrong", exit=1), True),
        ("Python", "assert x", Verdict(reason="timed_out"), False),
        ("Python", "assert x", Verdict(reason="passed", exit=0), False),
    ],
)
def test_only_what_the_tests_did_counts(language: str, tests: str, verdict: Verdict, noticed: bool) -> None:
    assert have_failed(language, tests, verdict) is noticed
