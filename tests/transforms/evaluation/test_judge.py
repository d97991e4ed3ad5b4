from __future__ import annotations

import dataclasses

import pytest

from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Problem

CHECKED = Problem(
    problem_id="double",
    language="Python",
    form="check",
    prefix="def double(x):\n",
    test="def check(candidate):\n    assert candidate(2) == 4, 'two'\n    assert candidate(5) == 10\n",
    entry_point="double",
    wall_s=3,
)
ASSERTED = Problem(
    problem_id="double", language="Python", form="asserts", test="assert double(2) == 4", entry_point="double", wall_s=3
)


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ("    return 2 * x", "passed", ""),
        ("    return 2 + x", "wrong", "line 3 of the tests"),
        ("    return x", "wrong", "two"),
        ("    return y", "exception", "NameError: name 'y' is not defined"),
        ("    return (", "does_not_compile", "line 2: '(' was never closed"),
        ("    while True: pass", "timed_out", ""),
        ("    return double(x)", "exception", "RecursionError: maximum recursion depth exceeded"),
        ("    return bytearray(10**11)", "out_of_memory", ""),
        ("    while True: print('x' * 9999)", "too_much_output", ""),
        ("    import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
        ("    raise SystemExit(0)", "exited_early", "exit code 0 in the tests"),
        ("    pass\ndel double", "exception", "NameError: name 'double' is not defined"),
    ],
)
def test_each_way_to_end_has_its_reason(judge: Judge, answer: str, reason: str, detail: str) -> None:
    verdict = judge.judge(CHECKED, answer + "\n")
    assert (verdict.reason, verdict.detail) == (reason, detail)


def test_statements_that_assert_are_run(judge: Judge) -> None:
    assert judge.judge(ASSERTED, "def double(x): return 2 * x\n").passed
    assert judge.judge(ASSERTED, "def double(x): return x\n").reason == "wrong"


def test_a_suffix_belongs_to_the_program(judge: Judge) -> None:
    problem = dataclasses.replace(CHECKED, prefix="def double(x):\n    y = x\n", suffix="    return y\n")
    assert judge.judge(problem, "    y += x\n").passed
    assert not judge.judge(problem, "    y += 1\n").passed


def test_an_import_that_the_hole_cuts_is_no_package(judge: Judge) -> None:
    problem = dataclasses.replace(CHECKED, prefix="def double(x):\n    import oper", suffix="mul(x, 2)\n")
    assert judge.judge(problem, "ator\n    return operator.").passed


def test_objects_of_the_library_may_be_returned(judge: Judge) -> None:
    problem = dataclasses.replace(
        CHECKED, test="from collections import Counter\ndef check(c):\n    assert c('aab') == Counter('aab')\n"
    )
    assert judge.judge(problem, "    import collections\n    return collections.Counter(x)\n").passed


def test_a_missing_toolchain_is_not_a_failure(judge: Judge) -> None:
    verdict = dataclasses.replace(judge, toolchains={}).judge(CHECKED, "    return 2 * x\n")
    assert verdict.reason == "no_toolchain"
    assert not verdict.was_run


def test_modules_that_could_not_be_listed_are_asked_for_again(judge: Judge) -> None:
    fresh = dataclasses.replace(judge, modules={})
    python = fresh.toolchains["Python"]
    broken = {"Python": dataclasses.replace(python, modules=("python3", "-c", "raise SystemExit(1)"))}
    problem = dataclasses.replace(CHECKED, test="import math\n" + CHECKED.test)
    verdict = dataclasses.replace(fresh, toolchains=broken).judge(problem, "    return 2 * x\n")
    assert verdict.reason == "no_toolchain" and "can't be listed" in verdict.detail
    assert fresh.modules == {}
    assert fresh.judge(problem, "    return 2 * x\n").passed


def test_a_verdict_is_the_same_in_every_run(judge: Judge) -> None:
    first, second = (judge.judge(CHECKED, "    print('said'); return x\n") for _ in range(2))
    assert dataclasses.replace(first, wall_s=0) == dataclasses.replace(second, wall_s=0)
    assert first.stdout == "said\n\n wrong two\n"
