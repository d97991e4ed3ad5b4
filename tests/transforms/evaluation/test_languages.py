"""A slice of the answers of known verdict in seven languages; `make test-languages` tries them all."""

from __future__ import annotations

import pytest

from tests.transforms.evaluation.languages import EXPECTED, NAMES, PROBLEMS, Case, cases_of, language_of
from transforms.evaluation.judge import Judge

# By markers ("sum") and by a main ("factorial"). Kotlin's compiler takes ten seconds each time.
_WAYS = (("sum", "talks"), ("sum", "wrong once"), ("factorial", "prints the markers"), ("factorial", "exits early"))
_KOTLIN_WAYS = (("sum", "talks"), ("factorial", "exits early"))


def _slice() -> list[tuple[str, Case]]:
    found = []
    for name in NAMES:
        for problem, way in _KOTLIN_WAYS if name == "kotlin" else _WAYS:
            found += [(name, case) for case in cases_of(language_of(name), (problem,)) if case.way == way]
    return found


SLICE = _slice()
IDS = [f"{name}: {case.problem.problem_id}, {case.way}" for name, case in SLICE]


@pytest.mark.parametrize(("name", "case"), SLICE, ids=IDS)
def test_an_answer_has_the_verdict_that_it_should(judge: Judge, name: str, case: Case) -> None:
    verdict = judge.judge(case.problem, case.answer)
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert verdict.reason in case.expected if case.expected else verdict.passed, verdict


@pytest.mark.parametrize("name", NAMES)
def test_a_language_has_forty_answers_that_pass_and_forty_that_fail(name: str) -> None:
    cases = list(cases_of(language_of(name)))
    assert sum(not case.expected for case in cases) == 40
    assert sum(bool(case.expected) for case in cases) == 70
    assert {case.way for case in cases if case.expected} == set(EXPECTED)
    assert {case.problem.problem_id for case in cases} == set(PROBLEMS)
