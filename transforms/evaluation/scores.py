"""Scores of a benchmark: pass@k with intervals, and the paired difference of two runs.

    pass@k      the probability that at least one of k answers passes, estimated without bias from n >= k answers a
                problem: 1 - C(n - c, k) / C(n, k), where c passed; averaged over problems (arXiv 2107.03374)
    interval    95%, by resampling problems (bootstrap); for one answer a problem, Wilson's interval
    beside      a published share: the difference, and its interval as of two independent samples
    difference  of two runs over the same problems: McNemar's exact test on the problems that differ, and the interval
                of the difference by resampling problems

Pure functions of counts; a seed fixes what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_DRAWS: Final = 2_000
_SEED: Final = 20_240_409
_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Score:
    """A share with its interval of 95%.

    Args:
        value: Between 0 and 1.
        low, high: The interval's ends.
        problems: Over how many problems.
    """

    value: float
    low: float
    high: float
    problems: int


def pass_at_k(answers: int, passed: int, k: int) -> float:
    """Estimate of pass@k for one problem. Raises ValueError if there are fewer than k answers.

    >>> pass_at_k(4, 1, 1), pass_at_k(4, 1, 2), pass_at_k(4, 3, 2)
    (0.25, 0.5, 1.0)
    """
    if answers < k:
        raise ValueError(f"pass@{k} of {answers} answers")
    return 1.0 - math.comb(answers - passed, k) / math.comb(answers, k)


def wilson(passed: int, total: int) -> tuple[float, float]:
    """Wilson's interval of a share.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share = passed / total
    center = share + _Z * _Z / (2 * total)
    spread = _Z * math.sqrt(share * (1 - share) / total + _Z * _Z / (4 * total * total))
    scale = 1 + _Z * _Z / total
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def score(problems: Sequence[tuple[int, int]], k: int = 1) -> Score | None:
    """pass@k over problems, each given as (answers, passed). None if no problem has k answers."""
    values = np.array([pass_at_k(answers, passed, k) for answers, passed in problems if answers >= k])
    if not len(values):
        return None
    if all(answers == 1 for answers, _ in problems) or set(values) <= {0.0, 1.0}:
        low, high = wilson(int(values.sum()), len(values))
    else:
        low, high = _resampled(values)
    return Score(float(values.mean()), low, high, len(values))


@dataclass(frozen=True, slots=True)
class Difference:
    """How run B differs from run A over the problems that both have.

    Args:
        value: The mean of B minus that of A.
        low, high: Its interval of 95%.
        only_a, only_b: Problems that only one of them solves (more often).
        p_value: Of McNemar's exact test, two-sided.
        problems: Over how many problems.
    """

    value: float
    low: float
    high: float
    only_a: int
    only_b: int
    p_value: float
    problems: int


def compare(a: Mapping[str, float], b: Mapping[str, float]) -> Difference:
    """The paired difference of two runs, given as pass@1 by problem. Raises ValueError if they share no problem.

    >>> compare({"x": 1, "y": 0, "z": 0}, {"x": 1, "y": 1, "z": 1}).p_value
    0.5
    """
    common = sorted(a.keys() & b.keys())
    if not common:
        raise ValueError("the two runs have no problem in common")
    differences = np.array([b[name] - a[name] for name in common])
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    low, high = _resampled(differences)
    return Difference(float(differences.mean()), low, high, only_a, only_b, _mcnemar(only_a, only_b), len(common))


def beside(ours: Score, share: float, problems: int) -> tuple[float, float, float]:
    """How a score differs from a published share, whose single answers aren't known: difference, and its interval.

    The two count as independent samples (Newcombe's hybrid interval, from both shares' own intervals; Statistics in
    Medicine 17, 1998, method 10), so it is wider than that of a paired comparison.

    >>> [round(one, 3) for one in beside(Score(0.5, *wilson(50, 100), 100), 0.4, 100)]
    [0.1, -0.037, 0.232]
    """
    low, high = wilson(round(share * problems), problems)
    difference = ours.value - share
    below = math.hypot(ours.value - ours.low, high - share)
    above = math.hypot(ours.high - ours.value, share - low)
    return difference, difference - below, difference + above


def _mcnemar(only_a: int, only_b: int) -> float:
    total = only_a + only_b
    tail = sum(math.comb(total, i) for i in range(min(only_a, only_b) + 1)) / 2**total
    return min(1.0, 2 * tail)


def _resampled(values: np.ndarray) -> tuple[float, float]:
    draws = np.random.default_rng(_SEED).integers(0, len(values), (_DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)
