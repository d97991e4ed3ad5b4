from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.evaluation.scores import compare, pass_at_k, score, wilson


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_passing_answer(case: tuple[int, int, int]) -> None:
    answers, passed, k = case
    draws = list(itertools.combinations([True] * passed + [False] * (answers - passed), k))
    assert pass_at_k(answers, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_more_than_there_are_can_not_be_drawn() -> None:
    with pytest.raises(ValueError, match="pass@3 of 2"):
        pass_at_k(2, 1, 3)
    assert score([(2, 1)], k=3) is None


def test_an_interval_holds_its_share_in_nearly_all_of_many_runs() -> None:
    draw = random.Random(1)
    held = 0
    for _ in range(400):
        passed = sum(draw.random() < 0.3 for _ in range(60))
        low, high = wilson(passed, 60)
        held += low <= 0.3 <= high
    assert held > 0.92 * 400


def test_the_same_verdicts_give_the_same_scores() -> None:
    problems = [(5, count) for count in (0, 1, 2, 5, 5)]
    assert score(problems) == score(problems)
    found = score(problems, k=5)
    assert found is not None
    assert found.value == pytest.approx(0.8)
    assert found.low < found.value <= found.high


def test_a_difference_is_of_the_common_problems() -> None:
    found = compare({"a": 1, "b": 1, "c": 0}, {"a": 1, "b": 0, "d": 1})
    assert (found.problems, found.only_a, found.only_b) == (2, 1, 0)
    assert found.value == -0.5
    with pytest.raises(ValueError, match="no problem in common"):
        compare({"a": 1}, {"b": 1})


def test_equal_runs_do_not_differ() -> None:
    found = compare({"a": 1, "b": 0}, {"a": 1, "b": 0})
    assert (found.value, found.p_value) == (0, 1)


def test_samples_that_all_agree_have_the_interval_of_one_answer() -> None:
    """Resampling equal values would give an interval without a width."""
    found = score([(2, 0)] * 3, 2)
    assert found is not None and (found.low, found.high) == wilson(0, 3)
